"""Detection, vector map and motion as chapters of the report: what drivers see and foresee."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aln_p3_core.evaluation.detection import ERRORS, DetectionResult, DetectionTruth, evaluate_detection
from aln_p3_core.evaluation.map import MapResult, evaluate_map
from aln_p3_core.evaluation.motion import MotionResult, evaluate_motion
from aln_p3_core.evaluation.open_loop import OpenLoop
from aln_p3_core.evaluation.perception_protocol import (
    DETECTION_PROTOCOLS,
    MAP_PROTOCOLS,
    MOTION_PROTOCOLS,
    read_detection_protocol,
    read_map_protocol,
    read_motion_protocol,
)
from aln_p3_core.evaluation.report_blocks import Block, Cell, Gallery, Picture, Section, Table, number, percent
from aln_p3_core.evaluation.report_plots import bars_plot, curves_plot
from aln_p3_core.geometry import FloatArray

Suite = Callable[[OpenLoop], tuple[Section, dict[str, Any]]]

#: Protocols whose precision over recall is drawn, and the distance at which a prediction is right there.
_DRAWN_DETECTION, _DETECTION_DISTANCE = "within 30 m", 2.0
_DRAWN_MAP, _MAP_DISTANCE = "p3", 1.0
_BLIND = "Planners that do not look have nothing to measure here."


def detection_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON by driver and protocol."""
    if not open_loop.drivers:
        return Section("Detection", _BLIND), {}
    truth = DetectionTruth(open_loop.dataset, open_loop.tokens)
    protocols = [read_detection_protocol(name) for name in DETECTION_PROTOCOLS]
    found: dict[str, dict[str, DetectionResult]] = {}
    for label, driver in open_loop.drivers.items():
        agents = {p.token: p.agents for p in driver.main}
        found[label] = {protocol.title: evaluate_detection(agents, truth, protocol) for protocol in protocols}
    blocks: list[Block] = [_detection_means(found)]
    for label, results in found.items():
        blocks.append(_detection_classes(label, results))
        counted = {
            title: {name: ap for name, ap in result.class_ap.items() if result.num_truth[name]}
            for title, result in results.items()
        }
        shown = results[_DRAWN_DETECTION]
        bars = Picture(bars_plot(counted, "average precision"), "png", "AP by class, classes without truth left out.")
        caption = f"Protocol {_DRAWN_DETECTION}, right within {_DETECTION_DISTANCE:g} m of the true centre."
        curves = Picture(curves_plot(_detection_curves(shown)), "png", caption)
        blocks.append(Gallery((bars, curves), f"Average precision of {label}"))
    text = "nuscenes-devkit matches and scores; the protocols say which boxes count (docs/evaluation.md)."
    return Section("Detection", text, tuple(blocks)), _json(found)


def map_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON by driver and protocol."""
    if not open_loop.drivers:
        return Section("Vector map", _BLIND), {}
    truth = open_loop.map_truth
    if all(elements is None for elements in truth):
        return Section("Vector map", "The data set has no map expansion: nothing was measured."), {}
    # Samples without a map say nothing about lines.
    known = [i for i, elements in enumerate(truth) if elements is not None]
    protocols = [read_map_protocol(name) for name in MAP_PROTOCOLS]
    found = {
        label: {
            protocol.title: evaluate_map(
                [driver.main[i].map_elements for i in known], [truth[i] for i in known], protocol
            )
            for protocol in protocols
        }
        for label, driver in open_loop.drivers.items()
    }
    blocks: list[Block] = [_map_table(found)]
    for label, results in found.items():
        shown = results[_DRAWN_MAP]
        index = shown.protocol.thresholds.index(_MAP_DISTANCE)
        curves = {
            name: (shown.recalls[c, index], shown.precisions[c, index])
            for c, name in enumerate(shown.class_names)
            if shown.num_truth[c]
        }
        caption = f"Protocol {_DRAWN_MAP}, right within {_MAP_DISTANCE:g} m (chamfer)."
        blocks.append(Picture(curves_plot(curves), "png", caption, f"Precision over recall of {label}"))
    return Section("Vector map", f"{len(known)} samples with a map.", tuple(blocks)), _json(found)


def motion_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON by driver and protocol."""
    if not open_loop.drivers:
        return Section("Motion", _BLIND), {}
    targets = [open_loop.targets[token] for token in open_loop.tokens]
    found = {
        label: {
            name: evaluate_motion([p.agents for p in driver.main], targets, read_motion_protocol(name))
            for name in MOTION_PROTOCOLS
        }
        for label, driver in open_loop.drivers.items()
    }
    return Section("Motion", "Forecasts of the agents that were detected.", (_motion_table(found),)), _json(found)


PERCEPTION_SUITES: Mapping[str, Suite] = {"detection": detection_suite, "map": map_suite, "motion": motion_suite}


def _json(found: Mapping[str, Mapping[str, DetectionResult | MapResult | MotionResult]]) -> dict[str, Any]:
    return {label: {title: result.to_json() for title, result in rows.items()} for label, rows in found.items()}


def _detection_means(found: Mapping[str, Mapping[str, DetectionResult]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label, results in found.items():
        for title, result in results.items():
            errors = (number(result.errors[name]) for name in ERRORS)
            boxes = (str(sum(counts.values())) for counts in (result.num_truth, result.num_predictions))
            rows.append((f"{label}, {title}", percent(result.mean_ap, 1), percent(result.nd_score, 1), *errors, *boxes))
    return Table(
        ("driver, protocol", "mAP %", "NDS %", "mATE m", "mASE", "mAOE rad", "mAVE m/s", "mAAE", "true", "predicted"),
        tuple(rows),
        "Means over the classes",
        "The data set's attributes decide mAAE: it is 1 or blank where a driver predicts none.",
    )


def _detection_classes(label: str, results: Mapping[str, DetectionResult]) -> Table:
    names = list(next(iter(results.values())).class_ap)
    rows = []
    for name in names:
        cells: list[Cell] = []
        for result in results.values():
            counted = result.num_truth[name] > 0
            cells += [percent(result.class_ap[name], 1) if counted else None, str(result.num_truth[name])]
        rows.append((name.replace("_", " "), *cells))
    columns = [heading for title in results for heading in (f"{title}: AP %", "true")]
    return Table(("class", *columns), tuple(rows), f"Classes of {label}", "AP: mean over 0.5, 1, 2 and 4 m.")


def _detection_curves(result: DetectionResult) -> dict[str, tuple[FloatArray, FloatArray]]:
    curves = {}
    for name, count in result.num_truth.items():
        curve = result.curves.get(f"{name}:{_DETECTION_DISTANCE}")
        if count and curve is not None:
            curves[name] = (np.asarray(curve["recall"]), np.asarray(curve["precision"]))
    return curves


def _map_table(found: Mapping[str, Mapping[str, MapResult]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    class_names: tuple[str, ...] = ()
    for label, results in found.items():
        for title, result in results.items():
            class_names = result.class_names
            per_class = (percent(ap, 1) for ap in result.class_ap)
            rows.append((f"{label}, {title}", percent(result.mean_ap, 1), *per_class, *map(str, result.num_truth)))
    names = [name.replace("_", " ") for name in class_names]
    columns = ("driver, protocol", "mAP %", *(f"{name} AP %" for name in names), *(f"true {name}" for name in names))
    return Table(columns, tuple(rows), "Average precision", "Chamfer: mean over 0.5, 1 and 1.5 m; iou: over overlaps.")


def _motion_table(found: Mapping[str, Mapping[str, MotionResult]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label, results in found.items():
        for title, result in results.items():
            for name, group in result.groups.items():
                distances = (group.min_ade, group.min_fde, group.likely_ade, group.likely_fde)
                shares = (group.miss_rate, group.recall)
                rows.append(
                    (
                        f"{label}, {title}, {name}",
                        *(number(value) for value in distances),
                        *(percent(value, 1) for value in shares),
                        number(group.epa, 3),
                        f"{group.counts.objects:.0f}",
                        f"{group.counts.matched:.0f}",
                        number(group.score_above),
                    )
                )
    columns = ("driver, protocol, group", "minADE m", "minFDE m", "ADE likely m", "FDE likely m", "miss rate %",
               "recall %", "EPA", "objects", "matched", "score above")  # fmt: skip
    return Table(columns, tuple(rows), "Forecasts", "likely: the most probable mode; min: the best of all modes.")
