"""One plan after another, in a thread of its own: camera set -> frame -> scene -> messages."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from aln_p3.msg import PlannedTrajectory

from aln_p3_core.config import DriverConfig
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points
from aln_p3_core.scene import DrivingScene
from aln_p3_ros.driving.camera_set import CameraSet
from aln_p3_ros.driving.diagnostics import LatencyWindow
from aln_p3_ros.driving.driver_inputs import DriverInputs
from aln_p3_ros.driving.driver_outputs import DriverOutputs
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.faults import Degradation, Level, failed_model, judge_set, no_input, slow_model
from aln_p3_ros.driving.frame_builder import BuiltFrame, FrameBuilder
from aln_p3_ros.driving.worker import LatestWorker
from aln_p3_ros.messages.conversions import path_of
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.messages.trajectory import stop_trajectory

# A plan older than this no longer says where to brake along.
_MAX_PATH_AGE_NS = 3_000_000_000


class PlanningModel(Protocol):
    """What the node needs of a driver; every `aln_p3_core.driver.frame_driver.FrameDriver` is one."""

    config: DriverConfig
    checkpoint_hash: str
    description: str

    def plan(self, frame: DrivingFrame, *, with_tokens: bool = False) -> DrivingScene:
        """One frame."""

    def reset(self, reason: str = "asked for") -> None:
        """Drops the temporal memory."""

    def warm_up(self, frames: int = 2) -> None:
        """Makes the first frame fast."""


@dataclass(slots=True)
class PlanningState:
    """What the last plans were like; read by diagnostics.

    Attributes:
        degradation: of the last trajectory.
        plan_id, plan_stamp_ns: of the last trajectory.
        memory_resets: how often the memory was dropped. last_reset: why, the last time.
        history_age_s: age of the memory that the last plan used, or None.
        guard: why the last plan brakes more than the network's own, or "". guarded: how many plans did.
        last_set_ns: node's clock when the last camera set came, or None.
    """

    degradation: Degradation = field(default_factory=Degradation)
    plan_id: str = ""
    plan_stamp_ns: int = 0
    memory_resets: int = 0
    last_reset: str = ""
    history_age_s: float | None = None
    guard: str = ""
    guarded: int = 0
    last_set_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    camera_set: CameraSet
    received_ns: int
    submitted: float


class PlanningLoop:
    """Plans on the newest camera set only, and publishes.

    Args:
        model: plans; called from this loop's thread only.
        inputs: of the node.
        outputs: of the node.
        drive_id: names this drive in frames.
        now_ns: the node's clock.
        log_error: told of errors of the model.
    """

    def __init__(
        self,
        model: PlanningModel,
        inputs: DriverInputs,
        outputs: DriverOutputs,
        settings: DriverSettings,
        *,
        drive_id: str,
        now_ns: Callable[[], int],
        log_error: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.state = PlanningState()
        self.latency = LatencyWindow()
        self._model = model
        self._inputs = inputs
        self._outputs = outputs
        self._builder = FrameBuilder(inputs.rig, inputs.odometry, drive_id)
        self._now_ns = now_ns
        self._log_error = log_error
        self._publishing = threading.Lock()
        self._reset_reason = ""
        self._last_path: tuple[FloatArray, FloatArray, int] | None = None
        # Speed and stamp of the first stop since odometry is missing.
        self._blind: tuple[float, int] | None = None
        self.worker: LatestWorker[_Job] = LatestWorker(self._plan, self._on_error, "planning")

    def submit(self, camera_set: CameraSet) -> None:
        """Hands a camera set to the thread; one that still waits there is dropped."""
        now_ns = self._now_ns()
        self.state.last_set_ns = now_ns
        self.worker.submit(_Job(camera_set, now_ns, time.monotonic()))

    def request_reset(self, reason: str) -> None:
        """The memory is dropped before the next plan."""
        self._reset_reason = reason
        self.state.last_reset = reason

    def stop_now(self, degradation: Degradation, stamp_ns: int | None = None) -> None:
        """Publishes a declared stop: along the last plan's path where that is known, else straight.

        Args:
            stamp_ns: where it starts; now when None.
        """
        stamp_ns = self._now_ns() if stamp_ns is None else stamp_ns
        ground = self._inputs.odometry.pose_at(stamp_ns)
        speed = self._inputs.speed
        if speed is None:
            degradation = degradation.also(Level.STOP, "the speed is unknown: standstill is assumed")
        else:
            speed, degradation = self._braked(speed, stamp_ns, degradation)
        arrays = stop_trajectory(speed or 0.0, self.settings.stop_deceleration_mps2, self._path_ahead(ground, stamp_ns))
        with self._publishing:
            message = self._outputs.publish_stop(
                arrays, degradation, stamp_ns=stamp_ns, command=self._inputs.command(self._now_ns()), ground=ground
            )
            self._note(message, degradation)

    def _braked(self, speed: float, stamp_ns: int, degradation: Degradation) -> tuple[float, Degradation]:
        """The last known speed; without odometry less the braking since the first stop, so that stops which follow each
        other end."""
        problem = self._inputs.odometry.problem_at(stamp_ns)
        if not problem:
            self._blind = None
            return speed, degradation
        if self._blind is None:
            self._blind = (speed, stamp_ns)
        first, since_ns = self._blind
        elapsed_s = max(0.0, (stamp_ns - since_ns) * 1e-9)
        left = max(0.0, abs(first) - self.settings.stop_deceleration_mps2 * elapsed_s)
        reason = f"{problem}: taken to brake from {abs(first):.1f} m/s for {elapsed_s:.1f} s"
        return math.copysign(left, first), degradation.also(Level.STOP, reason)

    def _plan(self, job: _Job) -> None:
        started = time.monotonic()
        reason, self._reset_reason = self._reset_reason, ""
        if reason:
            self._model.reset(reason)
        with_tokens = self._outputs.tokens_wanted(self._now_ns())
        built, degradation, scene = self._drive(job.camera_set, with_tokens)
        planned = time.monotonic()
        if self.worker.stopping:
            return
        if scene is None:
            self.stop_now(degradation, job.camera_set.newest_stamp_ns)
            return
        took = planned - started
        if took > self.settings.inference_timeout_s:
            # The vehicle has been told to stop meanwhile; a plan from that long ago must not release it.
            self.stop_now(slow_model(took, self.settings.inference_timeout_s))
            return
        now_ns = self._now_ns()
        last_set_ns = self.state.last_set_ns
        if last_set_ns is not None and (quiet_s := (now_ns - last_set_ns) * 1e-9) > self.settings.input_timeout_s:
            # So has it while no images came: what was seen before must not release it either.
            self.stop_now(no_input(quiet_s, self.settings.input_timeout_s, {}))
            return
        frame = built.frame
        assert frame is not None
        ground = None if built.odometry_problem else frame.T_global_ego
        speed = None if frame.ego_status is None else float(frame.ego_status.velocity[0])
        with self._publishing:
            message = self._outputs.publish_scene(scene, degradation, speed=speed, ground=ground)
            self._note(message, degradation)
        self._last_path = None if ground is None else (path_of(message.points), ground, scene.newest_image_stamp_ns)
        self._note_scene(scene)
        done = time.monotonic()
        self.latency.add(
            {
                "arrival": (job.received_ns - scene.newest_image_stamp_ns) * 1e-6,
                "waiting": (started - job.submitted) * 1e3,
                **scene.timings_ms,
                "planning": (planned - started) * 1e3,
                "publishing": (done - planned) * 1e3,
                "total": (done - job.submitted) * 1e3,
                "age": to_ns(message.age) * 1e-6,
            }
        )

    def _drive(self, camera_set: CameraSet, with_tokens: bool) -> tuple[BuiltFrame, Degradation, DrivingScene | None]:
        """Plans; cameras whose image turns out to be corrupt only when it is decoded are left out and named."""
        corrupt: frozenset[str] = frozenset()
        faults = dict(camera_set.faults)
        command = self._inputs.command(self._now_ns())
        while True:
            known = CameraSet(camera_set.anchor, camera_set.anchor_stamp_ns, camera_set.images, faults)
            built = self._builder.build(known, command, without=corrupt)
            degradation = judge_set(
                built.faults,
                cameras=self._inputs.cameras,
                max_missing=self.settings.max_missing_cameras,
                required=self.settings.required_cameras,
                odometry_problem=built.odometry_problem,
            )
            if built.frame is None:
                return built, degradation.also(Level.STOP, "no camera can be used"), None
            if degradation.level is Level.STOP:
                return built, degradation, None
            try:
                return built, degradation, self._model.plan(built.frame, with_tokens=with_tokens)
            except ImageError as error:
                # Every image names its camera as its source, and error messages begin with the source.
                culprit = next((name for name in built.frame.views if str(error).startswith(f"{name} ")), None)
                if culprit is None:
                    raise
                corrupt |= {culprit}
                faults[culprit] = self._inputs.note_corrupt(culprit, camera_set.images[culprit].payload, str(error))

    def _on_error(self, job: _Job, error: Exception) -> None:
        self._log_error(f"planning failed: {type(error).__name__}: {error}")
        if not self.worker.stopping:
            self.stop_now(failed_model(error), job.camera_set.newest_stamp_ns)

    def _note(self, message: PlannedTrajectory, degradation: Degradation) -> None:
        self.state.degradation = degradation
        self.state.plan_id = message.plan_id
        self.state.plan_stamp_ns = to_ns(message.header.stamp)

    def _note_scene(self, scene: DrivingScene) -> None:
        self.state.history_age_s = scene.history_age_s
        self.state.guard = scene.guard
        self.state.guarded += bool(scene.guard)
        if scene.memory_reset:
            self.state.memory_resets += 1
            self.state.last_reset = scene.memory_reset

    def _path_ahead(self, ground: FloatArray | None, stamp_ns: int) -> FloatArray | None:
        """The last plan's path in base_link as it stands now, or None where it is unknown or old."""
        if ground is None or self._last_path is None:
            return None
        path, T_odom_then, then_ns = self._last_path
        if not 0 <= stamp_ns - then_ns <= _MAX_PATH_AGE_NS or len(path) == 0:
            return None
        T_now_then = invert_transform(ground) @ T_odom_then
        points = np.column_stack([path, np.zeros(len(path))])
        return transform_points(T_now_then, points)[:, :2]
