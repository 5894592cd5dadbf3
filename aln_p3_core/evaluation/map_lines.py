"""Map lines of many samples in one array, and how alike two of them are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

#: Points that lines are resampled to.
RESAMPLED_POINTS = 100
# So many pairs at once stay in the processor's cache.
_PAIRS_AT_ONCE = 64
# Lines that touch the edge of the range are not cut there.
_EDGE_M = 1e-3
# GEOS cuts mitres off at this many times the half width.
_MITRE_LIMIT = 5.0


class Elements(Protocol):
    """Map lines of a sample: `scene.MapElements`, or `datasets.map_elements.MapTargets`."""

    @property
    def points_model(self) -> Any: ...

    @property
    def class_ids(self) -> IntArray: ...


@dataclass(frozen=True, slots=True, eq=False)
class MapLines:
    """Lines of many samples. N = lines, P = points of the longest; shorter ones repeat their last point.

    Attributes:
        points_model: [N, P, 2] m, each in the model frame of its sample.
        samples: [N] index of the sample, ascending.
        class_ids: [N].
        scores: [N]; zero for the truth.
    """

    points_model: FloatArray
    samples: IntArray
    class_ids: IntArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.samples)

    def select(self, keep: Any) -> MapLines:
        """Those that a mask or an index keeps."""
        return MapLines(self.points_model[keep], self.samples[keep], self.class_ids[keep], self.scores[keep])


def gather_lines(elements: Sequence[Elements | None]) -> MapLines:
    """Lines of samples in their order; None is a sample without any. Lines of fewer than two points are left out."""
    longest = max((e.points_model.shape[1] for e in elements if e is not None), default=2)
    points, samples, class_ids, scores = [], [], [], []
    for index, element in enumerate(elements):
        if element is None or len(element.class_ids) == 0 or element.points_model.shape[1] < 2:
            continue
        own = np.asarray(element.points_model, dtype=np.float64)
        points.append(np.pad(own, ((0, 0), (0, longest - own.shape[1]), (0, 0)), mode="edge"))
        samples.append(np.full(len(own), index))
        class_ids.append(np.asarray(element.class_ids, dtype=np.int64))
        scores.append(np.asarray(getattr(element, "scores", np.zeros(len(own))), dtype=np.float64))
    if not points:
        none = np.zeros(0, dtype=np.int64)
        return MapLines(np.zeros((0, longest, 2)), none, none, np.zeros(0))
    return MapLines(*map(np.concatenate, (points, samples, class_ids, scores)))


def resample(points: FloatArray, count: int = RESAMPLED_POINTS) -> FloatArray:
    """[N, count, 2] evenly spaced points of lines [N, P, 2], from start to end."""
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    along = np.concatenate([np.zeros((len(points), 1)), np.cumsum(steps, axis=1)], axis=1)
    wanted = np.linspace(0.0, 1.0, count) * along[:, -1:]
    segment = np.zeros(wanted.shape, dtype=np.int64)
    for k in range(1, steps.shape[1]):
        segment += wanted >= along[:, k : k + 1]
    rows = np.arange(len(points))[:, None]
    length = steps[rows, segment]
    fraction = np.divide(wanted - along[rows, segment], length, out=np.zeros_like(wanted), where=length > 0)
    start, end = points[rows, segment], points[rows, segment + 1]
    return start + fraction[..., None] * (end - start)


def cut_at_range(lines: MapLines, range_m: tuple[float, float]) -> MapLines:
    """Lines cut at |x| and |y|: what leaves the range is gone; every piece that stays is a line of its own."""
    limit = np.asarray(range_m)
    outside = (np.abs(lines.points_model) > limit + _EDGE_M).any(axis=(1, 2))
    if not outside.any():
        return lines
    from shapely import box, get_parts, intersection, linestrings

    crossing = np.flatnonzero(outside)
    pieces = intersection(linestrings(lines.points_model[crossing]), box(*-limit, *limit))
    parts, source = get_parts(pieces, return_index=True)
    found = [(np.asarray(part.coords), crossing[i]) for part, i in zip(parts, source, strict=True) if part.length > 0]
    longest = max([lines.points_model.shape[1], *(len(points) for points, _ in found)])
    padded = [np.pad(points, ((0, longest - len(points)), (0, 0)), mode="edge") for points, _ in found]
    inside = lines.select(~outside)
    grown = np.pad(inside.points_model, ((0, 0), (0, longest - inside.points_model.shape[1]), (0, 0)), mode="edge")
    source = np.concatenate([np.flatnonzero(~outside), np.array([i for _, i in found], dtype=np.int64)])
    points = np.concatenate([grown, np.array(padded).reshape(-1, longest, 2)])
    order = np.argsort(source, kind="stable")
    whole = lines.select(source[order])
    return MapLines(points[order], whole.samples, whole.class_ids, whole.scores)


def pairs_of_same_kind(first: MapLines, second: MapLines) -> tuple[IntArray, IntArray]:
    """Indices of all pairs of the same sample and class, by first index, then second."""
    classes = 1 + max([0, *first.class_ids, *second.class_ids])
    keys, others = (lines.samples * classes + lines.class_ids for lines in (first, second))
    order = np.argsort(others, kind="stable")
    start = np.searchsorted(others[order], keys, side="left")
    counts = np.searchsorted(others[order], keys, side="right") - start
    a = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a, order[np.repeat(start, counts) + within]


def box_corners(points: FloatArray) -> FloatArray:
    """[N, 2, 2] lowest and highest corner of the bounding boxes of lines [N, P, 2]: all that `box_gaps` needs of them,
    and the room of two points where every line stands in many pairs."""
    return np.stack([points.min(axis=1), points.max(axis=1)], axis=1)


def box_gaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """[K] distances between the bounding boxes of lines [K, P, 2] and [K, Q, 2]: no two points are nearer."""
    gap = np.maximum(first.min(axis=1) - second.max(axis=1), second.min(axis=1) - first.max(axis=1))
    return np.linalg.norm(np.maximum(gap, 0.0), axis=1)


def chamfer_bound(first: FloatArray, second: FloatArray) -> FloatArray:
    """[K] a lower bound of `chamfer` that costs little: distances of points to the other line's bounding box."""
    return (_to_box(first, second) + _to_box(second, first)) / 2


def _to_box(points: FloatArray, others: FloatArray) -> FloatArray:
    low, high = others.min(axis=1, keepdims=True), others.max(axis=1, keepdims=True)
    return np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0.0), axis=2).mean(axis=1)


def chamfer(first: FloatArray, second: FloatArray) -> FloatArray:
    """[K] mean distance of points to the nearest of the other line, both ways, of [K, P, 2] and [K, Q, 2], m."""
    found = np.zeros(len(first))
    for k in range(0, len(first), _PAIRS_AT_ONCE):
        a, b = first[k : k + _PAIRS_AT_ONCE], second[k : k + _PAIRS_AT_ONCE]
        squares = np.square(a[:, :, None, 0] - b[:, None, :, 0])
        squares += np.square(a[:, :, None, 1] - b[:, None, :, 1])
        both = [np.sqrt(squares.min(axis=axis)).mean(axis=1) for axis in (2, 1)]
        found[k : k + _PAIRS_AT_ONCE] = (both[0] + both[1]) / 2
    return found


def outlines_touch(first: FloatArray, second: FloatArray, half_width_m: float) -> BoolArray:
    """[K] whether outlines of lines [K, P, 2] and [K, Q, 2], so far around them, have a point in common."""
    from shapely import intersects

    near = _outlines_near(first, second, half_width_m)
    touching = np.zeros(len(first), dtype=bool)
    touching[near] = intersects(_outlines(first[near], half_width_m), _outlines(second[near], half_width_m))
    return touching


def outline_overlap(first: FloatArray, second: FloatArray, half_width_m: float, at_least: float = 0.0) -> FloatArray:
    """[K] intersection over union of outlines of lines [K, P, 2] and [K, Q, 2], so far around them.

    Pairs that cannot overlap by `at_least` are 0: their areas or bounding boxes say so at little cost.
    """
    from shapely import area, bounds, intersection, union

    overlap = np.zeros(len(first))
    near = np.flatnonzero(_outlines_near(first, second, half_width_m))
    a, b = (_outlines(points[near], half_width_m) for points in (first, second))
    common = np.minimum(bounds(a)[:, 2:], bounds(b)[:, 2:]) - np.maximum(bounds(a)[:, :2], bounds(b)[:, :2])
    most = np.minimum(np.minimum(area(a), area(b)), np.maximum(common, 0.0).prod(axis=1))
    possible = most >= at_least * (area(a) + area(b) - most) - 1e-9
    near, a, b = near[possible], a[possible], b[possible]
    overlap[near] = area(intersection(a, b)) / area(union(a, b))
    return overlap


def _outlines_near(first: FloatArray, second: FloatArray, half_width_m: float) -> BoolArray:
    return box_gaps(first, second) <= 2 * _MITRE_LIMIT * half_width_m


def _outlines(points: FloatArray, half_width_m: float) -> NDArray[Any]:
    """Flat ends and mitred corners. Every line once, though it stands in several pairs."""
    from shapely import buffer, linestrings

    rows = points.reshape(len(points), 2 * points.shape[1])
    _, index, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    polygons = buffer(
        linestrings(points[index]), half_width_m, cap_style="flat", join_style="mitre", mitre_limit=_MITRE_LIMIT
    )
    return np.asarray(polygons, dtype=object)[inverse.reshape(-1)]
