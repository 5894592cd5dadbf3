"""One plan after another, in a thread of its own: camera set -> frame -> scene -> messages."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aln_p3.msg import PlannedTrajectory

from aln_p3_core.config import DriverConfig
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.scene import DrivingScene
from aln_p3_ros.driving.braking_path import BrakingPath
from aln_p3_ros.driving.camera_set import CameraSet
from aln_p3_ros.driving.diagnostics import LatencyWindow
from aln_p3_ros.driving.driver_inputs import DriverInputs
from aln_p3_ros.driving.driver_outputs import DriverOutputs
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.faults import (
    Degradation,
    Level,
    failed_model,
    impossible_plan,
    judge_age,
    judge_set,
    no_input,
    slow_model,
)
from aln_p3_ros.driving.frame_builder import BuiltFrame, FrameBuilder, image_fault
from aln_p3_ros.driving.plan_gate import plan_problem
from aln_p3_ros.driving.worker import LatestWorker
from aln_p3_ros.messages.conversions import path_of
from aln_p3_ros.messages.stamps import seconds_to_ns, to_ns
from aln_p3_ros.messages.trajectory import stop_trajectory

# A stamp before all others.
_NEVER_NS = -(2**63)


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
        discarded: camera sets and plans of a time before a declared stop, or of another time altogether.
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
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class _Job:
    """A camera set, when it came (node's and steady clock), and in which era: `PlanningLoop.start_over` begins one."""

    camera_set: CameraSet
    received_ns: int
    submitted: float
    era: int


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
        self._era = 0
        # Of the last declared stop: its stamp, and the steady clock when one was declared for want of a plan.
        self._stop_stamp_ns, self._stop_declared = _NEVER_NS, -math.inf
        self._last_path: BrakingPath | None = None
        # Speed and stamp of the first stop since odometry is missing, and the last odometry's stamp then.
        self._blind: tuple[float, int, int | None] | None = None
        self.worker: LatestWorker[_Job] = LatestWorker(self._plan, self._on_error, "planning")

    def submit(self, camera_set: CameraSet) -> None:
        """Hands a camera set to the thread; one that still waits there is dropped."""
        now_ns = self._now_ns()
        self.state.last_set_ns = now_ns
        self.worker.submit(_Job(camera_set, now_ns, time.monotonic(), self._era))

    def request_reset(self, reason: str) -> None:
        """The memory is dropped before the next plan; one that is being made is made anew."""
        self._reset_reason = reason
        self.state.last_reset = reason

    def start_over(self, reason: str) -> None:
        """Time went back: nothing that came before counts any more, nor a plan that is being made of it."""
        self._era += 1
        self.worker.drop()
        self.request_reset(reason)
        self.state.last_set_ns = self._last_path = self._blind = None
        self._stop_stamp_ns = _NEVER_NS

    def stop_now(self, degradation: Degradation, stamp_ns: int | None = None) -> None:
        """Publishes a declared stop: along the last plan's path where that is known, else straight.

        Args:
            stamp_ns: where it starts; now when None.
        """
        now_ns, at_once = self._now_ns(), stamp_ns is None
        stamp_ns = now_ns if stamp_ns is None else stamp_ns
        ground = self._inputs.odometry.pose_at(stamp_ns)
        speed = self._inputs.speed
        if speed is None:
            degradation = degradation.also(Level.STOP, "the speed is unknown: standstill is assumed")
        else:
            speed, degradation = self._braked(speed, stamp_ns, degradation)
        known = self._last_path
        path = None if known is None or ground is None else known.ahead(ground, stamp_ns)
        arrays = stop_trajectory(speed or 0.0, self.settings.stop_deceleration_mps2, path)
        command = self._inputs.command(now_ns)
        with self._publishing:
            self._stop_stamp_ns = max(self._stop_stamp_ns, stamp_ns)
            if at_once:
                self._stop_declared = time.monotonic()
            message = self._outputs.publish_stop(arrays, degradation, stamp_ns=stamp_ns, command=command, ground=ground)
            self._note(message, degradation)

    def _braked(self, speed: float, stamp_ns: int, degradation: Degradation) -> tuple[float, Degradation]:
        """The last known speed; without odometry less the braking since the first stop, so that stops which follow each
        other end. Newer odometry ends that: it measures what the braking has come to."""
        odometry = self._inputs.odometry
        problem, newest_ns = odometry.problem_at(stamp_ns), odometry.newest_stamp_ns
        if not problem:
            self._blind = None
            return speed, degradation
        if self._blind is None or self._blind[2] != newest_ns:
            self._blind = (speed, stamp_ns, newest_ns)
        first, since_ns, _ = self._blind
        elapsed_s = max(0.0, (stamp_ns - since_ns) * 1e-9)
        left = max(0.0, abs(first) - self.settings.stop_deceleration_mps2 * elapsed_s)
        reason = f"{problem}: taken to brake from {abs(first):.1f} m/s for {elapsed_s:.1f} s"
        return math.copysign(left, first), degradation.also(Level.STOP, reason)

    def _plan(self, job: _Job) -> None:
        started = time.monotonic()
        reason, self._reset_reason = self._reset_reason, ""
        if reason:
            self._model.reset(reason)
        if self._discards(job):
            return
        with_tokens = self._outputs.tokens_wanted(self._now_ns())
        built, degradation, scene = self._drive(job.camera_set, with_tokens)
        planned = time.monotonic()
        if self.worker.stopping:
            return
        if self._reset_reason:
            # What is to be forgotten is in this plan. Whoever waits for one of these images gets it all the same.
            self.worker.resubmit(job)
            return
        if self._discards(job):
            return
        if scene is None:
            self.stop_now(degradation, job.camera_set.newest_stamp_ns)
            return
        if problem := plan_problem(scene.plan, self._model.config.planner):
            # The network's memory of such a frame is no better than its plan.
            self.state.last_reset = f"the plan cannot be driven: {problem}"
            self._model.reset(self.state.last_reset)
            self.stop_now(impossible_plan(problem), job.camera_set.newest_stamp_ns)
            return
        timing = self._judge_time(scene, planned - started)
        if timing.level is Level.STOP:
            self.stop_now(timing)
            return
        for text in timing.reasons:
            degradation = degradation.also(timing.level, text)
        frame = built.frame
        assert frame is not None
        ground = None if built.odometry_problem else frame.T_global_ego
        speed = None if frame.ego_status is None else float(frame.ego_status.velocity[0])
        with self._publishing:
            # A stop may have been declared at this moment.
            if self._discards(job):
                return
            # The vehicle drives on: what it was taken to brake to is past.
            self._blind = None
            message = self._outputs.publish_scene(scene, degradation, speed=speed, ground=ground)
            self._note(message, degradation)
        self._last_path = (
            None if ground is None else BrakingPath(path_of(message.points), ground, scene.newest_image_stamp_ns)
        )
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

    def _discards(self, job: _Job) -> bool:
        """Whether nothing must be made of a camera set any more, which is counted: time began anew since it came, its
        stamp lies in the future, or a stop was declared that a plan for it would take back (stamps never step back)."""
        now_ns, stamp_ns = self._now_ns(), job.camera_set.newest_stamp_ns
        latest_ns = now_ns + seconds_to_ns(self.settings.time_jump_s)
        stopped = job.submitted < self._stop_declared or stamp_ns < self._stop_stamp_ns <= latest_ns
        discarded = job.era != self._era or stamp_ns > latest_ns or stopped
        self.state.discarded += discarded
        return discarded

    def _judge_time(self, scene: DrivingScene, took_s: float) -> Degradation:
        """Whether a plan comes in time to be driven."""
        settings, now_ns = self.settings, self._now_ns()
        if took_s > settings.inference_timeout_s:
            # The vehicle has been told to stop meanwhile; a plan from that long ago must not release it.
            return slow_model(took_s, settings.inference_timeout_s)
        last_set_ns = self.state.last_set_ns
        if last_set_ns is not None and (quiet_s := (now_ns - last_set_ns) * 1e-9) > settings.input_timeout_s:
            # So has it while no images came: what was seen before must not release it either.
            return no_input(quiet_s, settings.input_timeout_s, {})
        age_s = (now_ns - scene.newest_image_stamp_ns) * 1e-9
        limit_s = min(settings.max_plan_age_s, float(scene.plan.times_s[-1]))
        return judge_age(age_s, settings.reduced_plan_age_s, limit_s)

    def _drive(self, camera_set: CameraSet, with_tokens: bool) -> tuple[BuiltFrame, Degradation, DrivingScene | None]:
        """Plans; cameras whose image turns out to be corrupt only when it is decoded are left out and named."""
        corrupt: frozenset[str] = frozenset()
        faults = dict(camera_set.faults)
        command = self._inputs.command(self._now_ns())
        while True:
            known = CameraSet(camera_set.anchor, camera_set.anchor_stamp_ns, camera_set.images, faults)
            built = self._builder.build(known, command, without=corrupt)
            self._inputs.note_unusable({n: f for n, f in built.faults.items() if n not in camera_set.faults})
            problem = built.odometry_problem
            if problem and self._inputs.odometry_problem:
                problem = f"{problem} ({self._inputs.odometry_problem})"
            degradation = judge_set(
                built.faults,
                cameras=self._inputs.cameras,
                max_missing=self.settings.max_missing_cameras,
                required=self.settings.required_cameras,
                odometry_problem=problem,
                odometry_doubt=self._inputs.odometry_doubt,
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
                calibration = self._inputs.rig.calibration(culprit)
                faults[culprit] = image_fault(camera_set.images[culprit].payload, calibration, str(error))

    def _on_error(self, job: _Job, error: Exception) -> None:
        self._log_error(f"planning failed: {type(error).__name__}: {error}")
        if not (self.worker.stopping or self._discards(job)):
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
