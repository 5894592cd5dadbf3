"""The cameras: every label where geometry says, depth in metres, the same bytes again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from render_helpers import BUILDING, EGO, SCENERY, depth_of, labels_of, needs_rendering, render_street, street
from world_helpers import straight_city

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import box_corners, invert_transform, project_points, transform_points
from aln_p3_core.world.actors import no_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.render import available
from aln_p3_core.world.render.images import NO_ACTOR, RenderedView, Shot
from aln_p3_core.world.rig import world_rig
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Condition, Weather

pytestmark = needs_rendering


@pytest.fixture(scope="module")
def views() -> dict[str, RenderedView]:
    return render_street()


def _projected(view: RenderedView, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return project_points(
        transform_points(invert_transform(view.T_world_cam), points_world), view.calibration.intrinsic
    )


def _extent(view: RenderedView, row: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last edge (u, v) of an actor's pixels."""
    rows, columns = np.nonzero(view.labels == row)
    return np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])


def test_pixels_of_every_actor_lie_in_its_projected_box(views: dict[str, RenderedView]) -> None:
    seen = set()
    for view in views.values():
        actors = view.state.actors
        sizes = sizes_of(actors)
        for row in np.unique(labels_of(view)[labels_of(view) != NO_ACTOR]):
            center = actors.positions[row] + [0, 0, sizes[row, 2] / 2]
            pixels, depth = _projected(view, box_corners(center, sizes[row], actors.headings[row]))
            if (depth < 0.5).any():
                continue
            low, high = _extent(view, row)
            assert (low >= pixels.min(axis=0) - 1.0).all() and (high <= pixels.max(axis=0) + 1.0).all(), (
                view.camera,
                row,
            )
            if (view.labels == row).sum() > 60 and row not in (5, 6):
                # The mesh reaches to its box: so much of the box's picture, where all of it is in view.
                whole = (pixels > 0).all() and (pixels < [view.calibration.width, view.calibration.height]).all()
                share = (high - low) / (pixels.max(axis=0) - pixels.min(axis=0))
                assert not whole or (share > 0.7).all(), (view.camera, row, share)
            seen.add(int(row))
    assert seen >= {0, 1, 2, 3, 4, 5, 7}


def test_the_edges_of_a_building_are_rendered_where_they_project(views: dict[str, RenderedView]) -> None:
    x, y, heading, length, width, height = BUILDING
    view = views["CAM_FRONT"]
    corners = box_corners([x, y, height / 2], [length, width, height], heading)
    # The far corner of the wall along the road: to its right there is nothing but what lies behind.
    pixels, depth = _projected(view, corners[[2, 1]])
    u = float(pixels[0, 0])
    assert u == pytest.approx(float(pixels[1, 0]))
    line = depth_of(view)[round(float(pixels[:, 1].mean()))]
    # Pixel k covers k .. k + 1: the last one that shows the wall has its centre left of the edge.
    last = int(np.floor(u - 0.5))
    assert line[last - 1] == pytest.approx(depth[0], rel=0.05)
    assert line[last + 2] > 1.2 * depth[0]
    jump = int(np.diff(np.minimum(line[last - 4 : last + 5], 500.0)).argmax()) + last - 4
    assert abs(jump - last) <= 1
    top = int(np.isfinite(depth_of(view)[:, last - 1]).argmax())
    assert abs(top - pixels[1, 1]) <= 1.0


def test_depth_is_metres_along_the_optical_axis(views: dict[str, RenderedView]) -> None:
    view = views["CAM_BACK"]
    rows, columns = np.nonzero((view.labels == NO_ACTOR) & np.isfinite(depth_of(view)) & (depth_of(view) < 15))
    k, T = view.calibration.intrinsic, view.T_world_cam
    ray = np.stack([(columns + 0.5 - k[0, 2]) / k[0, 0], (rows + 0.5 - k[1, 2]) / k[1, 1], np.ones(len(rows))], axis=1)
    points = transform_points(T, ray * depth_of(view)[rows, columns][:, None])
    on_road = np.abs(points[:, 1]) < 6.5
    assert on_road.sum() > 5000
    assert np.abs(points[on_road, 2]).max() < 0.03
    assert np.isinf(depth_of(view)[0]).any(), "the sky has no depth"


def test_the_back_of_the_van_ahead_is_as_far_as_it_stands(views: dict[str, RenderedView]) -> None:
    view = views["CAM_FRONT"]
    truck = view.state.actors.positions[5]
    length = sizes_of(view.state.actors)[5, 0]
    expected = truck[0] - length / 2 - (EGO.x + view.calibration.T_ego_cam[0, 3])
    assert depth_of(view)[view.labels == 5].min() == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("condition", list(Condition))
def test_conditions_look_different_and_truth_does_not_depend_on_them(
    condition: Condition, views: dict[str, RenderedView]
) -> None:
    other = render_street(condition=condition)
    for name, view in other.items():
        np.testing.assert_array_equal(labels_of(view), labels_of(views[name]))
        np.testing.assert_array_equal(depth_of(view), depth_of(views[name]))
    mean = np.mean([view.color.mean() for view in other.values()])
    assert (15 < mean < 90) if condition is Condition.NIGHT else (80 < mean < 190), mean


def test_anti_aliasing_changes_edges_and_nothing_else(views: dict[str, RenderedView]) -> None:
    smooth = render_street(samples=4)["CAM_FRONT"]
    plain = views["CAM_FRONT"]
    np.testing.assert_array_equal(labels_of(smooth), labels_of(plain))
    np.testing.assert_array_equal(depth_of(smooth), depth_of(plain))
    changed = np.abs(smooth.color.astype(int) - plain.color).max(axis=2) > 12
    assert 0.002 < changed.mean() < 0.2


def test_cameras_of_another_size_and_count() -> None:
    rig = world_rig(800, 450)
    small = world_rig()["CAM_BACK"]
    mixed = {"CAM_FRONT": rig["CAM_FRONT"], "rear": small}
    views = render_street(rig=mixed)
    assert views["CAM_FRONT"].color.shape == (450, 800, 3)
    assert labels_of(views["rear"]).shape == (225, 400)
    alone = render_street(rig={"rear": small})["rear"]
    np.testing.assert_allclose(depth_of(alone), depth_of(views["rear"]), rtol=1e-4)
    np.testing.assert_array_equal(labels_of(alone), labels_of(views["rear"]))
    # Leaves are cut out pixel by pixel: a few fall to the other side by rounding.
    assert (np.abs(alone.color.astype(int) - views["rear"].color) > 4).mean() < 0.004


def test_a_principal_point_off_the_middle_shifts_the_picture() -> None:
    camera = world_rig()["CAM_FRONT"]
    shifted = camera.intrinsic.copy()
    shifted[:2, 2] += [30, -12]
    moved = render_street(rig={"CAM_FRONT": CameraCalibration(shifted, camera.T_ego_cam, 400, 225)})["CAM_FRONT"]
    plain = render_street(rig={"CAM_FRONT": camera})["CAM_FRONT"]
    np.testing.assert_array_equal(labels_of(moved)[:-12, 30:], labels_of(plain)[12:, :-30])


def test_a_picture_does_not_depend_on_what_was_rendered_before() -> None:
    from aln_p3_core.world.render.renderer import WorldRenderer

    states = [street(EgoState(t, x, -1.75, 0.0)) for t, x in ((2.0, 100.0), (2.5, 160.0), (3.0, 101.0))]

    def hashes(order: list[int]) -> dict[int, int]:
        with WorldRenderer(straight_city(signal=True), SCENERY, world_rig(), Weather(Condition.DUSK, 1)) as renderer:
            result = {}
            for k in order:
                view = renderer.render([Shot("CAM_FRONT", states[k].time_s, states[k])])["CAM_FRONT"]
                result[k] = crc32(view.color.tobytes())
            return result

    assert hashes([0, 1, 2]) == hashes([2, 1, 0])


_HASHES = """
import sys
sys.path.insert(0, {folder!r})
from zlib import crc32
from render_helpers import render_street
from aln_p3_core.world.weather import Condition
for condition in (Condition.NIGHT, Condition.RAIN):
    for name, view in render_street(condition=condition).items():
        print(name, *(crc32(part.tobytes()) for part in (view.color, view.depth, view.labels)))
"""


@pytest.mark.slow
def test_two_processes_render_the_same_bytes() -> None:
    code = _HASHES.format(folder=str(Path(__file__).parent))
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert len(first.splitlines()) == 12
    assert first == second


def test_indicators_brake_lights_and_signals_shine() -> None:
    red, green = (render_street(_lit(signal))["CAM_FRONT"].color.astype(int) for signal in (1, 3))
    assert (np.abs(red - green).max(axis=2) > 40).sum() >= 6, "red and green look alike from 40 m"


def _lit(signal: int) -> WorldState:
    state = street(EgoState(2.0, 262.0, -1.75, 0.0), no_actors())
    state.signals[:] = signal
    return state


def test_a_closed_renderer_says_so_and_samples_are_checked() -> None:
    from aln_p3_core.world.render.options import RenderOptions
    from aln_p3_core.world.render.renderer import WorldRenderer

    renderer = WorldRenderer(straight_city(), SCENERY, world_rig(), Weather())
    assert renderer.render([]) == {}
    renderer.close()
    renderer.close()
    with pytest.raises(ConfigError, match="closed"):
        renderer.render([Shot("CAM_FRONT", 2.0, street())])
    with pytest.raises(ConfigError, match="0 or 4"):
        RenderOptions(samples=2)


def test_what_cannot_render_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import moderngl

    from aln_p3_core.world.render.graphics import Graphics

    def fail(**_: object) -> None:
        raise Exception("libEGL.so: cannot open shared object file")

    available.rendering_problem.cache_clear()
    monkeypatch.setattr(moderngl, "create_context", fail)
    try:
        problem = available.rendering_problem()
        assert problem is not None and "libEGL.so" in problem and "apt-get install libegl1" in problem
        with pytest.raises(ConfigError, match="apt-get install"):
            Graphics()
    finally:
        available.rendering_problem.cache_clear()


def test_setup_installs_what_rendering_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "scripts"))
    import setup_system

    assert set(setup_system.GRAPHICS_PACKAGES) == set(available.SYSTEM_PACKAGES)
