"""Hint-AD's alignment tasks: does a text repeat what the driver itself perceives, predicts and plans?

Errors of counts (root mean square over classes), positions (distance, clock direction, both), motions (speed, clock
direction, both) and plans (m). The two released scorers differ (Hint_VAD, Hint-UniAD); ours reads every text, with
class names in both numbers, and tells how many could not be read. Lower is better.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from aln_p3_core.evaluation.language.hint_ad import Item

Project = Literal["Hint_VAD", "Hint-UniAD"]

#: Classes that Hint-UniAD counts, with their plurals, and those that Hint_VAD looks for.
COUNTED = {
    "car": "cars",
    "truck": "trucks",
    "construction_vehicle": "construction_vehicles",
    "bus": "buses",
    "bicycle": "bicycles",
    "pedestrian": "pedestrians",
}
_VAD_CLASSES = (*COUNTED, "trailer", "barrier", "motorcycle", "traffic_cone")
#: Frames with as many objects are not counted by the released code.
_CROWD = 50
#: Planned points that the released code looks at.
_PLAN_POINTS = 4
_HOURS, _DEGREES_PER_HOUR = 12, 30

_POSITION = re.compile(r"about (-?[\d.]+) meters away at (\d+) o'clock")
_MOTION = re.compile(r"moving at (-?[\d.]+) m/s to its (\d+) o'clock")
_STATIONARY = "stationary"
_POINT = re.compile(r"\[(-?\d+(?:\.\d+)?), ?(-?\d+(?:\.\d+)?)\]")


@dataclass(frozen=True, slots=True)
class AlignmentErrors:
    """Errors of one task, an entry an item that could be read.

    Attributes:
        errors: by name: "count"; "distance", "direction", "position"; "speed", "direction", "motion"; "plan".
            m, m/s, degrees.
        read: items that could be read. unread: items that could not (ours) or were passed over (released).
    """

    errors: dict[str, list[float]] = field(default_factory=dict)
    read: int = 0
    unread: int = 0

    def means(self) -> dict[str, float | None]:
        """Mean error by name; None where nothing could be read."""
        return {name: float(np.mean(values)) if values else None for name, values in self.errors.items()}


def has_number_tag(item: Item) -> bool:
    """Whether the released code looks at an item: only where there is a digit in its question."""
    return re.search(r"\d", item.question) is not None


def count_errors(items: Sequence[Item], project: Project | None = None) -> AlignmentErrors:
    """Root mean square error of counts over the classes.

    Hint_VAD reads singular names only ("3 cars" is nothing) over ten classes and needs a digit in the question.
    Hint-UniAD leaves frames of 50 objects and more out by repeating the error of the frame before.
    """
    errors: list[float] = []
    unread = 0
    classes = _VAD_CLASSES if project == "Hint_VAD" else tuple(COUNTED)
    for item in items:
        if project == "Hint_VAD" and not has_number_tag(item):
            unread += 1
            continue
        answer, truth = (np.array(_counts(text, classes, project)) for text in (item.answer, item.truth))
        if project is None and not re.search(r"\d", item.answer):
            unread += 1
        elif project == "Hint-UniAD" and truth.sum() >= _CROWD:
            errors += errors[-1:]
        else:
            errors.append(float(np.sqrt(np.mean((answer - truth) ** 2.0))))
    return AlignmentErrors({"count": errors}, len(items) - unread, unread)


def position_errors(items: Sequence[Item], project: Project | None = None) -> AlignmentErrors:
    """Errors of "about 12.3 meters away at 2 o'clock": m, degrees, and m between the two places."""
    result = AlignmentErrors({"distance": [], "direction": [], "position": []})
    kept = _kept(items, project)
    pairs = [(_told(_POSITION, item.answer, project), _told(_POSITION, item.truth, project)) for item in kept]
    read = [(a, t) for a, t in pairs if a is not None and t is not None]
    for (a, hour_a), (t, hour_t) in read:
        angle = clock_difference(hour_a, hour_t)
        _append(result.errors, distance=abs(a - t), direction=angle, position=_apart(a, t, angle))
    return AlignmentErrors(result.errors, len(read), len(items) - len(read))


def motion_errors(items: Sequence[Item], project: Project | None = None) -> AlignmentErrors:
    """Errors of "moving at 3.20 m/s to its 4 o'clock direction" or "stationary": m/s, degrees, m/s of the difference.

    As released, stationary is 0 m/s at 0 o'clock (12), and two stationary texts count in speed and direction but not
    in "motion". Ours compares directions only where both move, and counts everything in "motion".
    """
    result = AlignmentErrors({"speed": [], "direction": [], "motion": []})
    pairs = [(_motion(item.answer, project), _motion(item.truth, project)) for item in _kept(items, project)]
    read = [(a, t) for a, t in pairs if a is not None and t is not None]
    for (a, hour_a), (t, hour_t) in read:
        angle = clock_difference(hour_a, hour_t)
        _append(result.errors, speed=abs(a - t))
        both_still, both_move = a == t == 0.0, bool(a and t)
        if project is not None or both_move:
            _append(result.errors, direction=angle)
        if project is None or not both_still:
            _append(result.errors, motion=_apart(a, t, angle))
    return AlignmentErrors(result.errors, len(read), len(items) - len(read))


def plan_errors(items: Sequence[Item], project: Project | None = None) -> AlignmentErrors:
    """Distances of planned points, m: Hint_VAD the mean of the first four, Hint-UniAD the fourth (or the last), ours
    the mean of all. Texts without a point are passed over."""
    errors = []
    for item in items:
        answer, truth = (np.array(_POINT.findall(text), dtype=np.float64).reshape(-1, 2) for text in item[1:])
        limit = min(len(answer), len(truth), len(truth) if project is None else _PLAN_POINTS)
        apart = np.linalg.norm(answer[:limit] - truth[:limit], axis=1)
        if limit:
            errors.append(float(apart[-1] if project == "Hint-UniAD" else apart.mean()))
    return AlignmentErrors({"plan": errors}, len(errors), len(items) - len(errors))


def clock_difference(a: int, b: int) -> float:
    """Degrees between two hours of the clock, 0 to 180 (released code may give it others, and then it is negative)."""
    hours = abs(a - b)
    return float(_DEGREES_PER_HOUR * min(hours, _HOURS - hours))


def _kept(items: Iterable[Item], project: Project | None) -> list[Item]:
    return [item for item in items if project is None or has_number_tag(item)]


def _append(errors: dict[str, list[float]], **values: float) -> None:
    for name, value in values.items():
        errors[name].append(value)


def _apart(a: float, b: float, degrees: float) -> float:
    """Distance between the ends of two arrows of lengths a and b (law of cosines)."""
    return float(np.sqrt(max(a * a + b * b - 2 * a * b * np.cos(np.radians(degrees)), 0.0)))


def _motion(text: str, project: Project | None) -> tuple[float, int] | None:
    return _told(_MOTION, text, project) or ((0.0, 0) if _STATIONARY in text else None)


def _told(pattern: re.Pattern[str], text: str, project: Project | None) -> tuple[float, int] | None:
    """A number and an hour; None where there are none. A language model also writes "1.2.3" and "25 o'clock".

    As released, 25 o'clock is an hour, whose error can be negative; in ours it cannot be read.
    """
    found = pattern.search(text)
    if found is None:
        return None
    try:
        number, hour = float(found[1]), int(found[2])
    except ValueError:
        return None
    return (number, hour) if project is not None or hour <= _HOURS else None


def _counts(text: str, classes: Sequence[str], project: Project | None) -> list[int]:
    counts = []
    for name in classes:
        names = name if project == "Hint_VAD" else f"(?:{COUNTED[name]}|{name})"
        found = re.search(rf"(\d+) {names}\b", text)
        counts.append(int(found[1]) if found else 0)
    return counts
