"""How detections, map lines and motion are counted, as named, versioned files in `protocols/`.

`read_map_protocol("p3")`, or a path to a file of one's own; `dataclasses.replace` makes variants. docs/evaluation.md
tells how the protocols differ.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.protocol_file import read_settings
from aln_p3_core.scene import AGENT_CLASSES

#: Protocols in the tree, by title; the first of each kind is the released one.
DETECTION_PROTOCOLS = {
    "nuscenes": "detection_cvpr_2019_v1.yaml",
    "range": "detection_range_v1.yaml",
    "within 30 m": "detection_within30_v1.yaml",
    "vad": "detection_vad_v1.yaml",
}
MAP_PROTOCOLS = {
    "vad": "map_vad_v1.yaml",
    "p3": "map_p3_v1.yaml",
    "vad raw points": "map_vad_raw_v1.yaml",
    "vad iou": "map_vad_iou_v1.yaml",
}
MOTION_PROTOCOLS = {"vip3d": "motion_vip3d_v1.yaml", "p3": "motion_p3_v1.yaml"}

MissingClasses = Literal["count_as_zero", "left_out"]
BEST_F1 = "best_f1"


@dataclass(frozen=True, slots=True)
class DetectionProtocol:
    """One way to choose the boxes that nuscenes-devkit then scores.

    Attributes:
        name: with its version. title: in tables.
        devkit_config: name of the devkit's own configuration.
        class_ranges: whether its radial range of each class applies.
        max_distance_m: no box beyond this distance from the ego origin; None for no such limit.
        range_m: boxes count whose centre is within |x|, |y| of the axes that `range_axes` names: those of the model
            frame, or the map's axes around the ego origin (with no heading); None for no such limit.
        missing_classes: what classes without any truth do to the means.
    """

    name: str
    title: str
    devkit_config: str
    class_ranges: bool
    max_distance_m: float | None
    range_m: tuple[float, float] | None
    range_axes: Literal["model", "global"] | None
    missing_classes: MissingClasses

    def __post_init__(self) -> None:
        if (self.range_m is None) != (self.range_axes is None):
            raise ConfigError(f"{self.name}: range_m and range_axes belong together: give both, or null for both")


@dataclass(frozen=True, slots=True)
class MapProtocol:
    """One way to compare map lines.

    Attributes:
        name: with its version. title: in tables.
        similarity: "chamfer" is the mean distance of points to the other line's, both ways; "iou" the overlap of
            outlines.
        thresholds: m, at most so far apart; for "iou" at least so much overlap.
        resample_predictions: whether predictions are resampled to as many points as the truth (100).
        outline_m: half width of the outlines. With "chamfer", pairs whose outlines do not touch are no pairs; None
            for no such rule.
        taken_truth: a prediction whose best line is taken already is a false positive, or takes its next best.
        missing_classes: what classes without any truth do to the mean.
        range_m: lines are cut at |x|, |y| of the model frame; None to take them as they are.
    """

    name: str
    title: str
    similarity: Literal["chamfer", "iou"]
    thresholds: tuple[float, ...]
    resample_predictions: bool
    outline_m: float | None
    taken_truth: Literal["false_positive", "next_best"]
    missing_classes: MissingClasses
    range_m: tuple[float, float] | None

    def __post_init__(self) -> None:
        if not self.thresholds:
            raise ConfigError(f"{self.name}: thresholds must hold at least one number")
        if self.similarity == "iou" and self.outline_m is None:
            raise ConfigError(f"{self.name}: similarity iou needs outline_m")
        if self.range_m is not None and not self.resample_predictions:
            raise ConfigError(f"{self.name}: lines that are cut (range_m) must be resampled")


@dataclass(frozen=True, slots=True)
class MotionProtocol:
    """One way to compare forecasts.

    Attributes:
        name: with its version. title: in tables.
        groups: what is reported, with the detection classes that belong to each.
        matched_beside: classes that take part in the matching and are not reported.
        assignment: of predictions to objects by centre: smallest sum of distances (Hungarian), or every prediction,
            best score first, to the nearest object that is left.
        across_groups: whether a prediction may be matched to an object of another group.
        match_distance_m: at most so far apart.
        score_above: only predictions above this score; "best_f1": of each group, the score at which the F1 of its
            detection is best.
        known_steps: of a future with gaps, "masked" takes the steps that are known, "as_many_first" as many steps
            from the start.
        hit_distance_m: a forecast is a hit when its best mode ends at most so far away.
        false_positive_weight: of EPA.
        range_m: objects count whose centre is strictly within |x|, |y| of the model frame now; None for all.
        outside_truth: objects beyond, and those without a LiDAR or radar point, are "dropped" at once, or "ignored":
            matched like others, and then neither they nor their predictions count.
    """

    name: str
    title: str
    groups: Mapping[str, tuple[str, ...]]
    matched_beside: tuple[str, ...]
    assignment: Literal["least_distance", "best_score_first"]
    across_groups: bool
    match_distance_m: float
    score_above: float | Literal["best_f1"]
    known_steps: Literal["masked", "as_many_first"]
    hit_distance_m: float
    false_positive_weight: float
    range_m: tuple[float, float] | None
    outside_truth: Literal["dropped", "ignored"]

    def __post_init__(self) -> None:
        named = [name for names in self.groups.values() for name in names] + list(self.matched_beside)
        unknown = sorted(set(named) - set(AGENT_CLASSES))
        if unknown or not self.groups or len(set(named)) != len(named):
            raise ConfigError(
                f"{self.name}: groups and matched_beside must name classes of {AGENT_CLASSES}, each once; got {named}"
            )
        if self.score_above == BEST_F1 and self.assignment != "best_score_first":
            raise ConfigError(f"{self.name}: score_above {BEST_F1} needs assignment best_score_first")


Kind = TypeVar("Kind", DetectionProtocol, MapProtocol, MotionProtocol)


def read_detection_protocol(name: str | Path) -> DetectionProtocol:
    """A protocol of the tree by title (`DETECTION_PROTOCOLS`), or one from a file. Raises ConfigError."""
    return _read(DetectionProtocol, DETECTION_PROTOCOLS, name)


def read_map_protocol(name: str | Path) -> MapProtocol:
    """A protocol of the tree by title (`MAP_PROTOCOLS`), or one from a file. Raises ConfigError."""
    return _read(MapProtocol, MAP_PROTOCOLS, name)


def read_motion_protocol(name: str | Path) -> MotionProtocol:
    """A protocol of the tree by title (`MOTION_PROTOCOLS`), or one from a file. Raises ConfigError."""
    return _read(MotionProtocol, MOTION_PROTOCOLS, name)


def _read(kind: type[Kind], known: Mapping[str, str], name: str | Path) -> Kind:
    hints = get_type_hints(kind)
    tree, source = read_settings(name, known, {field.name for field in fields(kind)}, "protocol")
    values = {key: _value(hints[key], value, f"{source}: {key}") for key, value in tree.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """A value of YAML as the type that a field has. Raises ConfigError naming the field."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for option in args:
            try:
                return _value(option, value, where)
            except ConfigError:
                continue
    elif origin is Literal:
        if value in args:
            return value
    elif origin is tuple and isinstance(value, list):
        length = None if args[-1] is Ellipsis else len(args)
        if length in (None, len(value)):
            return tuple(_value(args[0], item, where) for item in value)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, Mapping) and origin is not None:
        return {str(key): _value(args[1], item, where) for key, item in value.items()}
    elif hint is type(None):
        if value is None:
            return None
    elif origin is None and isinstance(value, hint):
        return value
    raise ConfigError(f"{where} must be of type {getattr(hint, '__name__', hint)}, got {value!r}")
