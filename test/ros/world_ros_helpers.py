"""What the tests of the simulator share: a small stage, painted cameras, an outlet that takes notes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.closed_loop.runner import ClosedLoop
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.planner import EgoPlan, straight_plan
from aln_p3_core.world.render.available import rendering_problem
from aln_p3_core.world.render.images import RenderedView, Shot
from aln_p3_core.world.rig import world_rig
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.simulator.plans import PlanInbox
from aln_p3_ros.simulator.ros_drive import Pacing, RosDrive
from aln_p3_ros.simulator.sensors import SensorMessages
from aln_p3_ros.topics import TOPICS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core" / "world"))

from world_helpers import actor, stage

START_NS = 1_700_000_000_000_000_000
needs_rendering = pytest.mark.skipif(rendering_problem() is not None, reason=f"cannot render: {rendering_problem()}")

__all__ = ["actor", "stage"]


class PaintedCameras:
    """Pictures that tell camera and time by their colours, for tests that need no graphics."""

    def __init__(self, rig: dict[str, CameraCalibration]) -> None:
        self._rig = rig

    def render(self, shots: list[Shot], *, truth: bool = False) -> dict[str, RenderedView]:
        return {shot.camera: self._view(shot) for shot in shots}

    def close(self) -> None:
        pass

    def _view(self, shot: Shot) -> RenderedView:
        calibration = self._rig[shot.camera]
        row = np.linspace(0, 255, calibration.width, dtype=np.uint8)
        color = np.zeros((calibration.height, calibration.width, 3), np.uint8)
        color[..., 0] = row
        color[..., 1] = list(self._rig).index(shot.camera) * 40
        color[..., 2] = round(shot.time_s * 50) % 256
        return RenderedView(shot.camera, shot.time_s, shot.state, calibration, color)


class NotesOutlet:
    """Keeps (topic, bytes) in the order of publication; /clock as its nanoseconds."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.hook: Callable[[str], None] = lambda topic: None

    def publish(self, topic: str, cdr: bytes | memoryview) -> None:
        self.sent.append((topic, bytes(cdr)))
        self.hook(topic)

    def publish_clock(self, stamp_ns: int) -> None:
        self.sent.append(("/clock", stamp_ns))
        self.hook("/clock")

    def on(self, topic: str) -> list[Any]:
        """What was sent on a topic."""
        return [content for name, content in self.sent if name == topic]

    def odometry(self) -> list[Odometry]:
        """All odometry."""
        return [deserialize_message(cdr, Odometry) for cdr in self.on(TOPICS["odometry"].name)]


class SmallDrive:
    """A drive on the straight street with painted cameras: everything of the simulator but the node.

    `answer` plans for the images of an instant (stamp in ns, seconds of the drive), called when they are out; what it
    gives is put into the inbox.
    """

    def __init__(
        self,
        pacing: Pacing,
        *,
        answer: Callable[[int, float], PlannedTrajectory | None] = lambda stamp_ns, time_s: None,
        rate_hz: int = 2,
        seconds: float = 2.0,
        speed: float = 8.0,
        closing: threading.Event | None = None,
        **options: Any,
    ) -> None:
        rig = world_rig()
        self.loop = ClosedLoop(
            stage(speed=speed),
            DriveSettings(rate_hz=rate_hz, time_limit_s=seconds),
            rig=rig,
            renderer=PaintedCameras(rig),
            start_ns=START_NS,
            drive_id="small",
        )
        self.outlet, self.inbox = NotesOutlet(), PlanInbox()
        self.sensors = SensorMessages(rig, ground_truth=True)
        self.drive = RosDrive(self.loop, self.sensors, self.outlet, self.inbox, pacing, closing=closing, **options)
        self._answer, self._images = answer, 0
        self.outlet.hook = self._listen

    def run(self) -> Any:
        """Runs it to its end."""
        try:
            return self.drive.run("test", {"name": "small"})
        finally:
            self.sensors.close()

    def _listen(self, topic: str) -> None:
        if topic not in self.sensors.image_topics:
            return
        self._images += 1
        if self._images % len(self.sensors.image_topics) == 0:
            time_s = self.loop.simulation.time_s
            newest_s = max(0.0, time_s - 0.001)
            message = self._answer(self.loop.simulation.stamp_ns(newest_s), time_s)
            if message is not None:
                self.inbox.put(message)


def onward(stamp_s: float = 0.0, speed: float = 8.0) -> EgoPlan:
    """Straight on."""
    return straight_plan(stamp_s, speed)


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's header."""
    return to_ns(message.header.stamp)
