import numpy as np
import pytest
from drawing_helpers import box_at

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.bev import BevView, draw_bev
from aln_p3_core.drawing.content import Content, DrawnBox, DrawnLine, DrawnPlan
from aln_p3_core.drawing.paths import on_ground, ribbon_sides, smooth_path
from aln_p3_core.frame import Command, RouteCommand
from aln_p3_core.geometry import make_transform, virtual_T_ego_model


def difference(content: Content | None, truth: Content | None = None, **kwargs: object) -> np.ndarray:
    """[height, width] where the map part differs from an empty one."""
    width = BevView(height=800).width
    with_content = draw_bev(content, truth, 800, **kwargs)[:, :width].astype(int)
    return np.abs(with_content - draw_bev(None, None, 800)[:, :width]).max(axis=-1) > 20


def centre(mask: np.ndarray) -> tuple[float, float]:
    """Middle of what was drawn, in metres to the right and ahead."""
    view = BevView(height=800)
    rows, columns = np.nonzero(mask)
    return columns.mean() / view.scale - view.side_m, view.ahead_m - rows.mean() / view.scale


@pytest.mark.parametrize(("x", "y"), [(-8.0, 12.0), (9.0, 20.0), (0.0, -15.0)])
def test_a_box_is_drawn_where_it_is(x: float, y: float) -> None:
    mask = difference(Content((box_at(x, y),)))
    np.testing.assert_allclose(centre(mask), (x, y), atol=0.6)


def test_forecasts_reach_out_and_the_probable_one_is_brighter() -> None:
    box = box_at(0, 10)
    left = np.stack([-2.0 * np.arange(1, 7), np.full(6, 10.0)], axis=1)
    moving = DrawnBox(
        "car", box.center_model, box.size_lwh, np.pi, np.zeros(2), 0.9, np.stack([left, -left + (0, 20)]),
        np.array([0.9, 0.1]),
    )  # fmt: skip
    view = BevView(height=800)
    image = draw_bev(Content((moving,)), height=800).astype(int)
    row = round(view.pixels(np.array([0, 10.0]))[1])
    band = image[row - 3 : row + 4]
    brightness = [band[:, round(view.pixels(np.array([x, 10.0]))[0])].sum(axis=-1).max() for x in (-9.0, 9.0)]
    assert brightness[0] > brightness[1] + 100


def test_the_plan_of_the_command_is_bold_and_the_others_thin() -> None:
    ahead = np.array([[0, 4.0 * k] for k in range(1, 7)])
    aside = np.array([[0.25 * k**2, 3.5 * k] for k in range(1, 7)])
    plan = DrawnPlan(ahead, 0.5 * np.arange(1, 7), (aside,), RouteCommand(Command.STRAIGHT))
    view = BevView(height=800)
    image = draw_bev(Content(plan=plan), height=800).astype(int)
    row = round(view.pixels(np.array([0, 18.0]))[1])
    green = (image[row, : view.width, 1] - image[row, : view.width, 0]) > 20
    middle = view.width // 2
    assert green[middle - 14 : middle + 15].sum() >= 12
    assert 1 <= green[middle + 25 :].sum() <= 5
    assert not green[: middle - 25].any()


def test_a_stop_is_red() -> None:
    plan = Content(plan=DrawnPlan(np.array([[0, 2.0 * k] for k in range(1, 7)]), 0.5 * np.arange(1, 7), stopped=True))
    image = draw_bev(plan, height=800, alarm="no camera").astype(int)
    assert (image.reshape(-1, 3) == palette.ALARM).all(axis=1).sum() > 1000
    assert (np.abs(image - palette.PLAN_STOPPED).max(axis=-1) < 20).sum() > 50
    assert not (np.abs(image - palette.PLAN).max(axis=-1) < 20).any()


def test_a_standing_car_can_be_drawn() -> None:
    plan = DrawnPlan(np.zeros((6, 2)), 0.5 * np.arange(1, 7))
    assert plan.mean_speed == 0
    draw_bev(Content(plan=plan), height=400)


def test_numbers_beyond_the_picture_do_no_harm() -> None:
    far = Content((box_at(900.0, -4000.0),), (DrawnLine("boundary", np.array([[-1e4, -1e4], [1e4, 1e4]])),))
    assert difference(far).any()


def test_truth_beside_a_scene_is_thin_and_white() -> None:
    scene, truth = Content((box_at(8, 15),)), Content((box_at(-8, 15),))
    image = draw_bev(scene, truth, 800).astype(int)
    view = BevView(height=800)
    x, y = view.pixels(np.array([-8.0, 15.0])).astype(int)
    patch = image[y - 40 : y + 40, x - 25 : x + 25]
    assert (np.ptp(patch, axis=-1) < 12)[patch.max(axis=-1) > 140].all()
    assert (patch.max(axis=-1) > 140).any()


def test_height_and_type() -> None:
    image = draw_bev(height=500)
    assert image.shape[0] == 500
    assert image.dtype == np.uint8


def test_the_ground_leans_with_the_lidar() -> None:
    """A model frame that pitches down by two degrees sees the road rise; the lifted points are on the ego plane."""
    lean = np.radians(2.0)
    tilt = make_transform(
        [[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]], [0.0, 0.0, 0.0]
    )
    T_ego_model = virtual_T_ego_model() @ tilt
    lifted = on_ground(np.array([[0.0, 30.0], [3.0, -10.0]]), T_ego_model)
    heights = lifted @ T_ego_model[2, :3] + T_ego_model[2, 3]
    np.testing.assert_allclose(heights, 0, atol=1e-9)
    assert abs(lifted[0, 2] + 1.84) > 0.9


def test_smooth_paths_pass_through_their_points() -> None:
    points = np.array([[0, 0], [0, 2], [1, 5], [3, 8.0]])
    path = smooth_path(points, per_segment=4)
    np.testing.assert_allclose(path[::4], points)
    assert len(path) == 13


def test_a_ribbon_that_stands_still_does_not_twist() -> None:
    path = np.array([[0, 0], [0, 2], [0, 4], [0, 4], [0, 4.0]])
    left, right = ribbon_sides(path, 2.0)
    np.testing.assert_allclose(left[:, 0], -1)
    np.testing.assert_allclose(right[:, 0], 1)


def test_lidar_points_are_drawn_where_they_are_and_under_everything() -> None:
    cluster = np.array([[-9.0, 18.0, 0.5]]) + 0.2 * np.random.default_rng(0).normal(size=(300, 3))
    outside = np.array([[500.0, 0.0, 0.0]])
    mask = difference(None, lidar_model=np.concatenate([cluster, outside]))
    np.testing.assert_allclose(centre(mask), (-9.0, 18.0), atol=0.3)
    box = Content((box_at(-9.0, 18.0),))
    under = draw_bev(box, height=800, lidar_model=cluster)
    assert np.abs(under.astype(int) - draw_bev(box, height=800)).max(axis=-1).mean() < 0.1
