"""Traffic lights of a SUMO network: which connectors obey which light, and where its head stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import Signal
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.state import SignalColor

_COLORS = {
    "r": SignalColor.RED,
    "u": SignalColor.RED,
    "s": SignalColor.RED,
    "y": SignalColor.YELLOW,
    "Y": SignalColor.YELLOW,
    "G": SignalColor.GREEN,
    "g": SignalColor.GREEN_YIELD,
}
_SHOWN_FIRST = (SignalColor.YELLOW, SignalColor.RED, SignalColor.GREEN, SignalColor.GREEN_YIELD)

HEAD_HEIGHT_M = 3.6
#: The head stands on the far side of the junction, so far behind the kerb.
_KERB_M = 0.6
_HEAD_SPACING_M = 0.7


@dataclass(frozen=True, slots=True)
class SignalLinks:
    """Which SUMO links every `CityMap.signals` stands for.

    Attributes:
        tls: [S] ids of SUMO traffic lights.
        links: [S] link indices within the traffic light's state.
    """

    tls: tuple[str, ...]
    links: tuple[tuple[int, ...], ...]

    def colors(self, states: Mapping[str, str]) -> NDArray[np.int64]:
        """[S] `SignalColor` from the states of all traffic lights (such as "GGrryy", by id).

        All links of a signal turn green and red together. It shows green with priority if one of them has it: a
        left turn that shares its lane yields all the same (`Lane.yields_to`).
        """
        colors = []
        for tls, links in zip(self.tls, self.links, strict=True):
            shown = {_COLORS.get(states[tls][link], SignalColor.OFF) for link in links}
            colors.append(next((color for color in _SHOWN_FIRST if color in shown), SignalColor.OFF))
        return np.array(colors, dtype=np.int64)


@dataclass(slots=True)
class Approach:
    """Links of one approach lane that turn green and red together.

    Attributes:
        tls: id of the SUMO traffic light. lane: id of the approach lane.
        links: link indices. connectors: indices of connectors.
        end: [P, 2] centreline of the approach lane. width: m.
        place: 0 for the rightmost lane of the approach, 1 for the next. beside: how many lanes there are.
        reach: m ahead of the stop line to the far side of the junction.
    """

    tls: str
    lane: str
    links: list[int]
    connectors: list[int]
    end: FloatArray
    width: float
    place: int
    beside: int
    reach: float


def place_signals(approaches: list[Approach], drivable: BaseGeometry) -> tuple[tuple[Signal, ...], SignalLinks]:
    """A signal for every approach, with its head beyond the junction, beside the road."""
    prepared = drivable.buffer(_KERB_M)
    shapely.prepare(prepared)
    signals = []
    taken: dict[str, int] = {}
    for approach in approaches:
        number = taken.get(approach.lane, 0)
        taken[approach.lane] = number + 1
        signals.append(_signal(approach, number, prepared))
    links = SignalLinks(tuple(a.tls for a in approaches), tuple(tuple(a.links) for a in approaches))
    return tuple(signals), links


def _signal(approach: Approach, number: int, drivable: BaseGeometry) -> Signal:
    stop = approach.end[-1]
    heading = heading_at(approach.end, np.inf, span=3.0)
    ahead = np.array([np.cos(heading), np.sin(heading)])
    right = np.array([ahead[1], -ahead[0]])
    half = approach.width / 2
    place = _clear_place(stop, ahead, right, approach.reach, drivable)
    # Heads of one approach stand side by side: those of the rightmost lane furthest right.
    head = place + right * _HEAD_SPACING_M * (approach.beside - 1 - approach.place + 0.5 * number)
    return Signal(
        id=f"{approach.lane}/{number}",
        stop_line=np.array([stop - right * half, stop + right * half]),
        head=np.array([head[0], head[1], HEAD_HEIGHT_M]),
        heading=float(np.arctan2(-ahead[1], -ahead[0])),
    )


def _clear_place(
    stop: FloatArray, ahead: FloatArray, right: FloatArray, reach: float, drivable: BaseGeometry
) -> FloatArray:
    """The first place off the road, ahead of the lane or to the right of that, on the far side of the junction."""
    further, aside = (grid.ravel() for grid in np.meshgrid(np.arange(1.0, 16.0), np.arange(0.0, 16.0, 0.25)))
    order = np.lexsort((aside, further))
    places = stop + (reach + further[order])[:, None] * ahead + aside[order][:, None] * right
    clear = np.flatnonzero(~shapely.contains_xy(drivable, places[:, 0], places[:, 1]))
    return places[clear[0]] if len(clear) else stop + 4.0 * right
