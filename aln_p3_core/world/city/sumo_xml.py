"""The elements of a SUMO network file that a city map is made of."""

from __future__ import annotations

import gzip
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class SumoLane:
    """A lane, a crossing, a walking area, or a part of a connector.

    Attributes:
        shape: [P, 2] m; the outline of walking areas.
        drives, walks: whether cars, and people, may use it. Neither may use a lane for parking.
        outline: [P, 2] of crossings where the file has it.
    """

    id: str
    edge: str
    shape: FloatArray
    width: float
    speed: float
    drives: bool
    walks: bool
    outline: FloatArray | None = None


@dataclass(slots=True)
class SumoXml:
    """A network file's content.

    Attributes:
        lanes: by id. lanes_of: ids by edge, from right to left.
        function: "normal", "internal", "crossing" or "walkingarea" by edge.
        ends: junctions at which normal edges begin and end.
        connections: attributes, in the file's order. junctions, phases: by junction, and by traffic light.
    """

    lanes: dict[str, SumoLane] = field(default_factory=dict)
    lanes_of: dict[str, list[str]] = field(default_factory=dict)
    function: dict[str, str] = field(default_factory=dict)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    connections: list[dict[str, str]] = field(default_factory=list)
    junctions: dict[str, SumoJunction] = field(default_factory=dict)
    phases: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SumoJunction:
    """A junction: its outline, its internal lanes by link index, and the links that each of those yields to."""

    shape: FloatArray
    internal: tuple[str, ...]
    yields: tuple[tuple[int, ...], ...]


def parse_sumo_xml(file: Path) -> SumoXml:
    """Reads a network file (.net.xml or .net.xml.gz).

    Raises:
        DataError: when it is missing or is no XML.
    """
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        root = ET.fromstring(data)
    except (OSError, EOFError, ET.ParseError) as error:
        raise DataError(f"{file} cannot be read as a SUMO network: {error}") from error
    net = SumoXml()
    for element in root:
        if element.tag == "edge":
            _add_edge(net, element)
        elif element.tag == "junction" and element.get("type") != "internal":
            _add_junction(net, element)
        elif element.tag == "connection":
            net.connections.append(dict(element.attrib))
        elif element.tag == "tlLogic" and element.attrib["id"] not in net.phases:
            net.phases[element.attrib["id"]] = [phase.attrib["state"] for phase in element.iter("phase")]
    return net


def _add_edge(net: SumoXml, element: ET.Element) -> None:
    name = element.attrib["id"]
    net.function[name] = element.get("function", "normal")
    if net.function[name] == "normal":
        net.ends[name] = (element.attrib["from"], element.attrib["to"])
    for lane in element.iter("lane"):
        outline = lane.get("outlineShape")
        net.lanes[lane.attrib["id"]] = SumoLane(
            id=lane.attrib["id"],
            edge=name,
            shape=_points(lane.attrib["shape"]),
            width=float(lane.get("width", 3.2)),
            speed=float(lane.attrib["speed"]),
            drives=_allows(lane, "passenger"),
            walks=_allows(lane, "pedestrian"),
            outline=_points(outline) if outline else None,
        )
        net.lanes_of.setdefault(name, []).append(lane.attrib["id"])


def _add_junction(net: SumoXml, element: ET.Element) -> None:
    rows = {int(r.attrib["index"]): r.attrib["response"] for r in element.iter("request")}
    # The last character of a response stands for link 0.
    yields = tuple(
        tuple(link for link, bit in enumerate(reversed(rows[index])) if bit == "1") for index in sorted(rows)
    )
    net.junctions[element.attrib["id"]] = SumoJunction(
        shape=_points(element.get("shape", "")), internal=tuple(element.get("intLanes", "").split()), yields=yields
    )


def _points(text: str) -> FloatArray:
    """[P, 2] from "x,y x,y" (a height, where there is one, is dropped)."""
    return np.array([[float(v) for v in pair.split(",")[:2]] for pair in text.split()]).reshape(-1, 2)


def _allows(lane: ET.Element, kind: str) -> bool:
    allowed = lane.get("allow")
    if allowed is not None:
        return kind in allowed.split() or allowed == "all"
    banned = lane.get("disallow", "").split()
    return kind not in banned and "all" not in banned
