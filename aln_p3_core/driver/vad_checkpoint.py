"""The one mapping between our names and those of released VAD checkpoints.

Rules are pairs of prefixes, ours and the released one; `{}` stands for an index. A tensor's name is its
module's prefix plus what follows it. Every entry of a released state dict is covered, except two constant
vectors of loss weights (`CONSTANT_ENTRIES`), which the network has no use for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from aln_p3_core.driver.fit import require_fit

_HEAD = "pts_bbox_head"
_TRANSFORMER = f"{_HEAD}.transformer"

#: Loss weights that a released state dict carries beside the network's own entries.
CONSTANT_ENTRIES: dict[str, tuple[float, ...]] = {
    f"{_HEAD}.code_weights": (1.0,) * 8 + (0.2, 0.2),
    f"{_HEAD}.map_code_weights": (1.0,) * 4,
}


def _backbone_rules() -> Iterable[tuple[str, str]]:
    yield "backbone.stem.conv", "img_backbone.conv1"
    yield "backbone.stem.norm", "img_backbone.bn1"
    for stage in range(4):
        ours, released = f"backbone.stages.{stage}.{{}}", f"img_backbone.layer{stage + 1}.{{}}"
        for i, part in enumerate(("reduce", "spatial", "expand"), start=1):
            yield f"{ours}.{part}.conv", f"{released}.conv{i}"
            yield f"{ours}.{part}.norm", f"{released}.bn{i}"
        yield f"{ours}.shortcut.conv", f"{released}.downsample.0"
        yield f"{ours}.shortcut.norm", f"{released}.downsample.1"
    yield "neck.laterals.{}", "img_neck.lateral_convs.{}.conv"
    yield "neck.outputs.{}", "img_neck.fpn_convs.{}.conv"


def _attention_rules(ours: str, released: str) -> Iterable[tuple[str, str]]:
    yield f"{ours}.qkv.weight", f"{released}.attn.in_proj_weight"
    yield f"{ours}.qkv.bias", f"{released}.attn.in_proj_bias"
    yield f"{ours}.output", f"{released}.attn.out_proj"


def _deformable_rules(ours: str, released: str, output: str) -> Iterable[tuple[str, str]]:
    yield f"{ours}.offsets", f"{released}.sampling_offsets"
    yield f"{ours}.weights", f"{released}.attention_weights"
    yield f"{ours}.value", f"{released}.value_proj"
    yield f"{ours}.output", f"{output}.output_proj"


def _feed_forward_rules(ours: str, released: str) -> Iterable[tuple[str, str]]:
    yield f"{ours}.feed_forward.expand", f"{released}.ffns.0.layers.0.0"
    yield f"{ours}.feed_forward.contract", f"{released}.ffns.0.layers.1"


def _norm_rules(ours: str, released: str, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for i, name in enumerate(names):
        yield f"{ours}.{name}_norm", f"{released}.norms.{i}"


def _bev_rules() -> Iterable[tuple[str, str]]:
    yield "bev_encoder.queries", f"{_HEAD}.bev_embedding.weight"
    yield "bev_encoder.position.rows", f"{_HEAD}.positional_encoding.row_embed.weight"
    yield "bev_encoder.position.columns", f"{_HEAD}.positional_encoding.col_embed.weight"
    yield "bev_encoder.level_embeddings", f"{_TRANSFORMER}.level_embeds"
    yield "bev_encoder.camera_embeddings", f"{_TRANSFORMER}.cams_embeds"
    yield "bev_encoder.can_bus.hidden", f"{_TRANSFORMER}.can_bus_mlp.0"
    yield "bev_encoder.can_bus.output", f"{_TRANSFORMER}.can_bus_mlp.2"
    yield "bev_encoder.can_bus.norm", f"{_TRANSFORMER}.can_bus_mlp.norm"
    ours, released = "bev_encoder.layers.{}", f"{_TRANSFORMER}.encoder.layers.{{}}"
    temporal, spatial = f"{released}.attentions.0", f"{released}.attentions.1"
    yield from _deformable_rules(f"{ours}.temporal", temporal, temporal)
    yield from _deformable_rules(f"{ours}.spatial", f"{spatial}.deformable_attention", spatial)
    yield from _feed_forward_rules(ours, released)
    yield from _norm_rules(ours, released, ("temporal", "spatial", "feed_forward"))


def _decoder_rules() -> Iterable[tuple[str, str]]:
    for name, released_name in (("agent_decoder", "decoder"), ("map_decoder", "map_decoder")):
        ours, released = f"{name}.layers.{{}}", f"{_TRANSFORMER}.{released_name}.layers.{{}}"
        cross = f"{released}.attentions.1"
        yield from _attention_rules(f"{ours}.self_attention", f"{released}.attentions.0")
        yield from _deformable_rules(f"{ours}.cross_attention", cross, cross)
        yield from _feed_forward_rules(ours, released)
        yield from _norm_rules(ours, released, ("self_attention", "cross_attention", "feed_forward"))
    yield "agent_decoder.queries", f"{_HEAD}.query_embedding.weight"
    yield "agent_decoder.reference", f"{_TRANSFORMER}.reference_points"
    yield "agent_decoder.class_heads.{}", f"{_HEAD}.cls_branches.{{}}"
    yield "agent_decoder.box_heads.{}", f"{_HEAD}.reg_branches.{{}}"
    yield "map_decoder.line_queries", f"{_HEAD}.map_instance_embedding.weight"
    yield "map_decoder.point_queries", f"{_HEAD}.map_pts_embedding.weight"
    yield "map_decoder.reference", f"{_TRANSFORMER}.map_reference_points"
    yield "map_decoder.class_heads.{}", f"{_HEAD}.map_cls_branches.{{}}"
    yield "map_decoder.point_heads.{}", f"{_HEAD}.map_reg_branches.{{}}"
    yield "map_decoder.polyline_encoder.layers.{}", f"{_HEAD}.lane_encoder.layer_seq.lmlp_{{}}.mlp"


def _planning_rules() -> Iterable[tuple[str, str]]:
    for ours, released in (
        ("motion.agent_interaction", "motion_decoder"),
        ("motion.map_interaction", "motion_map_decoder"),
        ("planner.rounds.0.agents", "ego_agent_decoder"),
        ("planner.rounds.0.lines", "ego_map_decoder"),
    ):
        layer = f"{_HEAD}.{released}.layers.0"
        yield from _attention_rules(f"{ours}.attention", f"{layer}.attentions.0")
        yield from _feed_forward_rules(ours, layer)
        yield from _norm_rules(ours, layer, ("attention", "feed_forward"))
    for ours, released in (
        ("motion.mode_queries", "motion_mode_query.weight"),
        ("motion.agent_position", "pos_mlp_sa"),
        ("motion.map_position", "pos_mlp"),
        ("motion.forecast_head", "traj_branches.0"),
        ("motion.mode_head", "traj_cls_branches.0"),
        ("planner.ego_query", "ego_query.weight"),
        ("planner.agent_fusion", "agent_fus_mlp"),
        ("planner.agent_position", "ego_agent_pos_mlp"),
        ("planner.map_position", "ego_map_pos_mlp"),
        ("planner.plan_head", "ego_fut_decoder"),
    ):
        yield ours, f"{_HEAD}.{released}"


#: Prefix pairs: ours, released.
RULES: tuple[tuple[str, str], ...] = (*_backbone_rules(), *_bev_rules(), *_decoder_rules(), *_planning_rules())


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    def compiled(prefix: str) -> re.Pattern[str]:
        return re.compile(re.escape(prefix).replace(r"\{\}", r"(\d+)") + r"(?=\.|$)")

    return tuple((compiled(ours), released) for ours, released in RULES)


def released_name(name: str) -> str:
    """The released name of one entry of our state dict.

    Raises:
        KeyError: when the entry exists only in our own recipes.
    """
    for pattern, released in _patterns():
        match = pattern.match(name)
        if match:
            return released.format(*match.groups()) + name[match.end() :]
    raise KeyError(f"{name} has no counterpart in released VAD checkpoints")


def to_released(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under released names, the constant entries filled in."""
    released = {name: torch.tensor(values) for name, values in CONSTANT_ENTRIES.items()}
    released |= {released_name(name): tensor for name, tensor in state_dict.items()}
    return released


def from_released(released: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released entries under our names.

    Args:
        released: state dict of a released detector.
        expected: our state dict: which names and shapes there must be.

    Raises:
        CheckpointError: listing every missing, unexpected and wrongly shaped entry.
    """
    names = {released_name(name): name for name in expected}
    given = {name: tensor for name, tensor in released.items() if name not in CONSTANT_ENTRIES}
    require_fit(
        given, {theirs: expected[ours] for theirs, ours in names.items()}, "the checkpoint does not fit the recipe"
    )
    return {ours: released[theirs].detach().to(expected[ours].dtype, copy=True) for theirs, ours in names.items()}
