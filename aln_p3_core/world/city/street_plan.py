"""Street plans of made-up cities: junctions and roads drawn from a seed, before SUMO gives them lanes.

Every plan has what the scenarios need: roads with two lanes a direction that are straight for 200 m, side streets
with parked cars, signals and priority junctions, zebra crossings between junctions, and places where lanes merge.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.lines import arc_lengths
from aln_p3_core.world.city.street_graph import StreetGraph, graph_of_style

#: Layouts that a plan can have.
STYLES = ("grid", "spider", "random", "arterial")

_KMH = 1 / 3.6
_PARKING_WIDTH_M = 2.3


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A junction, or a place where a road changes. `kind` is SUMO's node type, `radius` that of its corners, m."""

    name: str
    x: float
    y: float
    kind: str = "priority"
    radius: float = 7.0


@dataclass(frozen=True, eq=False)
class PlanRoad:
    """A road between two junctions, with lanes in both directions (or in one).

    Attributes:
        name: of the forward direction; the opposite one is "-" + name.
        start, end: names of nodes.
        shape: [K, 2] points in between, m.
        lanes_forward, lanes_back: driving lanes.
        speed: m/s. lane_width: m. sidewalk: width, m.
        parking: m of kerb lane beside the driving lanes, 0 for none.
        priority: SUMO's priority of the road.
    """

    name: str
    start: str
    end: str
    shape: FloatArray
    lanes_forward: int
    lanes_back: int
    speed: float
    lane_width: float
    sidewalk: float
    parking: float = 0.0
    priority: int = 1


@dataclass(frozen=True, slots=True)
class PlanCrossing:
    """A pedestrian crossing over edges at a node; with `priority` it is a zebra that traffic yields at."""

    node: str
    edges: tuple[str, ...]
    priority: bool = False


@dataclass(frozen=True, eq=False)
class StreetPlan:
    """Junctions, roads, and what is special about them.

    Attributes:
        nodes, roads: by name, in order.
        merges: (incoming edge, outgoing edge, whether all lanes go on): lanes narrow down there.
        crossings: at junctions and between them.
    """

    nodes: dict[str, PlanNode]
    roads: dict[str, PlanRoad]
    merges: list[tuple[str, str, bool]] = field(default_factory=list)
    crossings: list[PlanCrossing] = field(default_factory=list)


def draw_plan(style: str, seed: int) -> StreetPlan:
    """A street plan about one kilometre across. The same style and seed give the same plan.

    Args:
        style: one of `STYLES`.
        seed: of everything that is drawn by lot.
    """
    rng = np.random.default_rng([STYLES.index(style), seed])
    graph = graph_of_style(style, rng)
    plan = _with_lanes(graph, rng, wide=style == "arterial")
    _narrow_arterials(plan, rng)
    _add_zebras(plan, rng)
    _add_junction_crossings(plan)
    return plan


def _with_lanes(graph: StreetGraph, rng: np.random.Generator, wide: bool) -> StreetPlan:
    """Lanes, widths and speeds by the rank of every road; signals where big roads meet."""
    rank_at: dict[int, list[int]] = {}
    for street in graph.streets:
        for end in (street.start, street.end):
            rank_at.setdefault(end, []).append(street.rank)
    nodes = {}
    for index, (x, y) in enumerate(graph.points):
        ranks = sorted(rank_at.get(index, []), reverse=True)
        big = len(ranks) >= 3 and ranks[0] == 2 and (ranks[2] >= 1 or rng.random() < 0.35)
        signal = big or (len(ranks) >= 4 and ranks[0] == 1 and rng.random() < 0.3)
        nodes[f"n{index}"] = PlanNode(f"n{index}", float(x), float(y), "traffic_light" if signal else "priority")
    arterial_speed = float(rng.choice([50, 60])) * _KMH
    roads = {}
    for index, street in enumerate(graph.streets):
        name = f"r{index}"
        common: dict[str, Any] = {"start": f"n{street.start}", "end": f"n{street.end}", "shape": street.shape}
        if street.rank == 2:
            lanes = 3 if wide and street.main else 2
            parking = _PARKING_WIDTH_M if lanes == 2 and rng.random() < 0.2 else 0.0
            roads[name] = PlanRoad(
                name, **common, lanes_forward=lanes, lanes_back=lanes, speed=arterial_speed, lane_width=3.4,
                sidewalk=2.6, parking=parking, priority=3,
            )  # fmt: skip
        else:
            speed = float(rng.choice([40, 50]) if street.rank == 1 else 30) * _KMH
            parking = _PARKING_WIDTH_M if rng.random() < (0.45 if street.rank == 1 else 0.8) else 0.0
            roads[name] = PlanRoad(
                name, **common, lanes_forward=1, lanes_back=1, speed=speed, lane_width=3.3 + 0.1 * street.rank,
                sidewalk=2.2, parking=parking, priority=1 + street.rank,
            )  # fmt: skip
    return StreetPlan(nodes, roads)


def _line(plan: StreetPlan, road: PlanRoad) -> FloatArray:
    a, b = plan.nodes[road.start], plan.nodes[road.end]
    return np.concatenate([[[a.x, a.y]], road.shape.reshape(-1, 2), [[b.x, b.y]]])


def _split(plan: StreetPlan, name: str, at: float, kind: str, radius: float) -> tuple[str, str, str]:
    """Cuts a road at a fraction of its length; returns the names of the new node and of the two parts."""
    road = plan.roads.pop(name)
    line = _line(plan, road)
    s = arc_lengths(line)
    cut = at * s[-1]
    x, y = (float(np.interp(cut, s, line[:, axis])) for axis in (0, 1))
    inner, s_inner = line[1:-1], s[1:-1]
    node = PlanNode(f"m{name}", x, y, kind, radius)
    plan.nodes[node.name] = node
    first = replace(road, name=name + "a", end=node.name, shape=inner[s_inner < cut - 5.0])
    second = replace(road, name=name + "b", start=node.name, shape=inner[s_inner > cut + 5.0])
    plan.roads[first.name], plan.roads[second.name] = first, second
    return node.name, first.name, second.name


def _length(plan: StreetPlan, road: PlanRoad) -> float:
    return float(np.linalg.norm(np.diff(_line(plan, road), axis=0), axis=1).sum())


def _narrow_arterials(plan: StreetPlan, rng: np.random.Generator) -> None:
    """Drops a lane on two or three big roads: in one place both lanes zip, in another the right one ends."""
    big = [r.name for r in plan.roads.values() if r.lanes_forward >= 2 and _length(plan, r) > 190.0]
    # The longest straight big roads stay as they are.
    keep = sorted(big, key=lambda name: -_length(plan, plan.roads[name]))[: max(3, len(big) // 2)]
    others = [name for name in big if name not in keep]
    chosen = [others[i] for i in rng.permutation(len(others))[:3]]
    for number, name in enumerate(chosen):
        zipped = number % 2 == 0
        _, first, second = _split(plan, name, 0.6, "zipper" if zipped else "priority", radius=12.0)
        narrow = plan.roads[second]
        fewer = narrow.lanes_forward - 1
        plan.roads[second] = replace(narrow, lanes_forward=fewer, lanes_back=fewer, parking=0.0)
        plan.roads[first] = replace(plan.roads[first], parking=0.0)
        plan.merges.append((first, second, zipped))


def _add_zebras(plan: StreetPlan, rng: np.random.Generator) -> None:
    """Crossings with priority half-way along some roads of one lane a direction."""
    small = [
        r.name for r in plan.roads.values() if r.lanes_forward == 1 and "b" not in r.name and _length(plan, r) > 150
    ]
    for i in rng.permutation(len(small))[:4]:
        node, first, _ = _split(plan, small[i], float(rng.uniform(0.4, 0.6)), "priority", radius=2.0)
        plan.crossings.append(PlanCrossing(node, (first, "-" + first), priority=True))


def _add_junction_crossings(plan: StreetPlan) -> None:
    """Crossings over every arm of a junction, except over big roads without a signal."""
    arms: dict[str, list[PlanRoad]] = {}
    for road in plan.roads.values():
        arms.setdefault(road.start, []).append(road)
        arms.setdefault(road.end, []).append(road)
    for node, roads in arms.items():
        signal = plan.nodes[node].kind == "traffic_light"
        for road in roads if len(roads) >= 3 else []:
            if signal or road.lanes_forward == 1:
                edges = (road.name, "-" + road.name) if road.lanes_back else (road.name,)
                plan.crossings.append(PlanCrossing(node, edges))
