"""The Rerun view: recordings that hold every part, and a server for this machine only."""

from __future__ import annotations

import dataclasses
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from driver_helpers import wait_until

from aln_p3_core.drawing.content import Content, DrawnBox, DrawnLine, DrawnPlan
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import EncodedImage
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.view.rerun_view import RerunView


@pytest.fixture
def rerun() -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed", exc_type=ImportError)


def content() -> Content:
    ahead = np.array([[0, 3.0 * k] for k in range(1, 7)])
    box = DrawnBox(
        "car",
        np.array([2.0, 12.0, -1.0]),
        np.array([4.5, 1.9, 1.6]),
        1.5,
        np.zeros(2),
        0.9,
        np.stack([ahead, ahead + 1]),
        np.array([0.7, 0.3]),
    )
    plan = DrawnPlan(ahead, 0.5 * np.arange(1, 7), (ahead * 0.9,))
    return Content((box,), (DrawnLine("divider", np.array([[0, 0], [0, 20.0]])),), plan)


def test_off_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert RerunView.open("off") is None


@pytest.mark.parametrize("mode", ["record", "serve"])
def test_a_missing_rerun_is_named(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"pip install 'rerun-sdk"):
        RerunView.open(mode)


@pytest.mark.usefixtures("rerun")
@pytest.mark.filterwarnings("error::Warning")
def test_a_recording_holds_every_part(tmp_path: Path) -> None:
    import rerun

    path = tmp_path / "new" / "drive.rrd"
    view = RerunView.open("record", path)
    assert view is not None and str(path) in view.where
    for index, frame in enumerate(track_frames(3, size=(160, 90))):
        front = frame.views["CAM_FRONT"]
        assert isinstance(front.image, EncodedImage)
        pixels = cv2.imdecode(np.frombuffer(front.image.data, np.uint8), cv2.IMREAD_COLOR)
        views = {**frame.views, "CAM_FRONT": dataclasses.replace(front, image=pixels, color="bgr")}
        if index == 1:
            views.pop("CAM_BACK")
        shown = content() if index < 2 else Content()
        view.log(dataclasses.replace(frame, views=views), shown, Content(boxes=shown.boxes), "the car drives on")
    view.close()
    recording = rerun.dataframe.load_recording(path)
    entities = {column.entity_path for column in recording.schema().component_columns()}
    assert {
        "/world/ego",
        "/world/ego/cam_front/image",
        "/world/ego/cam_back_left/image",
        "/world/ego/objects",
        "/world/ego/objects/forecasts",
        "/world/ego/truth",
        "/world/ego/map",
        "/world/ego/plan",
        "/world/ego/plan/alternatives",
        "/explanation",
    } <= entities


@pytest.mark.usefixtures("rerun")
def test_the_server_listens_here_only_and_ends_with_the_view() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if port >= 65535:
        port -= 2
    view = RerunView.open("serve", port=port)
    assert view is not None
    try:
        view.log(track_frames(1, size=(160, 90))[0], content(), Content(), "")
        assert str(port) in view.where
        for number in (port, port + 1):
            assert _listens("127.0.0.1", number)
        with pytest.raises(ConfigError, match="choose another rerun_port"):
            RerunView.open("serve", port=port)
    finally:
        view.close()
    wait_until(lambda: not _listens("127.0.0.1", port), "the server's end")


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
