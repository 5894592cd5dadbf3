"""Films: as many pictures as were driven, readable again, of what the trace says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import world_helpers as helpers
from PIL import Image

from aln_p3_core.drawing.subtitles import Subtitle
from aln_p3_core.errors import ImageError
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.closed_loop.film import FilmWriter, Reel, bev_film, camera_film, camera_pictures
from aln_p3_core.world.closed_loop.runner import drive_episode, make_renderer
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.baselines import ConstantVelocity
from aln_p3_core.world.render.available import rendering_problem
from aln_p3_core.world.weather import Weather


@pytest.fixture(scope="module")
def stage():
    car = helpers.actor(ActorKind.CAR, 40.0, helpers.EAST_INNER)
    return helpers.stage(car, route=helpers.straight_route(length=120.0), speed=10.0)


@pytest.fixture(scope="module")
def result(stage):
    identity = {"scenario": "free", "city": "straight"}
    return drive_episode(stage, ConstantVelocity(), DriveSettings(time_limit_s=4.0), identity=identity)


def frames_of(path):
    """Seconds at which each picture of a GIF begins, and the pictures."""
    with Image.open(path) as film:
        pictures, starts, time_s = [], [], 0.0
        for index in range(film.n_frames):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB")))
            starts.append(time_s)
            time_s += film.info["duration"] / 1000
    return pictures, starts, time_s


def test_a_gif_lasts_as_long_as_the_drive(stage, result, tmp_path):
    pictures, starts, seconds = frames_of(bev_film(result, stage.city, tmp_path / "a.gif", size=240, fps=5))
    # 4 s at 5 Hz with both ends; the last picture is held for two seconds.
    assert len(pictures) == 21 and starts[-1] == pytest.approx(4.0)
    assert seconds == pytest.approx(4.2 + 2.0)
    assert pictures[0].shape == (240, 240, 3) and (pictures[0] != pictures[10]).any()
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_the_same_drive_gives_the_same_film(stage, result, tmp_path):
    films = [bev_film(result, stage.city, tmp_path / name, size=160, fps=2).read_bytes() for name in ("a.gif", "b.gif")]
    assert films[0] == films[1]


def test_an_mp4_can_be_read(stage, result, tmp_path):
    video = cv2.VideoCapture(str(bev_film(result, stage.city, tmp_path / "a.mp4", size=161, fps=5)))
    count, picture = 0, None
    while True:
        ok, image = video.read()
        if not ok:
            break
        count, picture = count + 1, image
    assert count == 21 + 10 and picture.shape == (160, 160, 3)


def test_what_went_wrong_is_told_for_a_while(result):
    reel = Reel.of_result(result)
    (begun, words), (_, last) = reel.alarms
    assert words == "collision vehicle (ego's fault)" and last == "time out"
    assert reel.title == "constant_velocity  free  straight"
    assert reel.alarm_at(begun + 0.5) == words and not reel.alarm_at(begun - 0.1) and not reel.alarm_at(begun + 4)
    assert "driving score" in reel.ending


def test_what_cannot_be_filmed_is_refused(stage, tmp_path):
    untraced = drive_episode(stage, ConstantVelocity(), DriveSettings(time_limit_s=0.5, trace=False))
    with pytest.raises(ImageError, match="not traced"):
        bev_film(untraced, stage.city, tmp_path / "a.gif")
    with pytest.raises(ImageError, match=r"\.gif, \.mp4"):
        FilmWriter(tmp_path / "a.avi", 5.0)
    with pytest.raises(RuntimeError), FilmWriter(tmp_path / "a.gif", 5.0) as film:
        film.add(np.zeros((10, 10, 3), np.uint8))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_words_are_shown_from_their_plan_on_for_a_while(result):
    words = [Subtitle(2.0, "second"), Subtitle(0.5, "first")]
    reel = Reel.of_report(result.to_json(), result.trace, words)
    assert reel.subtitle_at(0.4) is None
    assert reel.subtitle_at(0.5).narration == reel.subtitle_at(1.9).narration == "first"
    assert reel.subtitle_at(2.0).narration == "second"
    assert reel.subtitle_at(20.0) is None
    assert Reel.of_result(result).subtitle_at(1.0) is None


@pytest.mark.skipif(bool(rendering_problem()), reason="cameras cannot be rendered here")
def test_the_cameras_are_filmed_from_the_trace(stage, result, tmp_path):
    renderer = make_renderer(stage, Weather(), DriveSettings())
    try:
        path = camera_film(result, stage.city, stage.route, renderer, tmp_path / "a.gif", width=480, fps=1)
    finally:
        renderer.close()
    pictures, _, _ = frames_of(path)
    assert len(pictures) == 5
    above = pictures[0].shape[1] - 480
    assert above == pictures[0].shape[0]
    # The street scene in the cameras' part is bright, the view from above is dark.
    assert pictures[0][40:, :480].mean() > pictures[0][:, 480:].mean() + 20
    assert (pictures[0][:, :480] != pictures[3][:, :480]).mean() > 0.1


@pytest.mark.skipif(bool(rendering_problem()), reason="cameras cannot be rendered here")
def test_what_is_said_stands_below_the_cameras(stage, result, tmp_path):
    words = [Subtitle(1.0, "the car goes straight"), Subtitle(3.0, "the car stops", "", ("the plan goes on",))]
    renderer = make_renderer(stage, Weather(), DriveSettings())
    try:
        plain = list(camera_pictures(result, stage.city, stage.route, renderer, width=480, every=10))
        reel = Reel.of_report(result.to_json(), result.trace, words)
        spoken = list(camera_pictures(reel, stage.city, stage.route, renderer, width=480, every=10))
    finally:
        renderer.close()
    height = plain[0].shape[0]
    assert {picture.shape for picture in spoken} == {(spoken[0].shape[0], plain[0].shape[1], 3)}
    assert spoken[0].shape[0] > height + 30
    bands = [picture[height:] for picture in spoken]
    assert (bands[0] == bands[0][0, 0]).all(), "nothing is said yet"
    assert bands[1].max() > 150 and (bands[1] == bands[2]).all()
    assert (bands[3][..., 0].astype(int) - bands[3][..., 1] > 60).sum() > 100, "red"
