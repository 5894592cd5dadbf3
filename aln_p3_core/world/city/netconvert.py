"""Turns street plans into SUMO networks with SUMO's netconvert."""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.city.street_plan import PlanRoad, StreetPlan

_OPTIONS = (
    "--no-turnarounds", "true",
    "--walkingareas", "true",
    "--default.crossing-width", "3.6",
    "--junctions.corner-detail", "7",
    "--junctions.internal-link-detail", "12",
    "--junctions.scurve-stretch", "0.5",
    "--rectangular-lane-cut", "true",
    "--tls.default-type", "static",
    "--tls.cycle.time", "70",
    "--tls.yellow.time", "3",
    "--offset.disable-normalization", "true",
    "--no-warnings", "true",
    "--precision", "2",
)  # fmt: skip
#: Room between the roads and the axes, m: all coordinates are positive.
_MARGIN_M = 150.0


def netconvert_program() -> Path:
    """SUMO's netconvert: from the package eclipse-sumo, else from PATH.

    Raises:
        ConfigError: when there is none.
    """
    spec = importlib.util.find_spec("sumo")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "netconvert"
        if bundled.is_file():
            return bundled
    found = shutil.which("netconvert")
    if found is None:
        raise ConfigError(
            "new cities are built with SUMO's netconvert, which is not installed: pip install eclipse-sumo, "
            "or use one of the cities that come with the package"
        )
    return Path(found)


def build_network(plan: StreetPlan, file: Path) -> None:
    """Writes a plan's SUMO network, gzipped. The same plan and SUMO version give the same bytes.

    Raises:
        ConfigError: when netconvert is missing, or refuses the plan (with its message).
    """
    program = netconvert_program()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        names = {"node": "plan.nod.xml", "edge": "plan.edg.xml", "connection": "plan.con.xml"}
        (base / names["node"]).write_text(_nodes_xml(plan), encoding="utf-8")
        (base / names["edge"]).write_text(_edges_xml(plan), encoding="utf-8")
        (base / names["connection"]).write_text(_connections_xml(plan), encoding="utf-8")
        arguments = [f"--{kind}-files={base / name}" for kind, name in names.items()]
        output = base / "city.net.xml"
        done = subprocess.run(
            [str(program), *arguments, *_OPTIONS, "-o", str(output)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode or not output.is_file():
            raise ConfigError(f"netconvert could not build the city: {(done.stderr or done.stdout).strip()[-500:]}")
        text = re.sub(r"<!--.*?-->\s*", "", output.read_text(encoding="utf-8"), flags=re.DOTALL)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without file name and time: the same plan gives the same bytes.
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _shift(plan: StreetPlan) -> FloatArray:
    """[2] m to add to the plan's places."""
    return _MARGIN_M - np.array([[n.x, n.y] for n in plan.nodes.values()]).min(axis=0)


def _nodes_xml(plan: StreetPlan) -> str:
    shift = _shift(plan)
    lines = [
        f'<node id="{n.name}" x="{n.x + shift[0]:.2f}" y="{n.y + shift[1]:.2f}" type="{n.kind}" '
        f'radius="{n.radius:.1f}"/>'
        for n in plan.nodes.values()
    ]
    return _document("nodes", lines)


def _edges_xml(plan: StreetPlan) -> str:
    shift = _shift(plan)
    lines = []
    for road in plan.roads.values():
        shape = road.shape.reshape(-1, 2) + shift
        lines += _edge(plan, road, road.name, road.start, road.end, shape, road.lanes_forward, shift)
        if road.lanes_back:
            lines += _edge(plan, road, "-" + road.name, road.end, road.start, shape[::-1], road.lanes_back, shift)
    return _document("edges", lines)


def _edge(
    plan: StreetPlan, road: PlanRoad, name: str, start: str, end: str, shape: FloatArray, lanes: int, shift: FloatArray
) -> list[str]:
    kerb = 1 if road.parking else 0
    ends = [np.array([plan.nodes[n].x, plan.nodes[n].y]) + shift for n in (start, end)]
    points = [ends[0], *shape, ends[1]]
    written = f" shape={quoteattr(' '.join(f'{x:.2f},{y:.2f}' for x, y in points))}" if len(shape) else ""
    lines = [
        f'<edge id="{name}" from="{start}" to="{end}" numLanes="{lanes + kerb}" speed="{road.speed:.2f}" '
        f'priority="{road.priority}" width="{road.lane_width:.2f}" sidewalkWidth="{road.sidewalk:.2f}" '
        f'disallow="pedestrian rail tram ship"{written}>'
    ]
    if kerb:
        lines.append(f'<lane index="0" disallow="all" width="{road.parking:.2f}"/>')
    lines.append("</edge>")
    return lines


def _connections_xml(plan: StreetPlan) -> str:
    lines = []
    for first, second, zipped in plan.merges:
        wide, narrow = plan.roads[first], plan.roads[second]
        # Lane 0 is the pavement; driving lanes count from 1 at the kerb.
        for lane in range(1, wide.lanes_forward + 1):
            if lane > 1 or zipped:
                lines.append(_connection(first, second, lane, max(1, lane - 1)))
        lines += [_connection("-" + second, "-" + first, lane, lane + 1) for lane in range(1, narrow.lanes_back + 1)]
        lines.append(_connection("-" + second, "-" + first, 1, 1))
    for crossing in plan.crossings:
        priority = ' priority="true" width="4.0"' if crossing.priority else ""
        lines.append(f'<crossing node="{crossing.node}" edges="{" ".join(crossing.edges)}"{priority}/>')
    return _document("connections", lines)


def _connection(start: str, end: str, from_lane: int, to_lane: int) -> str:
    return f'<connection from="{start}" to="{end}" fromLane="{from_lane}" toLane="{to_lane}"/>'


def _document(name: str, lines: list[str]) -> str:
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"<{name}>", *lines, f"</{name}>", ""])
