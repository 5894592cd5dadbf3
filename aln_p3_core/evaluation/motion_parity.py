"""Parity of the protocol `vip3d` with the released evaluation of motion: `check_motion(folder)`.

The folder holds inputs.npz (boxes, attribute vectors, predicted offsets) and expected.json (counters and matches of
every sample, and the final figures), as the released code gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_arrays, read_json
from aln_p3_core.evaluation.motion import GroupMotion, MotionCounts, measure_motion
from aln_p3_core.evaluation.motion_matching import MotionTruth, match
from aln_p3_core.evaluation.perception_protocol import read_motion_protocol
from aln_p3_core.scene import Agents

FOLDER = "motion"
# Sums of up to 20 distances in single precision, m.
_TOLERANCE = 1e-5
_STEPS = 6
_COUNTERS = {"gt": "truth", "cnt_ade": "ade_count", "cnt_fde": "fde_count", "hit": "hits", "fp": "false_positives",
             "ADE": "ade_sum", "FDE": "fde_sum", "MR": "misses"}  # fmt: skip
_FINALS = {"EPA": "epa", "ADE": "min_ade", "FDE": "min_fde", "MR": "miss_rate"}

Arrays = Mapping[str, Any]


def check_motion(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
    """
    folder = Path(folder)
    inputs, expected = read_arrays(folder / "inputs.npz"), read_json(folder / "expected.json")
    protocol = read_motion_protocol("vip3d")
    try:
        stored = expected["samples"]
        agents = [_agents(inputs, i) for i in range(len(stored))]
        truth = [_truth(inputs, i) for i in range(len(stored))]
        result = measure_motion(agents, truth, protocol)
        for i, sample in enumerate(stored):
            matching = match(agents[i], truth[i], protocol)
            index_among_kept = np.cumsum(matching.kept) - 1
            of_truth = np.full(len(truth[i]), -1)
            found = matching.truth_of >= 0
            of_truth[matching.truth_of[found]] = index_among_kept[found]
            yield compare(FOLDER, f"matches of sample {i}", of_truth, sample["matched_pred_index_after_score_filter"])
            ours = [_counter(result.samples[i], name) for name in sample["counters"]]
            yield compare(FOLDER, f"counters of sample {i}", ours, list(sample["counters"].values()), _TOLERANCE)
        for name, value in expected["final"].items():
            yield compare(FOLDER, name, _final(result.groups, name), value, _TOLERANCE)
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"{folder}: inputs.npz or expected.json is not as expected: {error!r}") from error


def _counter(counts: Mapping[str, MotionCounts], name: str) -> float:
    kind, group = name.rsplit("_", 1)
    return float(getattr(counts[group], _COUNTERS[kind]))


def _final(groups: Mapping[str, GroupMotion], name: str) -> float:
    kind, group = name.rsplit("_", 1)
    return float(getattr(groups[group], _FINALS[kind]))


def _agents(inputs: Arrays, sample: int) -> Agents:
    """All predictions. Boxes are x, y, z, width, length, height, yaw, vx, vy; paths are offsets from step to step."""
    count = int(inputs["n_pred"][sample])
    boxes = inputs["pred_boxes"][sample, :count]
    paths = np.cumsum(inputs["pred_trajs"][sample, :count], axis=-2, dtype=np.float32)
    modes = paths.shape[1]
    return Agents(
        centers_model=boxes[:, :3],
        sizes_lwh=boxes[:, [4, 3, 5]],
        headings_model=-boxes[:, 6] - np.float32(np.pi / 2),
        velocities_model=boxes[:, 7:9],
        scores=inputs["pred_scores"][sample, :count],
        class_ids=inputs["pred_labels"][sample, :count],
        forecasts_model=paths + boxes[:, None, None, :2],
        forecast_probabilities=np.full((count, modes), 1 / modes, dtype=np.float32),
        query_ids=np.arange(count),
    )


def _truth(inputs: Arrays, sample: int) -> MotionTruth:
    count = int(inputs["n_gt"][sample])
    boxes, attributes = inputs["gt_boxes"][sample, :count], inputs["gt_attr"][sample, :count]
    offsets = attributes[:, : 2 * _STEPS].reshape(count, _STEPS, 2)
    return MotionTruth(
        centers_model=boxes[:, :2],
        class_ids=inputs["gt_labels"][sample, :count],
        futures_model=np.cumsum(offsets, axis=1, dtype=np.float32) + boxes[:, None, :2],
        future_mask=attributes[:, 2 * _STEPS : 3 * _STEPS] == 1,
        counted=np.ones(count, dtype=bool),
    )
