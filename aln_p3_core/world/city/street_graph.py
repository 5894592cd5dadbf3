"""Layouts of streets as planar graphs: points, and streets of three ranks between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray, wrap_angle


@dataclass(frozen=True, eq=False)
class Street:
    """A street between two points of a graph.

    Attributes:
        start, end: indices of points.
        rank: 2 arterial, 1 street, 0 residential.
        shape: [K, 2] points in between.
        main: belongs to the widest road of the city.
    """

    start: int
    end: int
    rank: int
    shape: FloatArray
    main: bool = False


@dataclass(frozen=True, eq=False)
class StreetGraph:
    """Points [P, 2], m, and streets between them."""

    points: FloatArray
    streets: list[Street]


def graph_of_style(style: str, rng: np.random.Generator) -> StreetGraph:
    """A graph in one of the styles "grid", "spider", "random", "arterial"; every point has two streets or more."""
    return {"grid": _grid, "spider": _spider, "random": _random, "arterial": _arterial}[style](rng)


def _straight() -> FloatArray:
    return np.zeros((0, 2))


def _bow(a: FloatArray, b: FloatArray, height: float) -> FloatArray:
    """Points between a and b on a flat arc, `height` m to the left in the middle."""
    count = 19
    t = np.linspace(0, 1, count + 2)[1:-1]
    along = b - a
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    return a + t[:, None] * along + (height * np.sin(np.pi * t) ** 2)[:, None] * normal


def _grid(rng: np.random.Generator) -> StreetGraph:
    columns, rows = int(rng.integers(4, 6)), int(rng.integers(4, 6))
    xs = np.concatenate([[0.0], np.cumsum(rng.uniform(180, 265, columns - 1))])
    ys = np.concatenate([[0.0], np.cumsum(rng.uniform(180, 265, rows - 1))])
    big_columns, big_rows = {columns // 2}, {1, rows - 2} if rows >= 5 else {rows // 2}
    return _lattice(rng, xs, ys, big_columns, big_rows, jitter=6.0, drop=0.14)


def _arterial(rng: np.random.Generator) -> StreetGraph:
    """One very wide road across the city, two big ones across it, small streets in between."""
    xs = np.concatenate([[0.0], np.cumsum(rng.uniform(215, 290, 4))])
    ys = np.concatenate([[0.0], np.cumsum(rng.uniform(150, 235, 4))])
    row = int(rng.integers(1, 4))
    return _lattice(rng, xs, ys, {1, 3}, {row}, jitter=4.0, drop=0.2, main_row=row)


def _lattice(
    rng: np.random.Generator,
    xs: FloatArray,
    ys: FloatArray,
    big_columns: set[int],
    big_rows: set[int],
    *,
    jitter: float,
    drop: float,
    main_row: int = -1,
) -> StreetGraph:
    columns, rows = len(xs), len(ys)
    points = np.array([[x, y] for y in ys for x in xs]) + rng.uniform(-jitter, jitter, (rows * columns, 2))
    for row in range(rows):  # Big roads are straight.
        for column in range(columns):
            if row in big_rows:
                points[row * columns + column, 1] = ys[row]
            if column in big_columns:
                points[row * columns + column, 0] = xs[column]
    column_rank = [2 if c in big_columns else int(rng.random() < 0.5) for c in range(columns)]
    row_rank = [2 if r in big_rows else int(rng.random() < 0.5) for r in range(rows)]
    streets = []
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if column + 1 < columns:
                streets.append(_lattice_street(rng, points, here, here + 1, row_rank[row], row == main_row))
            if row + 1 < rows:
                streets.append(_lattice_street(rng, points, here, here + columns, column_rank[column], False))
    return _thinned(rng, StreetGraph(points, streets), drop)


def _lattice_street(
    rng: np.random.Generator, points: FloatArray, start: int, end: int, rank: int, main: bool
) -> Street:
    bent = rank < 2 and rng.random() < 0.45
    shape = _bow(points[start], points[end], float(rng.uniform(-16, 16))) if bent else _straight()
    return Street(start, end, rank, shape, main)


def _spider(rng: np.random.Generator) -> StreetGraph:
    """Two roads through the middle, rings around it."""
    arms = int(rng.integers(6, 9))
    angles = 2 * np.pi * (np.arange(arms) + rng.uniform(-0.1, 0.1, arms)) / arms
    through = [0, arms // 2, arms // 4, (3 * arms) // 4]
    radii = [0.0, rng.uniform(205, 225), rng.uniform(425, 460)]
    points = [[0.0, 0.0]]
    streets: list[Street] = []
    ring_rank = [2 if rng.random() < 0.5 else 1, 0]
    for ring in (1, 2):
        for arm in range(arms):
            points.append([radii[ring] * np.cos(angles[arm]), radii[ring] * np.sin(angles[arm])])

    def index(ring: int, arm: int) -> int:
        return 0 if ring == 0 else 1 + (ring - 1) * arms + arm % arms

    for ring in (1, 2):
        for arm in range(arms):
            turn = float(wrap_angle(angles[(arm + 1) % arms] - angles[arm]))
            t = angles[arm] + np.linspace(0, 1, 27)[1:-1] * turn
            arc = radii[ring] * np.stack([np.cos(t), np.sin(t)], axis=1)
            streets.append(Street(index(ring, arm), index(ring, arm + 1), ring_rank[ring - 1], arc))
            inner = index(ring - 1, arm)
            if ring == 2 or arm in through:
                rank = 2 if arm in through else int(rng.random() < 0.5)
                streets.append(Street(inner, index(ring, arm), rank, _straight()))
    return _thinned(rng, StreetGraph(np.array(points), streets), 0.08)


def _random(rng: np.random.Generator) -> StreetGraph:
    """Scattered points joined to their natural neighbours (a Gabriel graph without acute corners)."""
    points = _scatter(rng, size=880.0, apart=185.0)
    pairs = _gabriel_pairs(points)
    pairs = _without_acute_corners(points, pairs, np.radians(56.0))
    graph = _without_dead_ends(StreetGraph(points, [Street(a, b, 0, _straight()) for a, b in pairs]))
    big = _long_paths(graph)
    streets = []
    for street in graph.streets:
        a, b = graph.points[street.start], graph.points[street.end]
        if (street.start, street.end) in big:
            streets.append(Street(street.start, street.end, 2, _straight()))
        else:
            bent = rng.random() < 0.5
            shape = _bow(a, b, float(rng.uniform(-14, 14))) if bent else _straight()
            streets.append(Street(street.start, street.end, int(rng.random() < 0.45), shape))
    return StreetGraph(graph.points, streets)


def _scatter(rng: np.random.Generator, size: float, apart: float) -> FloatArray:
    points: list[FloatArray] = []
    for _ in range(3000):
        candidate = rng.uniform(0, size, 2)
        if all(np.hypot(*(candidate - p)) >= apart for p in points):
            points.append(candidate)
    return np.array(points)


def _gabriel_pairs(points: FloatArray) -> list[tuple[int, int]]:
    pairs = []
    for a in range(len(points)):
        for b in range(a + 1, len(points)):
            middle, radius = (points[a] + points[b]) / 2, np.linalg.norm(points[a] - points[b]) / 2
            distance = np.linalg.norm(points - middle, axis=1)
            distance[[a, b]] = np.inf
            if distance.min() > radius * 1.02:
                pairs.append((a, b))
    return pairs


def _without_acute_corners(points: FloatArray, pairs: list[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    """Drops the longer of two streets that meet at less than `least`, shortest streets first, four at a point."""
    kept: list[tuple[int, int]] = []
    headings: dict[int, list[float]] = {}
    for a, b in sorted(pairs, key=lambda p: (float(np.linalg.norm(points[p[0]] - points[p[1]])), p)):
        heading = float(np.arctan2(*(points[b] - points[a])[::-1]))
        ends = ((a, heading), (b, float(wrap_angle(heading + np.pi))))
        fits = all(
            len(headings.get(n, [])) < 4 and all(abs(wrap_angle(h - other)) >= least for other in headings.get(n, []))
            for n, h in ends
        )
        if fits:
            kept.append((a, b))
            for n, h in ends:
                headings.setdefault(n, []).append(h)
    return kept


def _long_paths(graph: StreetGraph) -> set[tuple[int, int]]:
    """Streets on the straightest ways from west to east and from south to north."""
    import networkx as nx

    big: set[tuple[int, int]] = set()
    net = nx.Graph()
    for street in graph.streets:
        length = float(np.linalg.norm(graph.points[street.start] - graph.points[street.end]))
        net.add_edge(street.start, street.end, weight=length)
    for axis in (0, 1):
        used = sorted(net.nodes)
        side = graph.points[used][:, axis]
        path = nx.shortest_path(net, used[int(side.argmin())], used[int(side.argmax())], weight="weight")
        big |= {(a, b) for a, b in itertools.pairwise(path)}
        big |= {(b, a) for a, b in itertools.pairwise(path)}
    return big


def _thinned(rng: np.random.Generator, graph: StreetGraph, share: float) -> StreetGraph:
    """Takes some small streets out, so that T-junctions appear; nobody is cut off by it."""
    streets = list(graph.streets)
    small = [street for street in streets if street.rank < 2]
    for i in rng.permutation(len(small))[: round(share * len(streets))]:
        rest = [street for street in streets if street is not small[i]]
        if _is_well_connected(graph.points, rest):
            streets = rest
    return StreetGraph(graph.points, streets)


def _is_well_connected(points: FloatArray, streets: list[Street]) -> bool:
    import networkx as nx

    net = nx.Graph()
    net.add_nodes_from(range(len(points)))
    net.add_edges_from((s.start, s.end) for s in streets)
    return nx.is_connected(net) and not nx.has_bridges(net)


def _without_dead_ends(graph: StreetGraph) -> StreetGraph:
    """The largest part of a graph in which no single closure cuts anybody off; points renumbered."""
    import networkx as nx

    net = nx.Graph()
    net.add_edges_from((s.start, s.end) for s in graph.streets)
    net.remove_edges_from(list(nx.bridges(net)))
    parts: list[set[int]] = [set(part) for part in nx.connected_components(net)]
    _, _, largest = max((len(part), -min(part), sorted(part)) for part in parts)
    number = {old: new for new, old in enumerate(largest)}
    streets = [
        Street(number[s.start], number[s.end], s.rank, s.shape, s.main)
        for s in graph.streets
        if s.start in number and s.end in number and net.has_edge(s.start, s.end)
    ]
    return StreetGraph(graph.points[largest], streets)
