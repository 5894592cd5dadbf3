"""A city as the nuScenes map expansion describes it: `maps/expansion/<location>.json`, version 1.3."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.city_map import CityMap, Divider, Lane, Signal
from aln_p3_core.world.city.lines import arc_lengths, points_at
from aln_p3_core.world.recorder.arcline import fit_arcline
from aln_p3_core.world.recorder.tables import Row, make_token

if TYPE_CHECKING:
    from shapely.geometry import Polygon
    from shapely.geometry.base import BaseGeometry

VERSION = "1.3"
_LAYERS = (
    *("polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway"),
    *("stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector"),
)
#: Free space around the drivable area on the canvas, m.
CANVAS_MARGIN_M = 50.0
_STOP_LINE_DEPTH_M = 1.0
_PARKING_SIZE_M = (5.5, 2.3)
# Road segments reach this far into each other, so that no hairline is left between them where they are united.
_OVERLAP_M = 0.05
_MIN_AREA_M2 = 0.05
_NODE_SPACING_M = 5.0


def canvas_edge(city: CityMap) -> tuple[float, float]:
    """Width and height of the map's canvas from the world's origin, m (a multiple of 0.1 m)."""
    _, _, x, y = city.bounds
    return round(float(np.ceil(x + CANVAS_MARGIN_M)), 1), round(float(np.ceil(y + CANVAS_MARGIN_M)), 1)


def expansion_of(city: CityMap, parking: FloatArray | None = None) -> dict[str, Any]:
    """The content of the expansion file.

    Lanes are the `lane` layer, connectors the `lane_connector` layer, under tokens that `lane_token` gives.
    Roads (all lanes of one direction) are road blocks and road segments; what the lanes leave of the drivable
    area is made of further road segments, marked `is_intersection` where connectors cross them. Together the road
    segments cover exactly the drivable area.

    Args:
        city: the roads.
        parking: [K, 3] x, y, heading of parking places (`Scenery.parking`): the `carpark_area` layer.
    """
    return _Expansion(city).build(parking)


def lane_token(city: CityMap, index: int) -> str:
    """Token of a lane or connector in the expansion."""
    return make_token("map", city.name, "lane", city.lanes[index].id)


class _Expansion:
    """Collects layers; nodes at the same place (to the millimetre) are shared."""

    def __init__(self, city: CityMap) -> None:
        self.city = city
        self.layers: dict[str, list[Row]] = {layer: [] for layer in _LAYERS}
        self.nodes: dict[tuple[float, float], str] = {}

    def build(self, parking: FloatArray | None) -> dict[str, Any]:
        drivable = self._drivable_area()
        areas = [_lane_area(lane) for lane in self.city.lanes]
        self._roads(areas, drivable)
        self._lanes(areas)
        for index, outline in enumerate(self.city.crossings):
            self._polygon_record("ped_crossing", str(index), _polygon(outline), road_segment_token="")
        for index, outline in enumerate(self.city.walkways):
            self._polygon_record("walkway", str(index), _polygon(outline))
        self._signals()
        for index, place in enumerate(np.zeros((0, 3)) if parking is None else parking):
            area = _rectangle(place[:2], float(place[2]), *_PARKING_SIZE_M)
            self._polygon_record("carpark_area", str(index), area, orientation=float(place[2]), road_block_token="")
        for index, divider in enumerate(self.city.dividers):
            self._divider(index, divider)
        tokens = [lane_token(self.city, i) for i in range(len(self.city.lanes))]
        return {
            "version": VERSION,
            **self.layers,
            "arcline_path_3": {
                t: fit_arcline(lane.centerline) for t, lane in zip(tokens, self.city.lanes, strict=True)
            },
            "connectivity": {
                token: {
                    "incoming": [tokens[i] for i in lane.predecessors],
                    "outgoing": [tokens[i] for i in lane.successors],
                }
                for token, lane in zip(tokens, self.city.lanes, strict=True)
            },
            "canvas_edge": list(canvas_edge(self.city)),
        }

    def _token(self, layer: str, name: str) -> str:
        return make_token("map", self.city.name, layer, name)

    def _node_tokens(self, points: Iterable[Sequence[float]]) -> list[str]:
        tokens = []
        for x, y, *_ in points:
            place = (round(float(x), 3), round(float(y), 3))
            if place not in self.nodes:
                token = self._token("node", f"{place[0]},{place[1]}")
                self.nodes[place] = token
                self.layers["node"].append({"token": token, "x": place[0], "y": place[1]})
            tokens.append(self.nodes[place])
        return tokens

    def _line(self, points: FloatArray) -> str:
        token = self._token("line", str(len(self.layers["line"])))
        self.layers["line"].append({"token": token, "node_tokens": self._node_tokens(points)})
        return token

    def _polygon(self, polygon: Polygon) -> str:
        token = self._token("polygon", str(len(self.layers["polygon"])))
        # Rings are open in the expansion: their last point is not repeated.
        holes = [{"node_tokens": self._node_tokens(list(ring.coords)[:-1])} for ring in polygon.interiors]
        outline = self._node_tokens(list(polygon.exterior.coords)[:-1])
        self.layers["polygon"].append({"token": token, "exterior_node_tokens": outline, "holes": holes})
        return token

    def _polygon_record(self, layer: str, name: str, polygon: Polygon, **fields: object) -> str:
        token = self._token(layer, name)
        self.layers[layer].append({"token": token, "polygon_token": self._polygon(polygon), **fields})
        return token

    def _drivable_area(self) -> BaseGeometry:
        drivable = self.city.drivable
        tokens = [self._polygon(part) for part in _polygons(drivable)]
        self.layers["drivable_area"].append({"token": self._token("drivable_area", "0"), "polygon_tokens": tokens})
        return drivable

    def _roads(self, areas: list[Polygon], drivable: BaseGeometry) -> None:
        from shapely.geometry import LineString
        from shapely.ops import unary_union
        from shapely.strtree import STRtree

        roads: dict[str, list[int]] = defaultdict(list)
        for index, lane in enumerate(self.city.lanes):
            if not lane.is_connector:
                roads[lane.road or lane.id].append(index)
        drivable_token = self.layers["drivable_area"][0]["token"]
        covered = []
        for name, members in roads.items():
            lanes = unary_union([areas[i] for i in members])
            area = lanes.buffer(_OVERLAP_M, join_style="mitre").intersection(drivable)
            covered.append(area)
            for part, polygon in enumerate(_polygons(area)):
                segment = self._polygon_record(
                    "road_segment",
                    f"{name}/{part}",
                    polygon,
                    is_intersection=False,
                    drivable_area_token=drivable_token,
                )
                self._polygon_record(
                    "road_block",
                    f"{name}/{part}",
                    polygon,
                    from_edge_line_token=self._line(self._road_edge(members, 0)),
                    to_edge_line_token=self._line(self._road_edge(members, -1)),
                    road_segment_token=segment,
                )
        connectors = STRtree([LineString(lane.centerline) for lane in self.city.lanes if lane.is_connector])
        rest = drivable.difference(unary_union(covered)) if covered else drivable
        for index, polygon in enumerate(_polygons(rest)):
            grown = polygon.buffer(_OVERLAP_M, join_style="mitre").intersection(drivable)
            crossed = bool(len(connectors.query(polygon, predicate="intersects")))
            for part, piece in enumerate(_polygons(grown)):
                self._polygon_record(
                    "road_segment",
                    f"junction/{index}/{part}",
                    piece,
                    is_intersection=crossed,
                    drivable_area_token=drivable_token,
                )

    def _road_edge(self, members: list[int], end: int) -> FloatArray:
        """The two outermost ends of the lanes' edges at the road's beginning (0) or end (-1)."""
        corners = np.concatenate([np.stack([edge[end] for edge in _edges(self.city.lanes[i])]) for i in members])
        distance = np.linalg.norm(corners[:, None] - corners[None], axis=2)
        first, second = np.unravel_index(int(distance.argmax()), distance.shape)
        return corners[[first, second]]

    def _lanes(self, areas: list[Polygon]) -> None:
        for index, (lane, area) in enumerate(zip(self.city.lanes, areas, strict=True)):
            token = lane_token(self.city, index)
            polygon = self._polygon(area)
            if lane.is_connector:
                self.layers["lane_connector"].append({"token": token, "polygon_token": polygon})
                continue
            left, right = _edges(lane)
            self.layers["lane"].append(
                {
                    "token": token,
                    "polygon_token": polygon,
                    "lane_type": "CAR",
                    "from_edge_line_token": self._line(np.stack([left[0], right[0]])),
                    "to_edge_line_token": self._line(np.stack([left[-1], right[-1]])),
                    "left_lane_divider_segments": self._segments(left, lane.left >= 0),
                    "right_lane_divider_segments": self._segments(right, lane.right >= 0),
                }
            )

    def _segments(self, edge: FloatArray, dashed: bool) -> list[Row]:
        kind = "SINGLE_DASHED_WHITE" if dashed else "NIL"
        return [{"node_token": token, "segment_type": kind} for token in self._node_tokens(edge)]

    def _divider(self, index: int, divider: Divider) -> None:
        name = str(index)
        points = _dense(divider.points)
        line = self._line(points)
        if divider.is_road_divider:
            token = self._token("road_divider", name)
            self.layers["road_divider"].append({"token": token, "line_token": line, "road_segment_token": ""})
            return
        segments = [{"node_token": node, "segment_type": "SINGLE_DASHED_WHITE"} for node in self._node_tokens(points)]
        token = self._token("lane_divider", name)
        self.layers["lane_divider"].append({"token": token, "line_token": line, "lane_divider_segments": segments})

    def _signals(self) -> None:
        """Traffic lights with their stop lines, and a yielding line before connectors without right of way."""
        for signal in self.city.signals:
            light = self._token("traffic_light", signal.id)
            ahead = 0.5 * np.array([np.cos(signal.heading), np.sin(signal.heading)])
            line = self._line(np.stack([signal.head[:2], signal.head[:2] + ahead]))
            self.layers["traffic_light"].append(_traffic_light(light, line, signal))
            self._stop_line(signal.id, signal.stop_line, "TRAFFIC_LIGHT", traffic_light_tokens=[light])
        done = set()
        for lane in self.city.lanes:
            if lane.is_connector and lane.yields_to and lane.signal < 0 and lane.predecessors:
                approach = lane.predecessors[0]
                if approach not in done:
                    done.add(approach)
                    left, right = _edges(self.city.lanes[approach])
                    name = f"yield/{self.city.lanes[approach].id}"
                    self._stop_line(name, np.stack([left[-1], right[-1]]), "YIELD")

    def _stop_line(self, name: str, line: FloatArray, kind: str, traffic_light_tokens: Sequence[str] = ()) -> None:
        across = line[1] - line[0]
        heading = float(np.arctan2(across[1], across[0]))
        area = _rectangle(line.mean(axis=0), heading, float(np.hypot(*across)), _STOP_LINE_DEPTH_M)
        self._polygon_record(
            "stop_line",
            name,
            area,
            stop_line_type=kind,
            ped_crossing_tokens=[],
            traffic_light_tokens=list(traffic_light_tokens),
            road_block_token="",
        )


def _traffic_light(token: str, line: str, signal: Signal) -> Row:
    x, y, z = (float(value) for value in signal.head)
    items = []
    for color, above in (("RED", 0.3), ("YELLOW", 0.0), ("GREEN", -0.3)):
        place = {"tx": 0.0, "ty": 0.0, "tz": above, "rx": 0.0, "ry": 0.0, "rz": 0.0}
        items.append({"color": color, "shape": "CIRCLE", "rel_pos": place, "to_road_block_tokens": []})
    return {
        "token": token,
        "line_token": line,
        "traffic_light_type": "VERTICAL",
        "from_road_block_token": "",
        "items": items,
        "pose": {"tx": x, "ty": y, "tz": z, "rx": 0.0, "ry": 0.0, "rz": float(signal.heading)},
    }


def _edges(lane: Lane) -> tuple[FloatArray, FloatArray]:
    """Left and right edge [P, 2] of a lane."""
    delta = np.gradient(lane.centerline, axis=0)
    normal = np.stack([-delta[:, 1], delta[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    half = lane.width / 2
    return lane.centerline + half * normal, lane.centerline - half * normal


def _dense(points: FloatArray) -> FloatArray:
    """The line with a point every few metres: the devkit finds lines by their nodes only."""
    s = arc_lengths(points)
    steps = int(np.ceil(s[-1] / _NODE_SPACING_M))
    at = np.union1d(s, np.linspace(0.0, s[-1], steps + 1))
    return points_at(points, at)


def _lane_area(lane: Lane) -> Polygon:
    from shapely.geometry import LineString, Polygon

    left, right = _edges(lane)
    area = Polygon(np.concatenate([left, right[::-1]]))
    if area.is_valid and area.area > _MIN_AREA_M2:
        return area
    # A bend tighter than half the lane's width folds its inner edge over.
    return max(_polygons(LineString(lane.centerline).buffer(lane.width / 2, cap_style="flat")), key=lambda p: p.area)


def _polygon(outline: FloatArray) -> Polygon:
    from shapely.geometry import Polygon

    polygon = Polygon(outline)
    return polygon if polygon.is_valid else max(_polygons(polygon.buffer(0)), key=lambda p: p.area)


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    """Polygons of a geometry that are more than slivers."""
    parts = getattr(geometry, "geoms", [geometry])
    return [part for part in parts if part.geom_type == "Polygon" and part.area > _MIN_AREA_M2]


def _rectangle(middle: FloatArray, heading: float, length: float, width: float) -> Polygon:
    from shapely.geometry import Polygon

    along = length / 2 * np.array([np.cos(heading), np.sin(heading)])
    aside = width / 2 * np.array([-np.sin(heading), np.cos(heading)])
    return Polygon([middle - along - aside, middle + along - aside, middle + along + aside, middle - along + aside])
