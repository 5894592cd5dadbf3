"""Compares the driver with golden tensors of the released code, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aln_p3_core.driver.decode import decode_agents, decode_map
from aln_p3_core.driver.deformable_attention import deformable_sampling
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork, Precision
from aln_p3_core.driver.tap import recording
from aln_p3_core.errors import DataError
from aln_p3_core.runtime.oracle import Oracle
from aln_p3_core.runtime.released_layout import released_layout

#: Tolerances that the golden tensors come with; backbone and neck maps reach 100, so theirs is relative.
ATOL, RTOL = 5e-4, 1e-4


@dataclass(slots=True)
class Comparison:
    """One tensor: `max_abs` and `max_rel` (largest error over largest magnitude) differences, and the verdict."""

    file: str
    name: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    ok: bool
    note: str = ""


def compare(file: str, name: str, ours: Tensor | None, golden: Tensor, valid: Tensor | None = None) -> Comparison:
    """Compares one tensor; `valid` selects the entries that mean something. Whole numbers must be equal."""
    shape = tuple(golden.shape)
    if ours is None:
        return Comparison(file, name, shape, float("inf"), float("inf"), False, "not computed")
    if tuple(ours.shape) != shape:
        note = f"ours has shape {tuple(ours.shape)}"
        return Comparison(file, name, shape, float("inf"), float("inf"), False, note)
    if valid is not None:
        ours, golden = ours[valid], golden[valid]
    a, b = ours.double(), golden.double()
    error = (a - b).abs()
    max_abs = float(error.max()) if error.numel() else 0.0
    scale = float(b.abs().max()) if b.numel() else 0.0
    if golden.is_floating_point():
        relative_to = scale if name.startswith(("mid.backbone", "mid.neck")) else b.abs()
        ok = bool((error <= ATOL + RTOL * relative_to).all())
    else:
        ok = bool((a == b).all())
    return Comparison(file, name, shape, max_abs, max_abs / scale if scale else max_abs, ok)


def check_precision(folder: Path, precision: Precision) -> Iterator[Comparison]:
    """Yields the errors of the network's outputs in a reduced precision. They are told, not judged.

    The planned positions in metres are compared beside the stored per-step offsets.

    Raises:
        DataError: when the folder holds no network.
    """
    oracle = Oracle(folder)
    network = oracle.network(oracle.config.rotate_center).fuse_for_inference().set_precision(precision)
    memory: Tensor | None = None
    for frame in oracle.frames():
        with torch.inference_mode(), recording() as taps:
            outputs = network(oracle.inputs(frame, memory))
            memory = outputs.bev_BRSD
            ours = released_layout(outputs, taps, oracle.config)
            golden = oracle.tensors(f"frame{frame}")
            for tensors in (ours, golden):
                tensors["out.planned_positions"] = tensors["out.ego_fut_preds"].cumsum(dim=-2)
            for name in sorted(golden):
                if name.startswith("out."):
                    result = compare(f"frame{frame}", name, ours[name].float(), golden[name])
                    result.ok, result.note = True, "not judged"
                    yield result


def check_parity(folder: Path) -> Iterator[Comparison]:
    """Yields a comparison for every stored tensor of a folder of golden tensors.

    A folder with `msdeform_units.safetensors` in place of a network is compared as deformable sampling.

    Raises:
        DataError: when the folder holds neither.
    """
    units = folder / "msdeform_units.safetensors"
    if (folder / "config.json").is_file():
        yield from _network_comparisons(Oracle(folder))
    elif units.is_file():
        yield from _sampling_comparisons(units)
    else:
        raise DataError(f"{folder} holds neither config.json nor msdeform_units.safetensors: not golden tensors")


@torch.no_grad()
def _network_comparisons(oracle: Oracle) -> Iterator[Comparison]:
    released, centered = oracle.network(oracle.config.rotate_center), oracle.network(None)
    memory: Tensor | None = None
    for frame in oracle.frames():
        before = memory
        memory, comparisons = _frame_comparisons(oracle, released, f"frame{frame}", frame, before)
        yield from comparisons
        if oracle.has(f"frame{frame}_true_center"):
            yield from _frame_comparisons(oracle, centered, f"frame{frame}_true_center", frame, before)[1]


def _frame_comparisons(
    oracle: Oracle, network: DriverNetwork, file: str, frame: int, memory: Tensor | None
) -> tuple[Tensor, list[Comparison]]:
    """The frame's BEV map, and a comparison of every tensor in a file."""
    with recording() as taps:
        outputs = network(oracle.inputs(frame, memory))
    ours = released_layout(outputs, taps, oracle.config) | _decoded(outputs, oracle)
    golden = oracle.tensors(file)
    if "in.prev_bev" in golden and memory is not None:
        ours["in.prev_bev"] = memory.flatten(1, 2).transpose(0, 1)
    mask = golden.get("mid.encoder.bev_mask")
    # Projections of points that a camera does not see are arbitrary, up to a million.
    return outputs.bev_BRSD, [
        compare(file, name, ours.get(name), tensor, mask if name.endswith("reference_points_cam") else None)
        for name, tensor in golden.items()
    ]


def _decoded(outputs: DriverOutputs, oracle: Oracle) -> dict[str, Tensor]:
    settings = oracle.settings["decode"]
    agents = decode_agents(
        outputs.agent_logits_LBQC[-1, 0],
        outputs.agent_boxes_LBQ10[-1, 0],
        outputs.agent_forecasts_BQMT2[0],
        outputs.agent_mode_logits_BQM[0],
        limit=settings["agent_max"],
        center_range=tuple(settings["agent_center_range"]),
    )
    length, width, height = agents.sizes_lwh_A3.unbind(-1)
    x, y, z = agents.centers_A3.unbind(-1)
    boxes = torch.stack([x, y, z - height / 2, width, length, height, agents.released_yaws_A], dim=-1)
    # The released range of boxes holds eight numbers: the two low corners, then the two high ones.
    box_range = settings["map_box_range"]
    lines = decode_map(
        outputs.map_logits_LBVC[-1, 0],
        outputs.map_points_LBVP2[-1, 0],
        oracle.config.point_cloud_range,
        limit=settings["map_max"],
        box_range=tuple(box_range[:2] + box_range[4:6]),
    )
    return {
        "dec.boxes": torch.cat([boxes, agents.velocities_A2], dim=-1),
        "dec.scores": agents.scores_A,
        "dec.labels": agents.class_ids_A,
        "dec.trajs": outputs.agent_forecasts_BQMT2[0, agents.query_ids_A].flatten(-2),
        "dec.map_bboxes": lines.boxes_V4,
        "dec.map_scores": lines.scores_V,
        "dec.map_labels": lines.class_ids_V,
        "dec.map_pts": lines.points_VP2,
    }


def _sampling_comparisons(path: Path) -> Iterator[Comparison]:
    from safetensors.torch import load_file

    tensors = load_file(path)
    for case in sorted({name.split(".")[0] for name in tensors}):
        golden = {name.split(".", 1)[1]: t for name, t in tensors.items() if name.startswith(f"{case}.")}
        inputs = [golden[name] for name in ("value", "sampling_locations", "attention_weights")]
        sizes = [(int(h), int(w)) for h, w in golden["spatial_shapes"]]
        with torch.no_grad():
            table = deformable_sampling(inputs[0], sizes, inputs[1], inputs[2])
        yield compare(path.stem, f"{case}.output", table, golden["output"])
        leaves = [t.clone().requires_grad_() for t in inputs]
        output = deformable_sampling(leaves[0], sizes, leaves[1], leaves[2])
        yield compare(path.stem, f"{case}.output (differentiable form)", output.detach(), golden["output"])
        gradients = torch.autograd.grad(output, leaves, golden["upstream"])
        for name, gradient in zip(("grad_value", "grad_locations", "grad_weights"), gradients, strict=True):
            yield compare(path.stem, f"{case}.{name}", gradient, golden[name])
