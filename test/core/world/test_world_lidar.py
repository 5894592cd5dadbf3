"""The LiDAR sweep lies on what is rendered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_helpers import EGO, model, needs_rendering, render_street, street

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import transform_points, virtual_T_ego_model
from aln_p3_core.world.actors import make_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.render.lidar import AZIMUTHS, LOWEST_DEG, RING_DEG, RINGS, lidar_sweep
from aln_p3_core.world.rig import world_rig
from aln_p3_core.world.state import WorldState

pytestmark = needs_rendering


@pytest.fixture(scope="module")
def sweep() -> np.ndarray:
    state = street()
    return lidar_sweep(render_street(state), state)


def _world(sweep: np.ndarray) -> np.ndarray:
    return transform_points(EGO.T_world_ego @ virtual_T_ego_model(), sweep[:, :3].astype(np.float64))


def test_rings_and_directions(sweep: np.ndarray) -> None:
    assert sweep.dtype == np.float32 and sweep.shape[1] == 5
    assert 12000 < len(sweep) <= RINGS * AZIMUTHS
    elevation = np.degrees(np.arctan2(sweep[:, 2], np.hypot(sweep[:, 0], sweep[:, 1])))
    assert np.abs(elevation - (LOWEST_DEG + RING_DEG * sweep[:, 4])).max() < 0.2
    azimuth = np.floor((np.arctan2(sweep[:, 1], sweep[:, 0]) / (2 * np.pi) + 0.5) * AZIMUTHS).astype(int)
    assert len(np.unique(sweep[:, 4].astype(int) * AZIMUTHS + azimuth)) == len(sweep), "one point for each direction"
    # All around the car, in a ring that meets the road everywhere.
    ring = sweep[sweep[:, 4] == 14]
    assert len(ring) > 0.9 * AZIMUTHS


def test_points_lie_on_the_road_and_on_bodies(sweep: np.ndarray) -> None:
    points = _world(sweep)
    low = points[(np.abs(points[:, 1]) < 6.5) & (np.abs(points[:, 0] - EGO.x) < 12)]
    road = low[low[:, 2] < 0.05]
    assert len(road) > 3000 and np.abs(road[:, 2]).max() < 0.05
    assert points[:, 2].min() > -0.15
    actors = street().actors
    sizes = sizes_of(actors)
    for row in (0, 1, 5, 7):
        local = points[:, :2] - actors.positions[row, :2]
        c, s = np.cos(actors.headings[row]), np.sin(actors.headings[row])
        ahead, left = local @ [c, s], local @ [-s, c]
        inside = (np.abs(ahead) < sizes[row, 0] / 2 + 0.05) & (np.abs(left) < sizes[row, 1] / 2 + 0.05)
        inside &= points[:, 2] > 0.15
        assert inside.sum() > 20, row
        # Nothing inside: a surface, seen from outside.
        deep = inside & (np.abs(ahead) < 0.3 * sizes[row, 0]) & (np.abs(left) < 0.2 * sizes[row, 1])
        assert (points[deep, 2] > 0.5 * sizes[row, 2]).all(), row


def test_moving_actors_are_where_they_are_at_the_instant_of_the_sweep() -> None:
    def at(x: float, time_s: float) -> WorldState:
        actors = make_actors(["a"], [model("van")], [(x, -1.75)], [0.0], velocities=[(20.0, 0.0)])
        return street(replace(EGO, time_s=time_s), actors)

    exposed, now = at(115.0, 1.95), at(116.0, 2.0)
    points = _world(lidar_sweep(render_street(exposed), now))
    rear = points[(np.abs(points[:, 1] + 1.75) < 0.6) & (points[:, 2] > 0.6) & (points[:, 2] < 2)]
    length = sizes_of(now.actors)[0, 0]
    assert rear[:, 0].min() == pytest.approx(116.0 - length / 2, abs=0.15)


def test_larger_pictures_give_about_the_same_sweep(sweep: np.ndarray) -> None:
    state = street()
    large = lidar_sweep(render_street(state, rig=world_rig(800, 450)), state)
    assert len(large) == pytest.approx(len(sweep), rel=0.05)


def test_no_views_and_views_without_truth() -> None:
    state = street()
    assert lidar_sweep({}, state).shape == (0, 5)
    view = render_street(state)["CAM_FRONT"]
    with pytest.raises(DataError, match="truth=True"):
        lidar_sweep({"CAM_FRONT": replace(view, depth=None)}, state)
