"""Parity of detection with nuscenes-devkit's command and with VAD's variant of it: `check_detection(folder)`.

The folder holds nusc/ (a small root), results_<split>.json in the benchmark's format, and expected_<split>/ or
expected_vad_custom_<split>/ with metrics_summary.json, counts.json and (devkit only) metrics_details.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.splits import scenes_of_split
from aln_p3_core.evaluation.detection import DetectionTruth, devkit_config, evaluate_boxes
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json
from aln_p3_core.evaluation.perception_protocol import read_detection_protocol

FOLDER = "detection"
_TOLERANCE = 1e-9
_EXPECTED = "expected_"
_VAD = "vad_custom_"


def check_detection(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
    """
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    folder = Path(folder)
    dataset = NuScenesDataset(folder / "nusc")
    for expected in sorted(folder.glob(f"{_EXPECTED}*")):
        name = expected.name.removeprefix(_EXPECTED)
        split = name.removeprefix(_VAD)
        protocol = read_detection_protocol("vad" if name.startswith(_VAD) else "nuscenes")
        tokens = [token for scene in scenes_of_split(dataset, split) for token in dataset.scene_tokens(scene)]
        truth = DetectionTruth(dataset, tokens)
        stored = read_json(folder / f"results_{split}.json")["results"]
        boxes = truth.with_distances(EvalBoxes.deserialize({t: stored[t] for t in tokens}, DetectionBox))
        config = devkit_config(protocol)
        counts = read_json(expected / "counts.json")
        for kind, found in (("gt", truth.boxes), ("pred", boxes)):
            kept = truth.filtered(found, config, protocol)
            golden = counts[f"{kind}_after_filter"]
            yield compare(FOLDER, f"{name} {kind} boxes kept", [len(kept[t]) for t in golden], list(golden.values()))
        result = evaluate_boxes(boxes, truth, protocol)
        summary = read_json(expected / "metrics_summary.json")
        yield compare(FOLDER, f"{name} mAP", result.mean_ap, summary["mean_ap"], _TOLERANCE)
        yield compare(FOLDER, f"{name} NDS", result.nd_score, summary["nd_score"], _TOLERANCE)
        for key, value in summary["tp_errors"].items():
            yield compare(FOLDER, f"{name} {key}", result.errors[key], value, _TOLERANCE)
        for class_name, value in summary["mean_dist_aps"].items():
            errors = summary["label_tp_errors"][class_name]
            ours = [result.class_ap[class_name], *(result.class_errors[class_name][key] for key in errors)]
            yield compare(FOLDER, f"{name} {class_name}", ours, [value, *errors.values()], _TOLERANCE)
            by_distance = summary["label_aps"][class_name]
            ours = [result.devkit["label_aps"][class_name][float(distance)] for distance in by_distance]
            yield compare(FOLDER, f"{name} {class_name} AP", ours, list(by_distance.values()), _TOLERANCE)
        if (expected / "metrics_details.json").is_file():
            yield from _curves(name, result.curves, read_json(expected / "metrics_details.json"))


def _curves(
    name: str, ours: Mapping[str, Mapping[str, Any]], golden: Mapping[str, Mapping[str, Any]]
) -> Iterator[MetricLine]:
    for key, curves in golden.items():
        a, b = (np.array([source[curve] for curve in curves], dtype=np.float64) for source in (ours[key], curves))
        yield compare(FOLDER, f"{name} curves of {key}", a, b, _TOLERANCE)
