"""Street plans: what every city must have, and that they come out the same again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.city.cities import CITIES
from aln_p3_core.world.city.netconvert import build_network, netconvert_program
from aln_p3_core.world.city.street_plan import STYLES, StreetPlan, draw_plan
from aln_p3_core.world.city.sumo_net import read_sumo_net


def _length(plan: StreetPlan, name: str) -> float:
    road = plan.roads[name]
    a, b = plan.nodes[road.start], plan.nodes[road.end]
    line = np.concatenate([[[a.x, a.y]], road.shape.reshape(-1, 2), [[b.x, b.y]]])
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


@pytest.mark.parametrize("style", STYLES)
def test_every_plan_has_what_scenarios_need(style: str) -> None:
    for seed in range(3):
        plan = draw_plan(style, seed)
        roads = plan.roads.values()
        assert {end for road in roads for end in (road.start, road.end)} == set(plan.nodes)
        assert any(road.lanes_forward >= 2 and _length(plan, road.name) > 190 for road in roads)
        assert any(road.parking > 0 for road in roads)
        assert any(node.kind == "traffic_light" for node in plan.nodes.values())
        assert any(crossing.priority for crossing in plan.crossings)
        ends: dict[str, int] = {}
        for road in roads:
            for end in (road.start, road.end):
                ends[end] = ends.get(end, 0) + 1
        assert min(ends.values()) >= 2, "a road ends in nothing"


def test_a_plan_is_drawn_from_its_seed_alone() -> None:
    first, again, other = draw_plan("random", 5), draw_plan("random", 5), draw_plan("random", 6)
    assert first.nodes == again.nodes and list(first.roads) == list(again.roads)
    assert all(np.array_equal(first.roads[n].shape, again.roads[n].shape) for n in first.roads)
    assert first.nodes != other.nodes


def test_merges_lead_into_fewer_lanes() -> None:
    merges = [(plan, merge) for seed in range(3) for plan in [draw_plan("grid", seed)] for merge in plan.merges]
    assert merges
    for plan, (wide, narrow, _) in merges:
        assert plan.roads[wide].lanes_forward == plan.roads[narrow].lanes_forward + 1


def _has_netconvert() -> bool:
    try:
        return netconvert_program().is_file()
    except ConfigError:
        return False


@pytest.mark.skipif(not _has_netconvert(), reason="SUMO's netconvert is not installed")
def test_netconvert_builds_a_plan_into_the_same_bytes(tmp_path: Path) -> None:
    info = CITIES["oak-dale"]
    for name in ("a", "b"):
        build_network(draw_plan(info.style, info.seed), tmp_path / f"{name}.net.xml.gz")
    assert (tmp_path / "a.net.xml.gz").read_bytes() == (tmp_path / "b.net.xml.gz").read_bytes()
    assert len(read_sumo_net(tmp_path / "a.net.xml.gz", "a").city.lanes) > 100


def test_says_what_to_install_without_netconvert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="pip install eclipse-sumo"):
        netconvert_program()
