"""Draws city maps, routes and scenery from above."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.route import Route, StopKind

_TURN_COLOR = {Turn.STRAIGHT: "#7f8c9a", Turn.LEFT: "#1f77b4", Turn.RIGHT: "#2ca02c", Turn.U_TURN: "#9467bd"}
_STOP_COLOR = {StopKind.SIGNAL: "#e02020", StopKind.YIELD: "#ff9f1c", StopKind.CROSSING: "#ffffff"}


def plot_city(
    city: CityMap,
    file: Path,
    *,
    route: Route | None = None,
    scenery: Scenery | None = None,
    path: FloatArray | None = None,
    window: tuple[float, float, float, float] | None = None,
    pixels: int = 1400,
) -> None:
    """Writes a picture of a city from above.

    Args:
        city: the roads.
        file: PNG to write.
        route, scenery: drawn on top where given.
        path: [P, 2] a recorded path to draw.
        window: x from, y from, x to, y to, m; the whole city when None.
        pixels: of the longer side.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.figure import Figure

    x0, y0, x1, y1 = window or _padded(city.bounds, 30.0)
    scale = pixels / max(x1 - x0, y1 - y0)
    figure = Figure(figsize=((x1 - x0) * scale / 100, (y1 - y0) * scale / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal")
    axes.set_facecolor("#dfe6d8")
    meter = scale * 0.72

    axes.add_collection(PolyCollection(list(city.walkways), facecolors="#c9c4bd"))
    for part in getattr(city.drivable, "geoms", [city.drivable]):
        axes.fill(*np.asarray(part.exterior.coords)[:, :2].T, color="#5b6066")
        for ring in part.interiors:
            axes.fill(*np.asarray(ring.coords)[:, :2].T, color="#dfe6d8")
    axes.add_collection(PolyCollection(list(city.walkways), facecolors="#c9c4bd"))
    axes.add_collection(PolyCollection(list(city.crossings), facecolors="#f5f5f5", alpha=0.55))
    axes.add_collection(LineCollection(list(city.boundaries), colors="#222222", linewidths=max(0.4, 0.2 * meter)))
    for divider in city.dividers:
        color, style = ("#f2c230", "-") if divider.is_road_divider else ("#ffffff", (0, (4, 4)))
        axes.plot(*divider.points.T, color=color, linestyle=style, linewidth=max(0.3, 0.15 * meter))
    connectors = [lane for lane in city.lanes if lane.is_connector]
    axes.add_collection(
        LineCollection(
            [lane.centerline for lane in connectors],
            colors=[_TURN_COLOR[lane.turn] for lane in connectors],
            linewidths=max(0.4, 0.12 * meter),
        )
    )
    if scenery is not None:
        _draw_scenery(axes, scenery, meter)
    for signal in city.signals:
        axes.plot(*signal.stop_line.T, color="#ffffff", linewidth=max(0.6, 0.4 * meter))
        axes.plot(*signal.head[:2], "o", color="#e02020", markersize=max(2.0, 0.7 * meter))
        tip = signal.head[:2] + 2.5 * np.array([np.cos(signal.heading), np.sin(signal.heading)])
        axes.plot([signal.head[0], tip[0]], [signal.head[1], tip[1]], color="#e02020", linewidth=0.8)
    if path is not None:
        axes.plot(*np.asarray(path).T, color="#ff00ff", linewidth=1.2)
    if route is not None:
        _draw_route(axes, route, meter)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _padded(bounds: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    return bounds[0] - by, bounds[1] - by, bounds[2] + by, bounds[3] + by


def _draw_scenery(axes: object, scenery: Scenery, meter: float) -> None:
    from matplotlib.collections import PolyCollection

    boxes = [_box(b[0], b[1], b[2], b[3], b[4]) for b in scenery.buildings]
    cars = [_box(p[0], p[1], p[2], 4.4, 1.8) for p in scenery.parking]
    axes.add_collection(PolyCollection(boxes, facecolors="#b08d79", edgecolors="#6d5546"))  # type: ignore[attr-defined]
    axes.add_collection(PolyCollection(cars, facecolors="#4fa3d1"))  # type: ignore[attr-defined]
    axes.plot(*scenery.trees[:, :2].T, "o", color="#3d7a37", markersize=3.0 * meter)  # type: ignore[attr-defined]
    axes.plot(*scenery.poles[:, :2].T, "s", color="#111111", markersize=max(1.0, 0.5 * meter))  # type: ignore[attr-defined]


def _box(x: float, y: float, heading: float, length: float, width: float) -> FloatArray:
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
    cos, sin = np.cos(heading), np.sin(heading)
    return corners @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def _draw_route(axes: object, route: Route, meter: float) -> None:
    axes.plot(*route.points.T, color="#00e5ff", linewidth=max(1.0, 0.5 * meter))  # type: ignore[attr-defined]
    for start, end, command in route.turns:
        part = route.points[(route.s >= start) & (route.s <= end)]
        color = {"left": "#1f4fff", "right": "#17c964"}[command.name.lower()]
        axes.plot(*part.T, color=color, linewidth=max(1.5, 0.8 * meter))  # type: ignore[attr-defined]
    for stop in route.stops:
        ends, _ = route.pose_at(np.array([stop.s, stop.s]), np.array([-1.6, 1.6]))
        axes.plot(*ends.T, color=_STOP_COLOR[stop.kind], linewidth=max(1.5, 0.5 * meter))  # type: ignore[attr-defined]
