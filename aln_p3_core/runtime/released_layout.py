"""Our outputs and taps under the names and in the layouts of the released code (batch of one)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs


def _tokens_first(x: Tensor) -> Tensor:
    """[..., B, T, D] to [..., T, B, D]."""
    return x.transpose(-2, -3)


def _same(x: Tensor) -> Tensor:
    return x


#: Released name -> our tap and the change of layout.
_TAPS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "mid.can_bus_mlp": ("bev_encoder.can_bus", _same),
    "mid.bev_embed": ("bev", lambda x: _tokens_first(x.flatten(1, 2))),
    "mid.encoder_in.bev_query": ("bev_encoder.query", _tokens_first),
    "mid.encoder_in.feat_flatten": ("bev_encoder.features", lambda x: x[0][:, :, None]),
    "mid.encoder_in.shift": ("bev_encoder.shift", _same),
    "mid.encoder_in.prev_bev_rotated": ("bev_encoder.memory", lambda x: _tokens_first(x.flatten(1, 2))),
    "mid.encoder.ref_2d": ("bev_encoder.reference", lambda x: x[:, :, None].repeat(2, 1, 1, 1)),
    "mid.encoder.ref_3d": ("bev_encoder.pillar_points", lambda x: x[None]),
    "mid.encoder.reference_points_cam": ("bev_encoder.camera_points", lambda x: x.transpose(0, 1)),
    "mid.encoder.bev_mask": ("bev_encoder.camera_mask", lambda x: x.transpose(0, 1)),
    "mid.agent_decoder.init_reference": ("agent_decoder.initial_reference", _same),
    "mid.agent_decoder.references": ("agent_decoder.references", _same),
    "mid.agent_decoder.states": ("agent_decoder.states", _tokens_first),
    "mid.map_decoder.init_reference": ("map_decoder.initial_reference", _same),
    "mid.map_decoder.references": ("map_decoder.references", _same),
    "mid.map_decoder.states": ("map_decoder.states", _tokens_first),
    "mid.lane_encoder.out": ("map_decoder.tokens", _same),
    "mid.motion_decoder.in.query": ("motion.agent_query", _tokens_first),
    "mid.motion_decoder.in.query_pos": ("motion.agent_query_position", _tokens_first),
    "mid.motion_decoder.out": ("motion.agent_out", _tokens_first),
    "mid.motion_map_decoder.in.query": ("motion.agent_out", _same),
    "mid.motion_map_decoder.out": ("motion.map_out", lambda x: x.flatten(1, 2)),
    "mid.motion_hs": ("motion.states", _same),
    "mid.agent_fus_mlp.out": ("planner.agent_tokens", _same),
    "mid.ego_feats": ("planner.feature", _same),
}
_LAYER_PARTS = {
    "bev_encoder": (
        "mid.encoder",
        _same,
        {"temporal": "tsa", "spatial": "sca", "feed_forward": "ffn", "out": "out"},
    ),
    **{
        name: (
            f"mid.{name}",
            _tokens_first,
            {"self_attention": "self_attn", "cross_attention": "cross_attn", "out": "out"},
        )
        for name in ("agent_decoder", "map_decoder")
    },
}


def released_layout(outputs: DriverOutputs, taps: Mapping[str, Tensor], config: DriverConfig) -> dict[str, Tensor]:
    """Every output and intermediate that the golden tensors name."""
    tensors = _outputs(outputs)
    for released, (name, layout) in _TAPS.items():
        if name in taps:
            tensors[released] = layout(taps[name])
    for name, tensor in taps.items():
        module, _, rest = name.partition(".")
        if module in ("backbone", "neck"):
            tensors[f"mid.{name}"] = tensor
        if module in _LAYER_PARTS and rest.startswith("layer"):
            released, layout, parts = _LAYER_PARTS[module]
            layer, part = rest.split(".")
            tensors[f"{released}.{layer}.{parts[part]}"] = layout(tensor)
    position = taps["bev_encoder.position"].unflatten(0, (config.bev.rows, config.bev.columns))
    tensors["mid.bev_pos"] = position.permute(2, 0, 1)[None]
    sizes = [taps[f"neck.{i}"].shape[-2:] for i in range(config.backbone.levels)]
    tensors["mid.encoder_in.spatial_shapes"] = torch.tensor([list(size) for size in sizes])
    return tensors | _motion_map(taps, config.agents.modes) | _planner(taps)


def _outputs(o: DriverOutputs) -> dict[str, Tensor]:
    layers = len(o.agent_logits_LBQC)
    low, high = o.map_points_LBVP2.amin(dim=-2), o.map_points_LBVP2.amax(dim=-2)
    return {
        "out.bev_embed": _tokens_first(o.bev_BRSD.flatten(1, 2)),
        "out.all_cls_scores": o.agent_logits_LBQC,
        "out.all_bbox_preds": o.agent_boxes_LBQ10,
        "out.all_traj_preds": o.agent_forecasts_BQMT2.flatten(-2).expand(layers, -1, -1, -1, -1),
        "out.all_traj_cls_scores": o.agent_mode_logits_BQM.expand(layers, -1, -1, -1),
        "out.map_all_cls_scores": o.map_logits_LBVC,
        "out.map_all_pts_preds": o.map_points_LBVP2,
        "out.map_all_bbox_preds": torch.cat([(low + high) / 2, high - low], dim=-1),
        "out.ego_fut_preds": o.plan_offsets_B3T2,
    }


def _motion_map(taps: Mapping[str, Tensor], modes: int) -> dict[str, Tensor]:
    """The released code drops unlikely lines and repeats keys per agent and mode; ours never builds that."""
    kept = taps["motion.lines_kept"][0]
    tokens, positions = taps["map_decoder.tokens"][0, kept], taps["motion.map_key_position"][0]
    key_position = torch.cat([positions[:, :-1][:, kept], positions[:, -1:]], dim=1).repeat_interleave(modes, dim=0)
    keys = torch.cat([tokens, torch.zeros_like(tokens[:1])] if len(tokens) else [torch.zeros_like(positions[0, :1])])
    ignored = taps["motion.lines_ignored"][0][:, kept]
    padded = torch.cat([ignored, ignored.new_zeros(len(ignored), 1)], dim=1).repeat_interleave(modes, dim=0)
    rows = len(key_position)
    return {
        "mid.motion_map_decoder.in.key": keys[:, None].expand(-1, rows, -1),
        "mid.motion_map_decoder.in.key_pos": key_position.transpose(0, 1),
        "mid.motion_map_decoder.in.key_padding_mask": padded,
        "mid.motion_map_decoder.in.query_pos": taps["motion.map_query_position"].expand(1, rows, -1),
    }


def _planner(taps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors = {}
    for ours, released in (("planner.agent", "mid.ego_agent_decoder"), ("planner.map", "mid.ego_map_decoder")):
        for part, name in (
            ("query", "query"),
            ("query_position", "query_pos"),
            ("key", "key"),
            ("key_position", "key_pos"),
        ):
            tensors[f"{released}.in.{name}"] = _tokens_first(taps[f"{ours}_{part}"])
        tensors[f"{released}.out"] = _tokens_first(taps[f"{ours}_out"])
        # Every agent and every line is read (threshold 0 on a probability).
        keys = taps[f"{ours}_key"]
        tensors[f"{released}.in.key_padding_mask"] = torch.zeros(keys.shape[:2], dtype=torch.bool)
    return tensors
