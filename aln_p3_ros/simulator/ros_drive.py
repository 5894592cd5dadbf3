"""One drive of the embedded world whose plans come over ROS: the closed loop of the core, with topics between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from aln_p3.msg import PlannedTrajectory

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.frame import CommandProvenance, RouteCommand
from aln_p3_core.world.closed_loop.runner import ClosedLoop, RouteResult
from aln_p3_core.world.planners.planner import Decision, Observation, Planner
from aln_p3_core.world.rig import EXPOSURE_LEAD_S
from aln_p3_core.world.simulation import STEP_S
from aln_p3_ros.messages.stamps import to_ns
from aln_p3_ros.simulator.plans import PlanInbox, message_from_plan, plan_from_message
from aln_p3_ros.simulator.sensors import SensorMessages, Serialised

#: Plans older than this are not followed, s; the simulation remembers where the ego was for so long.
MAX_PLAN_AGE_S = 1.9
#: A machine that falls behind the wall clock by more than this goes on from there, instead of racing to catch up, s.
_MAX_DELAY_S = 1.0


class PlannerTimeoutError(AlnP3Error):
    """No plan came for a set of images, in lock-step."""


class Outlet(Protocol):
    """Where messages go."""

    def publish(self, topic: str, cdr: bytes | memoryview) -> None:
        """Publishes one serialised message."""

    def publish_clock(self, stamp_ns: int) -> None:
        """Publishes simulated time."""


@dataclass(frozen=True)
class Pacing:
    """How time passes.

    Attributes:
        lockstep: wait for the plan of every set of images.
        rate: simulated seconds per second at most; None does not wait for the wall clock.
        plan_timeout_s: of the wait in lock-step, wall clock.
    """

    lockstep: bool
    rate: float | None = None
    plan_timeout_s: float = 30.0


@dataclass
class Autopilot:
    """A planner of the core that speaks ROS: its plans leave as messages and come back like anybody else's.

    Attributes:
        planner: who plans. publish: sends a message.
        reasons: of the plans on their way, by plan id: no message carries them.
    """

    planner: Planner
    publish: Callable[[PlannedTrajectory], None]
    reasons: dict[str, Decision | None] = field(default_factory=dict)
    _plans: int = 0

    def speak(self, observation: Observation, command: RouteCommand, stamp_ns: Callable[[float], int]) -> int:
        """Plans and publishes; returns the stamp of the plan."""
        plan = self.planner.plan(observation)
        self._plans += 1
        plan_id = f"autopilot-{self._plans}"
        self.reasons[plan_id] = plan.decision
        stamp = stamp_ns(plan.stamp_s)
        self.publish(message_from_plan(plan, stamp, command, plan_id, self.planner.name))
        return stamp

    def reason_of(self, plan_id: str) -> Decision | None:
        """Why a plan that has come back is as it is; None for somebody else's."""
        return self.reasons.pop(plan_id, None)


class RosDrive:
    """Runs one `ClosedLoop` to its end.

    Args:
        loop: the drive.
        sensors: makes messages of its rig.
        outlet: takes them.
        inbox: where trajectories arrive.
        pacing: how time passes.
        autopilot: who plans inside; None: somebody else.
        ground_truth: publish everybody around.
        images: whether cameras are rendered and sent.
        closing: ends the drive early.

    Attributes:
        followed: plans that the vehicle has followed. refused: those that it has not.
        refusal: why the last one was not followed, or "".
        last_plan_stamp_s: stamp of the plan that is followed, s of the drive; None before the first.
    """

    def __init__(
        self,
        loop: ClosedLoop,
        sensors: SensorMessages,
        outlet: Outlet,
        inbox: PlanInbox,
        pacing: Pacing,
        *,
        autopilot: Autopilot | None = None,
        ground_truth: bool = False,
        images: bool = True,
        closing: threading.Event | None = None,
    ) -> None:
        self._loop, self._sensors, self._outlet = loop, sensors, outlet
        self._inbox, self._pacing, self._autopilot = inbox, pacing, autopilot
        self._ground_truth, self._images = ground_truth, images
        self._closing = closing or threading.Event()
        self._wall_start = 0.0
        leads = {EXPOSURE_LEAD_S.get(name, 0.0) for name in loop.simulation.rig} if images else set()
        self._leads = sorted(leads - {0.0}, reverse=True)
        self.followed = self.refused = 0
        self.refusal = ""
        self.last_plan_stamp_s: float | None = None

    @property
    def time_s(self) -> float:
        """Seconds of the drive."""
        return self._loop.simulation.time_s

    def run(self, planner: str, identity: Mapping[str, Any]) -> RouteResult:
        """Drives to the end, or until it is closed.

        Raises:
            PlannerTimeoutError: in lock-step, when no plan came for a set of images.
        """
        loop = self._loop
        self._wall_start = time.monotonic()
        if self._autopilot is not None:
            self._autopilot.planner.reset()
        with loop.timing.of("publishing"):
            self._send(self._sensors.static(loop.simulation.start_ns))
            self._say_motion()
        while loop.running and not self._closing.is_set():
            self._tick()
            for step in range(1, loop.settings.steps_per_plan + 1):
                if self._closing.is_set() or not loop.step():
                    break
                self._pace()
                with loop.timing.of("publishing"):
                    self._say_motion(exposures=step == loop.settings.steps_per_plan)
                if not self._pacing.lockstep:
                    self._take_newest()
        return loop.result(planner, identity)

    def _tick(self) -> None:
        loop, simulation = self._loop, self._loop.simulation
        observation = loop.observe(images=self._images)
        now_ns = simulation.stamp_ns(simulation.time_s)
        speed = simulation.state.ego.speed
        command = RouteCommand(simulation.stage.route.command_at(simulation.route_s, speed), CommandProvenance.GIVEN)
        stamps = {name: simulation.stamp_ns(view.time_s) for name, view in observation.views.items()}
        with loop.timing.of("publishing"):
            self._send(self._sensors.command(now_ns, command))
            if self._ground_truth:
                self._send(self._sensors.truth(now_ns, simulation.state))
            self._send(self._sensors.cameras(stamps, observation.views))
        wanted_ns = max(stamps.values(), default=now_ns)
        if self._autopilot is not None:
            with loop.timing.of("planner"):
                wanted_ns = self._autopilot.speak(observation, command, simulation.stamp_ns)
        if not self._pacing.lockstep:
            return
        with loop.timing.of("planner"):
            message = self._await_plan(wanted_ns)
        if message is not None:
            self._follow(message)
        elif not self._closing.is_set():
            raise PlannerTimeoutError(
                f"no trajectory for the images of {wanted_ns * 1e-9:.3f} s came within "
                f"{self._pacing.plan_timeout_s:g} s (wall clock); is the driver active, and does it subscribe to "
                "these cameras? See /diagnostics"
            )

    def _await_plan(self, stamp_ns: int) -> PlannedTrajectory | None:
        """The plan of an instant, or None after the time-out; looks up now and then whether the drive is over."""
        first = self.time_s == 0.0

        def fits(message: PlannedTrajectory) -> bool:
            # Before its first images a driver says that it stops for want of them, perhaps at this very instant.
            return not (first and message.degraded == PlannedTrajectory.DEGRADED_STOP)

        until = time.monotonic() + self._pacing.plan_timeout_s
        while not self._closing.is_set():
            remaining = until - time.monotonic()
            message = self._inbox.wait_for(stamp_ns, min(0.2, max(remaining, 0.0)), fits)
            if message is not None or remaining <= 0:
                return message
            # /clock may have been lost on its way, and without it a driver gives no plan.
            self._outlet.publish_clock(self._loop.simulation.stamp_ns(self.time_s))
            self._closing.wait(0.01)
        return None

    def _take_newest(self) -> None:
        message = self._inbox.take()
        if message is not None:
            self._follow(message)

    def _follow(self, message: PlannedTrajectory) -> None:
        simulation = self._loop.simulation
        # Stamps are whole microseconds of the episode: rounding gives the simulation's own number back.
        stamp_s = round((to_ns(message.header.stamp) - simulation.start_ns) * 1e-9, 6)
        age_s = simulation.time_s - stamp_s
        if not -STEP_S < age_s < MAX_PLAN_AGE_S:
            self._refuse(f"a trajectory of another time ({age_s:.2f} s old) was not followed")
            return
        try:
            plan = plan_from_message(message, stamp_s)
        except AlnP3Error as error:
            self._refuse(str(error))
            return
        if self._autopilot is not None:
            plan = replace(plan, decision=self._autopilot.reason_of(message.plan_id))
        self._loop.follow(plan)
        self.followed += 1
        self.last_plan_stamp_s = stamp_s

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self.refusal = reason

    def _say_motion(self, *, exposures: bool = False) -> None:
        """The vehicle's motion now, and with `exposures` at every camera's exposure just before, in order of time."""
        simulation = self._loop.simulation
        now_ns = simulation.stamp_ns(simulation.time_s)
        self._outlet.publish_clock(now_ns)
        for lead in self._leads if exposures else ():
            time_s = simulation.time_s - lead
            self._send(self._sensors.motion(simulation.stamp_ns(time_s), simulation.ego_at(time_s)))
        self._send(self._sensors.motion(now_ns, simulation.state.ego))

    def _pace(self) -> None:
        if self._pacing.rate is None:
            return
        remaining = self._wall_start + self.time_s / self._pacing.rate - time.monotonic()
        if remaining > 0:
            self._closing.wait(remaining)
        elif remaining < -_MAX_DELAY_S:
            self._wall_start -= remaining

    def _send(self, serialised: list[Serialised]) -> None:
        for topic, cdr in serialised:
            self._outlet.publish(topic, cdr)
