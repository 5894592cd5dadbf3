"""Reads SUMO networks: `CityMap` with connectors, priorities, signals, crossings and pavements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.city.city_map import CityMap, Divider, Lane, Turn
from aln_p3_core.world.city.lines import arc_lengths, heading_at, offset_line, resample, without_repeats
from aln_p3_core.world.city.shapes import cleaned_union, outlines, polygon_of, strip
from aln_p3_core.world.city.signals import Approach, SignalLinks, place_signals
from aln_p3_core.world.city.smoothing import smooth_path
from aln_p3_core.world.city.sumo_xml import SumoLane, SumoXml, parse_sumo_xml

#: A connector that changes the heading by more is a turn; by more than the last a U-turn. Where there is no choice
#: of roads, it takes more to be a turn than a bend.
_TURN_RAD = np.radians(35.0)
_BEND_RAD = np.radians(60.0)
_U_TURN_RAD = np.radians(150.0)
#: Width of what a car sweeps in a junction, m.
_SWEPT_M = 2.6
#: Turns shorter than this are sharper than a car turns, m.
_SHARP_M = 8.0
#: A crossing's outline and the band along its middle have this share in common, or else the outline is wrong.
_OUTLINE_SHARE = 0.6

#: Parts of a junction that are narrower than this, m, between its pavements are pavement.
_TONGUE_M = 1.2


@dataclass(frozen=True, eq=False)
class SumoCity:
    """A city map with what ties it to its SUMO network.

    Attributes:
        city: the map.
        signal_links: which SUMO links the signals stand for.
        lane_of: index into `CityMap.lanes` of every SUMO lane that vehicles use, all parts of connectors included.
        crossing_ids: SUMO edges of `CityMap.crossings`, in their order.
        file: the network.
    """

    city: CityMap
    signal_links: SignalLinks
    lane_of: Mapping[str, int]
    crossing_ids: tuple[str, ...]
    file: Path


@dataclass(slots=True)
class _Link:
    """A connector: the chain of internal lanes from one lane to another."""

    source: str
    target: str
    parts: list[str]
    tls: str
    index: int


def read_sumo_net(file: Path, name: str) -> SumoCity:
    """Reads a SUMO network (.net.xml or .net.xml.gz) with internal lanes.

    Args:
        file: the network.
        name: of the city.

    Raises:
        DataError: when the file is missing, or is no network for cars.
    """
    net = parse_sumo_xml(file)
    roads = [i for i, lane in net.lanes.items() if lane.drives and net.function[lane.edge] == "normal"]
    links = _links(net, roads)
    if not roads or not links:
        raise DataError(f"{file} has no lanes for cars that junctions connect")
    lane_of = {lane: index for index, lane in enumerate(roads)}
    for offset, link in enumerate(links):
        lane_of.update((part, len(roads) + offset) for part in link.parts)
    ways = _ways(net, links)
    drivable = _drivable(net, ways)
    approaches = _approaches(net, links, lane_of)
    signals, signal_links = place_signals(approaches, drivable)
    signal_of = {c: index for index, approach in enumerate(approaches) for c in approach.connectors}
    crossings = [lane for lane in net.lanes.values() if net.function[lane.edge] == "crossing" and _has_length(lane)]
    city = CityMap(
        name=name,
        lanes=(*_road_lanes(net, roads, links, lane_of), *_connectors(net, links, lane_of, signal_of)),
        boundaries=outlines(drivable),
        drivable=drivable,
        dividers=_dividers(net),
        signals=signals,
        crossings=tuple(_crossing_outline(c.shape, c.width, c.outline) for c in crossings),
        walkways=_walkways(net, ways),
        parking_lanes=_parking_lanes(net),
    )
    return SumoCity(city, signal_links, lane_of, tuple(c.edge for c in crossings), file)


def _links(net: SumoXml, roads: list[str]) -> list[_Link]:
    driven = set(roads)
    inner = {f"{c['from']}_{c['fromLane']}": c for c in net.connections if net.function.get(c["from"]) == "internal"}
    links = []
    for connection in net.connections:
        source = f"{connection['from']}_{connection['fromLane']}"
        target = f"{connection['to']}_{connection['toLane']}"
        if source not in driven or target not in driven or "via" not in connection:
            continue
        parts = [connection["via"]]
        while "via" in inner.get(parts[-1], {}):
            parts.append(inner[parts[-1]]["via"])
        links.append(
            _Link(source, target, parts, connection.get("tl", ""), int(connection.get("linkIndex", -1)))
        )  # fmt: skip
    return links


def _road_lanes(net: SumoXml, roads: list[str], links: list[_Link], lane_of: Mapping[str, int]) -> list[Lane]:
    after: dict[str, list[int]] = {}
    before: dict[str, list[int]] = {}
    for link in links:
        after.setdefault(link.source, []).append(lane_of[link.parts[0]])
        before.setdefault(link.target, []).append(lane_of[link.parts[0]])
    lanes = []
    for name in roads:
        source = net.lanes[name]
        beside = [other for other in net.lanes_of[source.edge] if net.lanes[other].drives]
        place = beside.index(name)
        lanes.append(
            Lane(
                id=name,
                centerline=without_repeats(source.shape),
                width=source.width,
                speed_limit=source.speed,
                successors=tuple(after.get(name, ())),
                predecessors=tuple(before.get(name, ())),
                left=lane_of[beside[place + 1]] if place + 1 < len(beside) else -1,
                right=lane_of[beside[place - 1]] if place else -1,
                road=source.edge,
            )
        )
    return lanes


def _connectors(
    net: SumoXml, links: list[_Link], lane_of: Mapping[str, int], signal_of: Mapping[int, int]
) -> list[Lane]:
    yields = _priorities(net, links, lane_of)
    roads_after: dict[str, set[str]] = {}
    for link in links:
        roads_after.setdefault(net.lanes[link.source].edge, set()).add(net.lanes[link.target].edge)
    connectors = []
    for link in links:
        source, target, own = net.lanes[link.source], net.lanes[link.target], lane_of[link.parts[0]]
        points = np.concatenate([source.shape[-1:], *(net.lanes[part].shape for part in link.parts), target.shape[:1]])
        bend = float(wrap_angle(heading_at(target.shape, 0.0) - heading_at(source.shape, np.inf)))
        connectors.append(
            Lane(
                id=link.parts[0],
                centerline=without_repeats(points),
                width=min(source.width, target.width),
                speed_limit=min(source.speed, target.speed),
                successors=(lane_of[link.target],),
                predecessors=(lane_of[link.source],),
                junction=net.ends[source.edge][1],
                turn=_turn(bend, choice=len(roads_after[source.edge]) > 1),
                signal=signal_of.get(own, -1),
                yields_to=tuple(yields.get(own, ())),
                road=net.lanes[link.parts[0]].edge,
            )
        )
    return connectors


def _turn(bend: float, choice: bool) -> Turn:
    if abs(bend) > _U_TURN_RAD:
        return Turn.U_TURN
    if abs(bend) > (_TURN_RAD if choice else _BEND_RAD):
        return Turn.LEFT if bend > 0 else Turn.RIGHT
    return Turn.STRAIGHT


def _priorities(net: SumoXml, links: list[_Link], lane_of: Mapping[str, int]) -> dict[int, list[int]]:
    """Connectors that each connector yields to, from the junctions' request matrices."""
    of_part = {part: lane_of[part] for link in links for part in link.parts}
    by_index = {lane_of[link.parts[0]]: link for link in links}
    yields: dict[int, list[int]] = {}
    for junction in net.junctions.values():
        connector_of = [of_part.get(lane, -1) for lane in junction.internal]
        for index, others in enumerate(junction.yields):
            own = connector_of[index]
            if own >= 0:
                # Crossings are links too; they are not connectors.
                foes = [connector_of[i] for i in others if connector_of[i] >= 0]
                yields[own] = [foe for foe in foes if _may_meet(net, by_index[own], by_index[foe])]
    return yields


def _may_meet(net: SumoXml, link: _Link, foe: _Link) -> bool:
    """Whether a link ever has to yield to another: lights keep most apart, all but "green, yield" and "green"."""
    if link.index < 0 or link.tls != foe.tls:
        return True
    return any(state[link.index] == "g" and state[foe.index] in "Gg" for state in net.phases[link.tls])


def _approaches(net: SumoXml, links: list[_Link], lane_of: Mapping[str, int]) -> list[Approach]:
    groups: dict[tuple[str, str, str], Approach] = {}
    for link in links:
        if link.index < 0:
            continue
        shown = "".join(state[link.index] for state in net.phases[link.tls]).replace("g", "G")
        lane = net.lanes[link.source]
        key = (link.tls, link.source, shown)
        if key not in groups:
            beside = net.lanes_of[lane.edge]
            right = [net.lanes[other] for other in beside[: beside.index(lane.id)] if not net.lanes[other].walks]
            groups[key] = Approach(
                tls=link.tls,
                lane=link.source,
                links=[],
                connectors=[],
                end=lane.shape,
                width=lane.width,
                place=sum(other.drives for other in right),
                beside=sum(net.lanes[other].drives for other in beside),
                reach=_reach(net, links, link),
            )
        groups[key].links.append(link.index)
        groups[key].connectors.append(lane_of[link.parts[0]])
    return list(groups.values())


def _reach(net: SumoXml, links: list[_Link], link: _Link) -> float:
    """m ahead of the stop line at which the last road that begins at the junction begins."""
    edge, stop = net.lanes[link.source].edge, net.lanes[link.source].shape[-1]
    heading = heading_at(net.lanes[link.source].shape, np.inf, span=3.0)
    ends = [net.lanes[other.target].shape[0] for other in links if net.lanes[other.source].edge == edge]
    return float(max((np.array(ends) - stop) @ [np.cos(heading), np.sin(heading)]))


def _ways(net: SumoXml, links: list[_Link]) -> BaseGeometry:
    """What cars sweep in junctions: at a few odd ones netconvert lays pavement over it, or corners too sharply."""
    inner = [lane for lane in net.lanes.values() if net.function[lane.edge] == "internal" and lane.drives]
    lines = [without_repeats(lane.shape) for lane in inner]
    for link in links:
        source, target = net.lanes[link.source].shape, net.lanes[link.target].shape
        middle = np.concatenate([net.lanes[part].shape for part in link.parts])
        bend = abs(float(wrap_angle(heading_at(target, 0.0) - heading_at(source, np.inf))))
        if bend > _TURN_RAD and arc_lengths(middle)[-1] < _SHARP_M:
            ends = resample(source, 1.0)[-15:], resample(target, 1.0)[:15]
            lines.append(smooth_path(without_repeats(np.concatenate([ends[0], middle, ends[1]])))[0])
    return shapely.union_all([strip(line, _SWEPT_M) for line in lines if len(line) >= 2])


def _has_length(lane: SumoLane) -> bool:
    """netconvert makes crossings of no length where the ends of a road touch."""
    return bool(np.ptp(lane.shape, axis=0).max() > 0.5)


def _drivable(net: SumoXml, ways: BaseGeometry) -> BaseGeometry:
    roads, walks = [ways], []
    for lane in net.lanes.values():
        function = net.function[lane.edge]
        # Ways through a junction are road also where SUMO lets its walking areas reach over them (at sharp bends).
        if (function == "normal" and not lane.walks) or (function == "internal" and lane.drives):
            roads.append(strip(lane.shape, lane.width))
        elif function == "walkingarea" and len(lane.shape) >= 3:
            walks.append(polygon_of(lane.shape))
    junctions = [polygon_of(j.shape) for j in net.junctions.values() if len(j.shape) >= 3]
    pavement = cleaned_union(walks, 0.0).buffer(0.01) if walks else None
    inner = cleaned_union(junctions, 0.0)
    if pavement is not None:
        # Without the thin tongues that remain where a junction reaches a little beyond its walking areas.
        inner = inner.difference(pavement).buffer(-_TONGUE_M / 2, join_style="mitre")
        inner = inner.buffer(_TONGUE_M / 2, join_style="mitre")
    return cleaned_union([*roads, inner])


def _walkways(net: SumoXml, ways: BaseGeometry) -> tuple[FloatArray, ...]:
    walkways: list[FloatArray] = []
    for lane in net.lanes.values():
        function = net.function[lane.edge]
        if function == "normal" and lane.walks and not lane.drives:
            walkways += outlines(strip(lane.shape, lane.width))
        elif function == "walkingarea" and len(lane.shape) >= 3:
            area = polygon_of(lane.shape).difference(ways)
            walkways += [ring for part in getattr(area, "geoms", [area]) if part.area > 0.5 for ring in outlines(part)]
    return tuple(walkways)


def _parking_lanes(net: SumoXml) -> tuple[FloatArray, ...]:
    """Lanes that nobody may drive or walk on."""
    kerbs = [i for i in net.lanes.values() if net.function[i.edge] == "normal" and not (i.drives or i.walks)]
    return tuple(without_repeats(lane.shape) for lane in kerbs)


def _crossing_outline(shape: FloatArray, width: float, outline: FloatArray | None) -> FloatArray:
    """The file's outline where it lies on the crossing: at some junctions it lies beside the road."""
    band = strip(shape, width)
    if outline is not None:
        area = polygon_of(outline)
        if area.intersection(band).area >= _OUTLINE_SHARE * max(area.area, band.area):
            return outline
    return outlines(band)[0]


def _dividers(net: SumoXml) -> tuple[Divider, ...]:
    """Lines between lanes of edges; never through junctions."""
    dividers = []
    for edge, function in net.function.items():
        lanes = [net.lanes[i] for i in net.lanes_of.get(edge, ()) if net.lanes[i].drives]
        if function != "normal" or not lanes:
            continue
        dividers += [Divider(offset_line(lane.shape, lane.width / 2)) for lane in lanes[:-1]]
        opposite = edge[1:] if edge.startswith("-") else "-" + edge
        if opposite in net.ends and not edge.startswith("-"):
            dividers.append(Divider(offset_line(lanes[-1].shape, lanes[-1].width / 2), is_road_divider=True))
    return tuple(dividers)
