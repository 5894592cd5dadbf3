"""A drive behind messages: order and stamps, lock-step, plans that are refused, pace, ends."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from world_ros_helpers import START_NS, SmallDrive, onward, stage, stamp_of

from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.world.closed_loop.runner import RouteResult, drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.baselines import ConstantVelocity, StandStill
from aln_p3_core.world.rig import EXPOSURE_LEAD_S
from aln_p3_ros.messages.stamps import to_time
from aln_p3_ros.simulator.plans import message_from_plan
from aln_p3_ros.simulator.ros_drive import Autopilot, Pacing, PlannerTimeoutError
from aln_p3_ros.topics import TOPICS

LOCKSTEP = Pacing(lockstep=True, plan_timeout_s=20.0)
AS_FAST_AS_POSSIBLE = Pacing(lockstep=False)
COMMAND = RouteCommand(Command.STRAIGHT, CommandProvenance.GIVEN)


def plan_for(stamp_ns: int, time_s: float, speed: float = 8.0) -> PlannedTrajectory:
    return message_from_plan(onward(speed=speed), stamp_ns, COMMAND, f"plan-{time_s:g}", "test")


def same(a: RouteResult, b: RouteResult, tmp_path) -> bool:
    assert a.trace is not None and b.trace is not None
    a.trace.save(tmp_path / "a.npz")
    b.trace.save(tmp_path / "b.npz")
    equal_bytes = (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    return equal_bytes and a.to_json()["measures"] == b.to_json()["measures"]


@pytest.mark.parametrize("planner", [ConstantVelocity(), StandStill()])
def test_lockstep_gives_what_the_loop_without_messages_gives(planner, tmp_path) -> None:
    drive = SmallDrive(LOCKSTEP, seconds=3.0)
    drive.drive._autopilot = Autopilot(planner, drive.inbox.put)
    through = drive.run()
    settings = DriveSettings(rate_hz=2, time_limit_s=3.0)
    assert same(through, drive_episode(stage(speed=8.0), planner, settings), tmp_path)
    assert drive.drive.followed == 6
    assert through.measures.duration_s == pytest.approx(3.0)


def test_every_set_of_images_waits_for_its_own_plan() -> None:
    asked: list[int] = []

    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory:
        asked.append(stamp_ns)
        return plan_for(stamp_ns, time_s)

    drive = SmallDrive(LOCKSTEP, answer=answer)
    drive.run()
    # The newest picture is that of the back left camera, a millisecond before the tick.
    assert asked == [START_NS + ms * 1_000_000 for ms in (0, 499, 999, 1499)]
    assert drive.drive.followed == 4


def test_messages_leave_in_the_order_of_time_and_motion_is_known_at_every_exposure() -> None:
    drive = SmallDrive(LOCKSTEP, answer=plan_for, seconds=1.0)
    drive.run()
    assert drive.outlet.on("/clock") == [START_NS + 50_000_000 * step for step in range(20)]
    odometry = [stamp_of(message) for message in drive.outlet.odometry()]
    assert odometry == sorted(set(odometry))
    exposures = {START_NS + round((0.5 - lead) * 1e6) * 1000 for lead in EXPOSURE_LEAD_S.values()}
    assert exposures <= set(odometry)
    names = [topic for topic, _ in drive.outlet.sent]
    first_image = names.index(drive.sensors.image_topics[0])
    assert names[0] == "/tf_static"
    assert names.index(TOPICS["route_command"].name) < first_image
    assert names.index("/clock") < first_image
    # Each state that the messages tell is the simulation's.
    last = drive.outlet.odometry()[-1]
    ego = drive.loop.simulation.ego_at((stamp_of(last) - START_NS) * 1e-9)
    assert last.pose.pose.position.x == pytest.approx(ego.x, abs=1e-9)


def test_without_a_plan_lockstep_ends_with_the_reason() -> None:
    with pytest.raises(PlannerTimeoutError, match="is the driver active"):
        SmallDrive(Pacing(lockstep=True, plan_timeout_s=0.1)).run()


def test_in_lockstep_the_time_is_said_again_while_a_plan_is_waited_for() -> None:
    """A driver that has lost the first /clock makes no plan before the next."""

    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory | None:
        if time_s > 0.0:
            return plan_for(stamp_ns, time_s)

        def hear(topic: str) -> None:
            if topic == "/clock":
                drive.outlet.hook = before
                drive.inbox.put(plan_for(stamp_ns, time_s))

        before, drive.outlet.hook = drive.outlet.hook, hear
        return None

    drive = SmallDrive(LOCKSTEP, answer=answer, seconds=1.0)
    drive.run()
    assert drive.outlet.on("/clock")[:3] == [START_NS, START_NS, START_NS + 50_000_000]


def test_a_stop_for_want_of_images_is_no_answer_to_the_first_ones() -> None:
    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory:
        stop = plan_for(stamp_ns, time_s, speed=0.0)
        stop.degraded = PlannedTrajectory.DEGRADED_STOP
        if time_s == 0.0:
            threading.Timer(0.1, drive.inbox.put, [plan_for(stamp_ns, time_s)]).start()
        return stop

    drive = SmallDrive(LOCKSTEP, answer=answer, seconds=1.0)
    trace = drive.run().trace
    reach = [np.hypot(*(plan.points_world[-1] - plan.points_world[0])) for plan in trace.plans]
    assert reach[0] > 10, "the driver's own plan for the first images"
    assert reach[1] < 1, "a stop later on is an answer"


@pytest.mark.parametrize(
    ("age_s", "frame", "words"),
    [(2.5, "base_link", "2.50 s old"), (-5.0, "base_link", "another time"), (0.1, "map", "frame 'map'")],
)
def test_a_plan_that_is_late_or_wrong_is_refused(age_s: float, frame: str, words: str) -> None:
    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory | None:
        if time_s < 3.0:
            return None
        message = plan_for(stamp_ns, time_s)
        message.header.stamp = to_time(START_NS + round((time_s - age_s) * 1e9) + 50_000_000)
        message.header.frame_id = frame
        return message

    drive = SmallDrive(AS_FAST_AS_POSSIBLE, answer=answer, seconds=3.5)
    drive.run()
    assert (drive.drive.followed, drive.drive.refused) == (0, 1)
    assert words in drive.drive.refusal
    assert drive.loop.simulation.state.ego.speed < 1e-9, "nobody drove: the car was held"


def test_a_plan_of_a_moment_ago_is_followed_from_where_the_car_was() -> None:
    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory:
        return plan_for(stamp_ns, time_s)

    drive = SmallDrive(AS_FAST_AS_POSSIBLE, answer=answer, seconds=3.0)
    result = drive.run()
    assert drive.drive.followed == 6
    assert result.measures.distance_m == pytest.approx(24.0, rel=0.03)


def test_real_time_is_not_outrun() -> None:
    started = time.monotonic()
    SmallDrive(Pacing(lockstep=False, rate=4.0), answer=plan_for, seconds=2.0).run()
    assert time.monotonic() - started >= 0.49


def test_a_machine_that_is_too_slow_does_not_race_to_catch_up() -> None:
    slept = []

    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory:
        if time_s == 0.0:
            time.sleep(1.6)
            slept.append(time.monotonic())
        return plan_for(stamp_ns, time_s)

    SmallDrive(Pacing(lockstep=False, rate=4.0), answer=answer, seconds=2.0).run()
    # From there on at its own pace again, although the wall clock is ahead by more than a second.
    assert time.monotonic() - slept[0] >= 0.45


def test_a_reset_ends_the_drive_at_once() -> None:
    closing = threading.Event()

    def answer(stamp_ns: int, time_s: float) -> PlannedTrajectory | None:
        if time_s >= 1.0:
            closing.set()
            return None
        return plan_for(stamp_ns, time_s)

    drive = SmallDrive(LOCKSTEP, answer=answer, seconds=60.0, closing=closing)
    result = drive.run()
    assert result.measures.duration_s == pytest.approx(1.0)
    assert result.to_json()["measures"]["status"] == "driving"


def test_without_images_the_plan_is_that_of_the_tick() -> None:
    drive = SmallDrive(LOCKSTEP, seconds=1.0, images=False)
    drive.drive._autopilot = Autopilot(ConstantVelocity(), drive.inbox.put)
    drive.run()
    assert not {topic for topic, _ in drive.outlet.sent} & set(drive.sensors.image_topics)
    assert drive.drive.followed == 2
