"""What the driver publishes, and for whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from driver_helpers import straight_scene

from aln_p3_core.frame import RouteCommand
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.driving.driver_outputs import DriverOutputs
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.faults import Degradation
from aln_p3_ros.messages import conversions
from aln_p3_ros.messages.trajectory import stop_trajectory
from aln_p3_ros.topics import TOPICS

NAMES = {TOPICS[key].name: key for key in ("trajectory", "path", "objects", "map", "perception_markers")}


class Desk:
    """Stands for the node: notes what is published, and says for whom."""

    def __init__(self, *heard: str) -> None:
        self.heard = set(heard)
        self.said: list[str] = []

    def create_lifecycle_publisher(self, kind: type, name: str, *args: Any, **kwargs: Any) -> Any:
        key = NAMES.get(name, name)
        return SimpleNamespace(
            publish=lambda message: self.said.append(key), get_subscription_count=lambda: int(key in self.heard)
        )

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=10**18))


def publish(desk: Desk) -> list[str]:
    outputs = DriverOutputs(desk, DriverSettings(), "run", "hash")
    scene = straight_scene(track_frames(1, size=(160, 90))[0])
    outputs.publish_scene(scene, Degradation(), speed=8.0, ground=np.eye(4))
    return desk.said


@pytest.mark.parametrize("key", ["objects", "map", "path", "perception_markers"])
def test_whoever_listens_is_told(key: str) -> None:
    assert publish(Desk(key)) == ["trajectory", key]


def test_everybody_listens_in_the_order_that_they_rely_on() -> None:
    said = publish(Desk(*NAMES.values()))
    assert said[0] == "trajectory" and set(said) == set(NAMES.values())


def test_nothing_is_made_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("nobody wants it")

    for name in ("predicted_objects", "vector_map", "path_message"):
        monkeypatch.setattr(conversions, name, made)
    desk = Desk()
    assert publish(desk) == ["trajectory"]
    DriverOutputs(desk, DriverSettings(), "run", "hash").publish_stop(
        stop_trajectory(8.0, 2.0), Degradation(), stamp_ns=0, command=RouteCommand(), ground=np.eye(4)
    )
    assert desk.said == ["trajectory", "trajectory"]
