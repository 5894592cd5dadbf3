import dataclasses

import cv2
import numpy as np
import pytest
from drawing_helpers import GREY, box_at, grey_frame

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content, DrawnLine, DrawnPlan
from aln_p3_core.drawing.layout import camera_rows, camera_title
from aln_p3_core.drawing.mosaic import draw_mosaic
from aln_p3_core.frame import NUSCENES_CAMERAS, CameraView, EncodedImage

NO_ALTERNATIVES = Content(plan=DrawnPlan(np.array([[0, 4.0 * k] for k in range(1, 7)]), 0.5 * np.arange(1, 7)))


def tiles(mosaic: np.ndarray, rows: int = 2, columns: int = 3) -> np.ndarray:
    """The mosaic's tiles [rows, columns, height, width, 3]; for a width where header and gaps are known."""
    width = mosaic.shape[1]
    gap = max(2, round(4 * width / 1600))
    tile_width = (width - gap * (columns + 1)) // columns
    tile_height = round(tile_width * 180 / 320)
    top = mosaic.shape[0] - rows * (tile_height + gap) - gap
    return np.stack(
        [
            np.stack(
                [
                    mosaic[
                        top + gap + r * (tile_height + gap) : top + gap + r * (tile_height + gap) + tile_height,
                        gap + c * (tile_width + gap) : gap + c * (tile_width + gap) + tile_width,
                    ]
                    for c in range(columns)
                ]
            )
            for r in range(rows)
        ]
    )


def changed(tile: np.ndarray) -> np.ndarray:
    """Where something was drawn, below the plates with the camera's name and age."""
    mask = np.abs(tile.astype(int) - GREY).max(axis=-1) > 25
    mask[: tile.shape[0] // 8] = False
    return mask


def test_cameras_stand_as_they_look() -> None:
    assert camera_rows(grey_frame()) == [
        ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"],
        ["CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"],
    ]


def test_a_lost_camera_keeps_its_place() -> None:
    assert camera_rows(grey_frame(lost=NUSCENES_CAMERAS)) == camera_rows(grey_frame())


def test_wide_rows_are_broken() -> None:
    names = tuple(f"side_{i}" for i in range(6))
    frame = dataclasses.replace(grey_frame(), cameras=names, views={})
    rows = camera_rows(frame)
    assert [len(row) for row in rows] == [3, 3]
    assert sorted(name for row in rows for name in row) == sorted(names)


def test_titles() -> None:
    assert camera_title("CAM_FRONT_LEFT") == "front left"


def test_a_box_ahead_is_in_the_middle_of_the_front_tile_only() -> None:
    drawn = tiles(draw_mosaic(grey_frame(), Content((box_at(0, 12),)), width=1200))
    mask = changed(drawn[0, 1])
    columns = np.flatnonzero(mask.any(axis=0))
    width = mask.shape[1]
    assert abs(columns.mean() - (width - 1) / 2) < 0.02 * width
    assert np.ptp(columns) < 0.35 * width
    for row, column in ((0, 0), (0, 2), (1, 0), (1, 1), (1, 2)):
        assert not changed(drawn[row, column]).any(), (row, column)


@pytest.mark.parametrize(
    ("x", "y", "row", "column"), [(-9, 7, 0, 0), (9, 7, 0, 2), (-9, -4, 1, 0), (0, -14, 1, 1), (9, -4, 1, 2)]
)
def test_a_box_appears_on_its_side(x: float, y: float, row: int, column: int) -> None:
    drawn = tiles(draw_mosaic(grey_frame(), Content((box_at(x, y),)), width=1200))
    marks = np.array([[changed(drawn[r, c]).sum() for c in range(3)] for r in range(2)])
    assert np.unravel_index(marks.argmax(), marks.shape) == (row, column)


def test_the_plan_lies_on_the_ground_ahead() -> None:
    drawn = tiles(draw_mosaic(grey_frame(), NO_ALTERNATIVES, width=1200))
    front = drawn[0, 1].astype(int)
    green = (front[..., 1] - front[..., 0]) > 25
    rows = np.flatnonzero(green.any(axis=1))
    assert rows.min() > 0.49 * front.shape[0]  # below the horizon
    widths = green.sum(axis=1)[rows]
    assert widths[-1] > 3 * widths[0]  # perspective: near is wide
    assert not changed(drawn[1, 1]).any()  # nothing behind


def test_a_stopped_plan_is_red_and_the_banner_says_why() -> None:
    plain = draw_mosaic(grey_frame(), NO_ALTERNATIVES, width=1200)
    assert NO_ALTERNATIVES.plan is not None
    stopped = Content(plan=dataclasses.replace(NO_ALTERNATIVES.plan, stopped=True))
    alarm = draw_mosaic(grey_frame(), stopped, width=1200, alarm="CAM_FRONT is frozen")
    assert alarm.shape[0] > plain.shape[0]
    assert (alarm.reshape(-1, 3) == palette.ALARM).all(axis=1).sum() > 1000
    front = tiles(alarm)[0, 1].astype(int)
    assert ((front[..., 0] - front[..., 1]) > 40).sum() > 500


def test_a_lost_camera_says_so() -> None:
    drawn = tiles(draw_mosaic(grey_frame(lost=("CAM_BACK",)), Content((box_at(0, -14),)), width=1200))
    assert tuple(drawn[1, 1][-10, 30]) == palette.SURFACE
    assert changed(drawn[1, 1]).any()


def test_a_damaged_image_says_so_and_the_others_are_drawn() -> None:
    frame = grey_frame()
    views = dict(frame.views)
    good, bad = views["CAM_FRONT"], views["CAM_BACK"]
    jpeg = cv2.imencode(".jpg", good.image)[1].tobytes()
    views["CAM_FRONT"] = CameraView(EncodedImage(jpeg), good.stamp_ns, good.calibration, good.T_global_ego)
    views["CAM_BACK"] = CameraView(EncodedImage(jpeg[:-400]), bad.stamp_ns, bad.calibration, bad.T_global_ego)
    drawn = tiles(draw_mosaic(dataclasses.replace(frame, views=views), width=1200))
    assert tuple(drawn[1, 1][-10, 30]) == palette.SURFACE
    assert abs(int(drawn[0, 1][-10, 30, 0]) - GREY) < 4


def test_colours_are_rgb_whatever_comes_in() -> None:
    frame = grey_frame()
    red_bgr = np.zeros((180, 320, 3), np.uint8)
    red_bgr[..., 2] = 255
    view = frame.views["CAM_FRONT"]
    views = {
        **frame.views,
        "CAM_FRONT": dataclasses.replace(view, image=red_bgr, color="bgr"),
        "CAM_BACK": dataclasses.replace(
            frame.views["CAM_BACK"], image=EncodedImage(cv2.imencode(".png", red_bgr)[1].tobytes())
        ),
    }
    drawn = tiles(draw_mosaic(dataclasses.replace(frame, views=views), width=1200))
    assert tuple(drawn[0, 1][-10, 30]) == (255, 0, 0)
    assert tuple(drawn[1, 1][-10, 30]) == (255, 0, 0)


def test_truth_beside_a_scene_is_white() -> None:
    truth = Content(lines=(DrawnLine("divider", np.array([[-2.0, 4], [-2.0, 25]])),))
    alone = tiles(draw_mosaic(grey_frame(), None, truth, width=1200))[0, 1]
    beside = tiles(draw_mosaic(grey_frame(), Content((box_at(0, 40),)), truth, width=1200))[0, 1]
    yellow = palette.MAP_COLORS["divider"]
    assert (np.abs(alone.astype(int) - yellow).max(axis=-1) < 30).any()
    assert not (np.abs(beside.astype(int) - yellow).max(axis=-1) < 30).any()


def test_a_caption_makes_the_picture_higher_by_its_lines() -> None:
    frame = grey_frame()
    bare = draw_mosaic(frame, width=1200)
    short = draw_mosaic(frame, width=1200, caption="the car waits")
    long = draw_mosaic(frame, width=1200, caption="the car waits because a pedestrian crosses " * 12)
    assert bare.shape[0] < short.shape[0] < long.shape[0]
    assert {bare.shape[1], short.shape[1], long.shape[1]} == {1200}
    assert bare.dtype == np.uint8
