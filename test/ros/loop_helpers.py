"""The driver's inputs, planning loop and outputs on a node that is none: no topics, no threads, a clock by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from aln_p3.msg import PlannedTrajectory
from driver_helpers import PERIOD_NS, SIZE, SPEED, START_NS, StraightModel
from nav_msgs.msg import Odometry
from std_msgs.msg import Header

from aln_p3_core.calibration import save_calibration
from aln_p3_core.frame import NUSCENES_CAMERAS, DrivingFrame
from aln_p3_core.geometry import make_transform
from aln_p3_core.scene import DrivingScene
from aln_p3_core.synthetic import track
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.driving.driver_inputs import DriverInputs
from aln_p3_ros.driving.driver_outputs import DriverOutputs
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.planning_loop import PlanningLoop
from aln_p3_ros.messages.images import compressed_message
from aln_p3_ros.messages.stamps import to_time
from aln_p3_ros.messages.transforms import fill_pose
from aln_p3_ros.topics import TOPICS


class NodeByHand:
    """What the parts ask of their node. Subscriptions are callbacks by topic, publishers lists of messages."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.published: dict[str, list[Any]] = {}

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))

    def create_subscription(self, kind: Any, topic: str, callback: Callable[[Any], None], *_: Any, **__: Any) -> str:
        self.callbacks[topic] = callback
        return topic

    def destroy_subscription(self, topic: str) -> None:
        del self.callbacks[topic]

    def create_lifecycle_publisher(self, kind: Any, topic: str, *_: Any, **__: Any) -> Any:
        messages = self.published[topic] = []
        return SimpleNamespace(publish=messages.append, get_subscription_count=lambda: 0)


class ModelByHand(StraightModel):
    """Drives straight ahead.

    Attributes:
        during: called while it plans. points: its plan, [3, 6, 2], instead. resets: why its memory was dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.during: Callable[[], None] = lambda: None
        self.points: np.ndarray | None = None
        self.resets: list[str] = []

    def plan(self, frame: DrivingFrame, *, with_tokens: bool = False) -> DrivingScene:
        scene = super().plan(frame, with_tokens=with_tokens)
        self.during()
        if self.points is None:
            return scene
        return dataclasses.replace(scene, plan=dataclasses.replace(scene.plan, trajectories_model=self.points))

    def reset(self, reason: str = "asked for") -> None:
        self.resets.append(reason)
        super().reset(reason)


class Bench:
    """Inputs, loop and outputs, wired as the node wires them. Plans are made when `work` is called."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        calibration = folder / "rig.json"
        save_calibration(calibration, track.rig(*SIZE))
        self.settings = DriverSettings(calibration_file=str(calibration), **settings)
        self.node, self.model = NodeByHand(), ModelByHand()
        self.errors: list[str] = []
        self.inputs = DriverInputs(
            self.node, self.settings, NUSCENES_CAMERAS, lambda images: self.loop.submit(images), self._on_jump
        )
        self.outputs = DriverOutputs(self.node, self.settings, "run", "0123abcd")
        self.loop = PlanningLoop(
            self.model,
            self.inputs,
            self.outputs,
            self.settings,
            drive_id="drive",
            now_ns=lambda: self.node.now_ns,
            log_error=self.errors.append,
        )
        self.jumps: list[str] = []
        self._frame = track_frames(1, size=SIZE)[0]
        self._rounds = 0
        self.inputs.start()

    @property
    def trajectories(self) -> list[PlannedTrajectory]:
        return self.node.published[TOPICS["trajectory"].name]

    @property
    def waiting(self) -> bool:
        """Whether a camera set waits to be planned on."""
        return self.loop.worker._job is not None

    def tick(self, seconds: float) -> None:
        """Lets time pass, or jump, and the node look at its inputs."""
        self.node.now_ns += round(seconds * 1e9)
        self.inputs.poll()

    def see(self, *, odometry: bool = True, lag_s: float = 0.02, skip: Collection[str] = ()) -> int:
        """A period later: odometry and an image of each camera, all of one instant. Returns their stamp."""
        self.node.now_ns += PERIOD_NS
        if odometry:
            self.send_odometry()
        self._rounds += 1
        stamp_ns = self.node.now_ns - round(lag_s * 1e9)
        for name in NUSCENES_CAMERAS:
            if name in skip:
                continue
            # Bytes behind the end are none of the picture's, but make it another one.
            data = bytes(self._frame.views[name].image.data) + bytes([self._rounds % 256]) + b"\xff\xd9"
            message = compressed_message(data, to_time(stamp_ns), name.lower(), "jpeg")
            self.node.callbacks[TOPICS["camera_compressed"].name.format(camera=name.lower())](message)
        return stamp_ns

    def send_odometry(self, seconds: float = 0.0, *, speed: float = SPEED, **frames: str) -> None:
        """Straight ahead along x, stamped so many seconds from now; `frames`: frame_id, child_frame_id."""
        stamp_ns = self.node.now_ns + round(seconds * 1e9)
        message = Odometry(
            header=Header(stamp=to_time(stamp_ns), frame_id=frames.get("frame_id", "odom")),
            child_frame_id=frames.get("child_frame_id", "base_link"),
        )
        fill_pose(message.pose.pose, make_transform(np.eye(3), [SPEED * (stamp_ns - START_NS) * 1e-9, 0, 0]))
        message.twist.twist.linear.x = speed
        self.node.callbacks[TOPICS["odometry"].name](message)

    def work(self) -> None:
        """Does what the loop's thread would do with the set that waits, if one does."""
        worker = self.loop.worker
        job, worker._job = worker._job, None
        if job is None:
            return
        try:
            self.loop._plan(job)
        except Exception as error:
            self.loop._on_error(job, error)

    def drive(self, rounds: int = 1, **kwargs: Any) -> PlannedTrajectory:
        """Plans on so many rounds; returns the last trajectory."""
        for _ in range(rounds):
            self.see(**kwargs)
            if not self.waiting:
                self.tick(0.2)  # a set that waits for a camera, or for odometry
            count = len(self.trajectories)
            self.work()
            assert len(self.trajectories) == count + 1
        return self.trajectories[-1]

    def _on_jump(self, reason: str) -> None:
        self.jumps.append(reason)
        self.loop.start_over(reason)
