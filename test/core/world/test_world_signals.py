"""Traffic lights: where they stand and what they show."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.city.cities import load_sumo_city
from aln_p3_core.world.city.lines import heading_at
from aln_p3_core.world.city.signals import SignalLinks
from aln_p3_core.world.city.sumo_net import SumoCity
from aln_p3_core.world.state import SignalColor


@pytest.fixture(params=("alder-town", "gorse-round"), scope="module")
def sumo(request: pytest.FixtureRequest) -> SumoCity:
    return load_sumo_city(request.param)


def test_every_signal_stands_off_the_road_and_faces_its_lane(sumo: SumoCity) -> None:
    city = sumo.city
    assert city.signals
    shapely.prepare(city.drivable)
    for index, signal in enumerate(city.signals):
        obeying = [lane for lane in city.lanes if lane.signal == index]
        assert obeying, signal.id
        approach = city.lanes[obeying[0].predecessors[0]]
        leaving = heading_at(approach.centerline, np.inf, span=3.0)
        assert abs(float(wrap_angle(signal.heading - leaving - np.pi))) < 0.2
        np.testing.assert_allclose(signal.stop_line.mean(axis=0), approach.centerline[-1], atol=1.0)
        ahead = (signal.head[:2] - approach.centerline[-1]) @ [np.cos(leaving), np.sin(leaving)]
        assert 3.0 < ahead < 70.0, signal.id
        assert not shapely.contains_xy(city.drivable, *signal.head[:2]), signal.id


def test_only_connectors_obey_signals(sumo: SumoCity) -> None:
    assert all(lane.is_connector for lane in sumo.city.lanes if lane.signal >= 0)


def test_colours_follow_the_states_of_the_links() -> None:
    links = SignalLinks(("a", "a", "b"), ((0, 1), (2,), (0,)))
    colors = links.colors({"a": "Ggr", "b": "y"})
    assert colors.tolist() == [SignalColor.GREEN, SignalColor.RED, SignalColor.YELLOW]
    assert links.colors({"a": "ggG", "b": "O"}).tolist() == [
        SignalColor.GREEN_YIELD,
        SignalColor.GREEN,
        SignalColor.OFF,
    ]
