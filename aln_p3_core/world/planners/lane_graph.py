"""Where actors are on the lanes of a city, and where those lanes lead them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap, Turn

_SAMPLE_M = 2.0
_NEIGHBOURS = 8
#: An actor further than this from a centreline, m, or turned by more than this, rad, is on no lane.
MATCH_DISTANCE_M = 2.6
MATCH_ANGLE_RAD = 0.8
#: m of lanes that a chain holds beyond its first lane.
CHAIN_AHEAD_M = 110.0


@dataclass(frozen=True, eq=False)
class LaneMatch:
    """Lanes under actors. N = actors.

    Attributes:
        lane: [N] index into `CityMap.lanes`, -1 where there is none.
        s: [N] m along the lane. lateral: [N] m to its left. heading: [N] rad, of the lane.
    """

    lane: NDArray[np.int64]
    s: FloatArray
    lateral: FloatArray
    heading: FloatArray


@dataclass(frozen=True, eq=False)
class Chain:
    """One way along lanes: a lane and what follows it.

    Attributes:
        points: [Q, 2] m. headings: [Q] rad, continuous. s: [Q] m from the first lane's beginning.
        lanes: indices. starts: m where each of them begins.
        turn: what the first connector does.
    """

    points: FloatArray
    headings: FloatArray
    s: FloatArray
    lanes: tuple[int, ...]
    starts: tuple[float, ...]
    turn: Turn

    def at(self, s: FloatArray, lateral: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places [..., 2] and headings [...] at arc lengths, `lateral` m to the left; straight on beyond the end."""
        inside = np.clip(s, 0.0, self.s[-1])
        heading = np.interp(inside, self.s, self.headings)
        cos, sin = np.cos(heading), np.sin(heading)
        x = np.interp(inside, self.s, self.points[:, 0]) + (s - inside) * cos - lateral * sin
        y = np.interp(inside, self.s, self.points[:, 1]) + (s - inside) * sin + lateral * cos
        return np.stack([x, y], axis=-1), heading


class LaneGraph:
    """Lanes of one city, indexed for matching."""

    def __init__(self, city: CityMap) -> None:
        self._lanes = city.lanes
        self._chains: dict[int, tuple[Chain, ...]] = {}
        samples = [_resampled(lane.centerline, _SAMPLE_M) for lane in city.lanes]
        none = np.zeros(0)
        self._lane_of = np.repeat(np.arange(len(samples)), [len(p) for p, *_ in samples])
        self._points = np.concatenate([p for p, *_ in samples] or [np.zeros((0, 2))])
        self._s = np.concatenate([s for _, s, _ in samples] or [none])
        self._headings = np.concatenate([h for *_, h in samples] or [none])

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._points)

    def match(self, positions: FloatArray, headings: FloatArray) -> LaneMatch:
        """The lane under each actor: near its middle [N, 2], and leading where it is headed [N]."""
        count = len(positions)
        if not count or not len(self._points):
            return LaneMatch(np.full(count, -1), np.zeros(count), np.zeros(count), np.asarray(headings, float))
        k = min(_NEIGHBOURS, len(self._points))
        _, near = self._tree.query(positions, k=k, distance_upper_bound=MATCH_DISTANCE_M + _SAMPLE_M)
        near = near.reshape(count, k)
        missing = near >= len(self._points)
        near = np.where(missing, 0, near)
        offset = positions[:, None] - self._points[near]
        heading = self._headings[near]
        cos, sin = np.cos(heading), np.sin(heading)
        along = offset[..., 0] * cos + offset[..., 1] * sin
        across = offset[..., 1] * cos - offset[..., 0] * sin
        turned = np.abs(wrap_angle(headings[:, None] - heading))
        cost = np.abs(across) + 2.0 * turned + 0.5 * np.maximum(np.abs(along) - 0.5 * _SAMPLE_M, 0.0)
        bad = missing | (turned > MATCH_ANGLE_RAD) | (np.abs(across) > MATCH_DISTANCE_M) | (np.abs(along) > _SAMPLE_M)
        cost = np.where(bad, np.inf, cost)
        best = cost.argmin(axis=1)
        row = np.arange(count)
        chosen = near[row, best]
        found = np.isfinite(cost[row, best])
        return LaneMatch(
            np.where(found, self._lane_of[chosen], -1),
            self._s[chosen] + along[row, best],
            across[row, best],
            np.where(found, heading[row, best], headings),
        )

    def chains(self, lane: int) -> tuple[Chain, ...]:
        """Every way on from a lane, by its first fork; further on each goes as straight as it can."""
        if lane not in self._chains:
            self._chains[lane] = tuple(self._chain(way) for way in self._ways(lane))
        return self._chains[lane]

    def _ways(self, lane: int) -> list[list[int]]:
        stem = [lane]
        length = 0.0
        while length < CHAIN_AHEAD_M and len(self._lanes[stem[-1]].successors) == 1:
            following = self._lanes[stem[-1]].successors[0]
            if following in stem:
                break
            stem.append(following)
            length += self._lanes[following].length
        forks = [n for n in self._lanes[stem[-1]].successors if n not in stem]
        if length >= CHAIN_AHEAD_M or not forks:
            return [stem]
        return [self._straight_on([*stem, fork]) for fork in forks]

    def _straight_on(self, way: list[int]) -> list[int]:
        length = 0.0
        while length < CHAIN_AHEAD_M:
            choices = [n for n in self._lanes[way[-1]].successors if n not in way]
            if not choices:
                break
            straight = [n for n in choices if self._lanes[n].turn is Turn.STRAIGHT]
            way.append((straight or choices)[0])
            length += self._lanes[way[-1]].length
        return way

    def _chain(self, way: list[int]) -> Chain:
        lengths = [self._lanes[i].length for i in way]
        starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        points = np.concatenate([self._lanes[i].centerline for i in way])
        keep = np.concatenate([[True], np.hypot(*np.diff(points, axis=0).T) > 0.05])
        points = points[keep]
        s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        grid = np.linspace(0.0, s[-1], max(int(s[-1]), 2))
        points = np.stack([np.interp(grid, s, points[:, axis]) for axis in (0, 1)], axis=1)
        headings = np.unwrap(np.arctan2(*np.gradient(points, axis=0).T[::-1]))
        turns = [self._lanes[i].turn for i in way if self._lanes[i].is_connector]
        return Chain(points, headings, grid, tuple(way), tuple(float(v) for v in starts),
                     turns[0] if turns else Turn.STRAIGHT)  # fmt: skip


_GRAPHS: WeakKeyDictionary[CityMap, LaneGraph] = WeakKeyDictionary()


def lane_graph(city: CityMap) -> LaneGraph:
    """The index of a city, built once as long as the city is in use."""
    if city not in _GRAPHS:
        _GRAPHS[city] = LaneGraph(city)
    return _GRAPHS[city]


def _resampled(line: FloatArray, step: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points, arc lengths and headings of a line at about every `step` m, both ends included."""
    edges = np.hypot(*np.diff(line, axis=0).T)
    keep = np.concatenate([[True], edges > 1e-6])
    line = line[keep]
    if len(line) < 2:
        return line, np.zeros(len(line)), np.zeros(len(line))
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    grid = np.linspace(0.0, s[-1], max(int(np.ceil(s[-1] / step)), 1) + 1)
    points = np.stack([np.interp(grid, s, line[:, axis]) for axis in (0, 1)], axis=1)
    headings = np.arctan2(*np.gradient(points, axis=0).T[::-1])
    return points, grid, headings
