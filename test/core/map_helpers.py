"""A map expansion written by hand, in the devkit's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOCATION = "singapore-onenorth"
_LAYERS = (
    *("polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway"),
    *("stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector"),
)


class ExpansionWriter:
    """Collects nodes, lines and polygons under tokens, as the map expansion files do."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {layer: [] for layer in _LAYERS}
        self.content |= {"version": "1.3", "canvas_edge": [2000, 2000], "arcline_path_3": {}, "connectivity": {}}

    def _add(self, layer: str, **fields: Any) -> str:
        token = f"{layer}-{len(self.content[layer])}"
        self.content[layer].append({"token": token, **fields})
        return token

    def _nodes(self, points: list[tuple[float, float]]) -> list[str]:
        return [self._add("node", x=float(x), y=float(y)) for x, y in points]

    def line(self, layer: str, points: list[tuple[float, float]]) -> None:
        self._add(layer, line_token=self._add("line", node_tokens=self._nodes(points)))

    def polygon(
        self, layer: str, points: list[tuple[float, float]], hole: list[tuple[float, float]] | None = None
    ) -> None:
        holes = [{"node_tokens": self._nodes(hole)}] if hole else []
        token = self._add("polygon", exterior_node_tokens=self._nodes(points), holes=holes)
        segments: dict[str, list[Any]] = {"left_lane_divider_segments": [], "right_lane_divider_segments": []}
        self._add(layer, polygon_token=token, **(segments if layer == "lane" else {}))

    def write(self, root: Path) -> Path:
        folder = root / "maps" / "expansion"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{LOCATION}.json"
        path.write_text(json.dumps(self.content))
        return path


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
