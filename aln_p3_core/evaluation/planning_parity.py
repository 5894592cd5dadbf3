"""Parity of the planning protocols with the released evaluations: `check_planning(folder)`.

The folder holds inputs.npz (`ego_fut_offsets`, `ego_pred_offsets`, `agent_boxes`, `agent_attr`, `future_boxes` ...),
expected.npz (every value of every step, occupancies) and expected.json (final rows), as printed by the released code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_arrays, read_json
from aln_p3_core.evaluation.planning import StepValues, raw_steps, step_values
from aln_p3_core.evaluation.planning_occupancy import draw_occupancy, ego_cells
from aln_p3_core.evaluation.planning_truth import PlanningTruth
from aln_p3_core.evaluation.protocol import AGENT_KINDS, PlanningProtocol, read_planning_protocol
from aln_p3_core.geometry import FloatArray

FOLDER = "planning"
#: Of distances, m; collisions must be equal.
L2_TOLERANCE = 1e-4
# Mean rates are printed in single precision.
_RATE_TOLERANCE = 1e-6
# Four digits, rounded from single precision.
_PRINTED_TOLERANCE = 0.51e-4
# VAD reads classes as places in category.json, in the numbering of the lidarseg expansion.
_CATEGORY_PEDESTRIANS, _CATEGORY_VEHICLES = range(2, 9), range(14, 24)
# UniAD's label numbers are those of the ten detection classes.
_LABEL_VEHICLES, _LABEL_PEDESTRIANS = (0, 1, 2, 3, 4, 6, 7), (8,)

Arrays = Mapping[str, Any]


def check_planning(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
    """
    folder = Path(folder)
    inputs, expected = read_arrays(folder / "inputs.npz"), read_arrays(folder / "expected.npz")
    finals = read_json(folder / "expected.json")
    commands = inputs["ego_cmd"].argmax(axis=1)
    chosen = inputs["ego_pred_offsets"][np.arange(len(commands)), commands]
    plans = np.cumsum(chosen, axis=1, dtype=np.float32).astype(np.float64)
    vad, uniad = read_planning_protocol("vad"), read_planning_protocol("uniad")
    yield from _check_vad(vad, vad_truth(inputs), plans, expected, finals)
    yield from _check_uniad(uniad, uniad_truth(inputs), plans, expected, finals)


def vad_truth(inputs: Arrays) -> PlanningTruth:
    """Truth from VAD's agent boxes and attribute vectors."""
    boxes, attr = inputs["agent_boxes"].astype(np.float64), inputs["agent_attr"].astype(np.float64)
    samples, objects = boxes.shape[:2]
    there = np.arange(objects) < inputs["n_agents"][:, None]
    heading = -boxes[..., 6] - np.pi / 2
    own = np.zeros((samples, 7, objects, 7))
    own[..., :3] = boxes[:, None, :, :3]
    own[:, 1:, :, :2] += np.cumsum(attr[..., :12].reshape(samples, objects, 6, 2), axis=2).swapaxes(1, 2)
    own[..., 3:6] = boxes[:, None, :, [4, 3, 5]]
    own[..., 6] = heading[:, None]
    own[:, 1:, :, 6] += np.cumsum(attr[..., 28:34], axis=2).swapaxes(1, 2)
    mask = np.concatenate([there[:, None], (attr[..., 12:18] == 1).swapaxes(1, 2) & there[:, None]], axis=1)
    category = attr[..., 27].astype(int)
    kinds = np.where(np.isin(category, _CATEGORY_VEHICLES), AGENT_KINDS.index("vehicle"), -1)
    kinds = np.where(np.isin(category, _CATEGORY_PEDESTRIANS), AGENT_KINDS.index("pedestrian"), kinds)
    # The name filter has dropped what is none of the ten classes.
    kinds = np.where(there & (inputs["agent_labels"] >= 0), kinds, -1)
    pose = np.broadcast_to(np.eye(4), (samples, 7, 4, 4))
    return _truth(inputs, own, mask, kinds, pose[:, 0], pose)


def uniad_truth(inputs: Arrays) -> PlanningTruth:
    """Truth from UniAD's boxes of every frame and the ego poses."""
    boxes = inputs["future_boxes"]
    labels = inputs["agent_labels"]
    own = np.concatenate([boxes[..., :3], boxes[..., [4, 3, 5]], -boxes[..., 6:] - np.pi / 2], axis=-1)
    kinds = np.where(np.isin(labels, _LABEL_VEHICLES), AGENT_KINDS.index("vehicle"), -1)
    kinds = np.where(np.isin(labels, _LABEL_PEDESTRIANS), AGENT_KINDS.index("pedestrian"), kinds)
    T_ego_model = _transforms(inputs["lidar2ego_rot"], inputs["lidar2ego_trans"])
    T_ego_model = np.broadcast_to(T_ego_model, (len(boxes), 4, 4))
    poses = _transforms(inputs["ego2global_rot"], inputs["ego2global_trans"])
    return _truth(inputs, own, inputs["future_boxes_valid"], kinds, T_ego_model, poses)


def _truth(
    inputs: Arrays, boxes: FloatArray, mask: Any, kinds: Any, T_ego_model: FloatArray, T_global_ego: FloatArray
) -> PlanningTruth:
    samples = len(boxes)
    known = np.arange(6) < inputs["n_valid_future"][:, None]
    future = np.cumsum(inputs["ego_fut_offsets"], axis=1, dtype=np.float32).astype(np.float64)
    return PlanningTruth(
        tokens=tuple(f"sample-{n}" for n in range(samples)),
        scenes=tuple(f"scene-{n}" for n in range(samples)),
        ego_future_model=future,
        ego_future_mask=known,
        recorded_future_model=future,
        recorded_mask=known,
        plan_stored=np.zeros(samples, dtype=bool),
        frame_known=known,
        commands=inputs["ego_cmd"].argmax(axis=1),
        T_ego_model=T_ego_model,
        T_global_ego=T_global_ego,
        boxes_own=boxes,
        box_mask=mask,
        kinds=kinds,
        seen=kinds >= 0,
        boundaries_model=np.zeros((samples, 0, 2, 2)),
        map_known=np.zeros(samples, dtype=bool),
    )


def _check_vad(
    protocol: PlanningProtocol, truth: PlanningTruth, plans: FloatArray, expected: Arrays, finals: Mapping[str, Any]
) -> Iterator[MetricLine]:
    drawn = {kind: draw_occupancy(truth, replace(protocol, agent_kinds=(kind,))) for kind in ("vehicle", "pedestrian")}
    packed = drawn["vehicle"].packed | drawn["pedestrian"].packed
    yield compare(FOLDER, "vad occupancy", packed, expected["vad_occupancy_packed"])
    yield compare(FOLDER, "vad pedestrians", drawn["pedestrian"].packed, expected["vad_pedestrian_packed"])
    rows, columns = ego_cells(protocol)
    yield compare(FOLDER, "ego cells", np.stack([rows, columns], axis=1), expected["ego_footprint_rowcol"])
    steps = raw_steps(truth, plans, protocol)
    yield compare(FOLDER, "vad gt_box_col by step", steps.true_contact, expected["vad_gt_box_col_step"])
    for name, ours in _released_names(steps).items():
        if name != "L2":
            yield compare(FOLDER, f"vad {name} by step", ours, expected[f"vad_{name}_step"])
    for name, ours in _vad_means(steps).items():
        theirs = [sample["vad"][name] for sample in finals["samples"]]
        # The released code gives 0 to the samples that it leaves out of the mean afterwards.
        ours = np.where(truth.step_known.all(axis=1), ours, 0.0)
        yield compare(FOLDER, f"vad {name} by sample", ours, theirs, _mean_tolerance(name))
    means = {name: float(np.nanmean(ours)) for name, ours in _vad_means(step_values(truth, plans, protocol)).items()}
    for name, mean in means.items():
        yield compare(FOLDER, f"vad final {name}", mean, finals["final_vad"][name], _mean_tolerance(name))
    for name, theirs in finals["final_vad_avg"].items():
        average = np.mean([means[f"plan_{name}_{k}s"] for k in (1, 2, 3)])
        yield compare(FOLDER, f"vad final average {name}", average, theirs, _mean_tolerance(name))


def _released_names(steps: StepValues) -> dict[str, FloatArray]:
    """[N, 6] values of every step by the names of the released code."""
    assert steps.point_collision is not None
    return {"L2": steps.l2, "obj_box_col": steps.collision, "obj_col": steps.point_collision}


def _vad_means(steps: StepValues) -> dict[str, FloatArray]:
    """[N] values of every sample, by the released names: means over the steps up to a horizon."""
    found = _released_names(steps).items()
    return {f"plan_{name}_{k}s": values[:, : 2 * k].mean(axis=1) for name, values in found for k in (1, 2, 3)}


def _check_uniad(
    protocol: PlanningProtocol, truth: PlanningTruth, plans: FloatArray, expected: Arrays, finals: Mapping[str, Any]
) -> Iterator[MetricLine]:
    everyone = replace(protocol, agent_kinds=("vehicle", "pedestrian"))
    packed = draw_occupancy(truth, protocol).packed
    yield compare(FOLDER, "uniad occupancy", packed, expected["uniad_segmentation_vehicle_packed"])
    yield compare(FOLDER, "uniad missing frames", ~truth.frame_known, expected["uniad_frame_invalid"])
    steps, wider = (raw_steps(truth, plans, p) for p in (protocol, everyone))
    yield compare(FOLDER, "uniad gt_box_col by step", steps.true_contact, expected["uniad_gt_box_col_step"])
    for name, ours in _released_names(steps).items():
        yield compare(FOLDER, f"uniad {name} by step", ours, expected[f"uniad_{name}_step"], _tolerance(name))
        theirs = [[sample["uniad"][f"{name}_{k}s"] for k in (1, 2, 3)] for sample in finals["samples"]]
        yield compare(FOLDER, f"uniad {name} by sample", ours[:, 1::2], theirs, _tolerance(name))
    for name, ours in _released_names(wider).items():
        if name != "L2":
            yield compare(FOLDER, f"uniad veh_ped {name} by step", ours, expected[f"uniad_veh_ped_{name}_step"])
    for row, variant in (
        ("final_uniad", protocol),
        ("final_uniad_vehicle_plus_pedestrian", everyone),
        ("final_uniad_fut_valid_only", replace(protocol, samples="six_future_frames")),
    ):
        for name, ours in _released_names(step_values(truth, plans, variant)).items():
            means = np.nanmean(ours, axis=0)
            yield compare(FOLDER, f"{row} {name}", means, finals[row][name], _mean_tolerance(name))
            # The printed tables have four digits; their "stp3" is the running mean of the steps' means.
            running = np.cumsum(means) / np.arange(1, 7)
            for table, printed in (("uniad", means), ("stp3", running)):
                theirs = finals[f"{row}_table_{table}"][name]
                yield compare(FOLDER, f"{row} {name} printed as {table}", printed, theirs, _PRINTED_TOLERANCE)


def _tolerance(name: str) -> float:
    """Of values of a step: collisions are equal or not."""
    return L2_TOLERANCE if "L2" in name else 0.0


def _mean_tolerance(name: str) -> float:
    return L2_TOLERANCE if "L2" in name else _RATE_TOLERANCE


def _transforms(rotation: FloatArray, translation: FloatArray) -> FloatArray:
    T = np.zeros((*rotation.shape[:-2], 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = rotation, translation, 1.0
    return T
