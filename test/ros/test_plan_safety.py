"""What the planning loop never lets out: absurd, stale and outdated plans; and where its stops begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import SPEED
from loop_helpers import Bench

from aln_p3_ros.driving.faults import Degradation, Level
from aln_p3_ros.messages.stamps import to_ns

STOP = Degradation(Level.STOP, ("a test",))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    assert bench.drive(3).degraded == PlannedTrajectory.DEGRADED_NONE
    return bench


def straight(steps: int = 6, metres: float = 4.0) -> np.ndarray:
    points = np.zeros((3, steps, 2), np.float32)
    points[:, :, 1] = metres * np.arange(1, steps + 1)
    return points


def spoiled(value: float) -> np.ndarray:
    points = straight()
    points[0, 3, 1] = value
    return points


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (spoiled(np.nan), "NaN"),
        (spoiled(np.inf), "NaN or infinity"),
        (spoiled(1e30), "m/s"),
        (straight(metres=498.0), "996 m/s (limit 100 m/s)"),
        (straight(steps=5), "(3, 5, 2)"),
    ],
)
def test_in_place_of_a_plan_that_nobody_can_drive_goes_a_stop(bench: Bench, points: np.ndarray, words: str) -> None:
    bench.model.points = points
    stamp_ns = bench.see()
    bench.work()
    stop = bench.trajectories[-1]
    assert stop.degraded == PlannedTrajectory.DEGRADED_STOP and to_ns(stop.header.stamp) == stamp_ns
    assert words in stop.degraded_reasons[0]
    assert len(bench.model.resets) == 1 and words in bench.model.resets[0], "the memory is no better"
    assert np.isfinite([point.pose.position.x for point in stop.points]).all()
    bench.model.points = None
    assert bench.drive().degraded == PlannedTrajectory.DEGRADED_NONE


@pytest.mark.parametrize("speed", [1e20, 1000.0])
def test_absurd_odometry_is_none(bench: Bench, speed: float) -> None:
    bench.tick(0.1)
    bench.send_odometry(speed=speed)
    assert "m/s" in bench.inputs.odometry_problem and bench.inputs.speed == SPEED
    bench.tick(1.0)
    bench.loop.stop_now(STOP)
    points = bench.trajectories[-1].points
    assert points[0].longitudinal_velocity == pytest.approx(SPEED - 1.0)
    assert all(np.isfinite([p.pose.position.x, p.longitudinal_velocity]).all() for p in points)


def test_a_second_outage_of_odometry_begins_at_full_speed_again(bench: Bench) -> None:
    def stop() -> float:
        bench.loop.stop_now(STOP)
        return bench.trajectories[-1].points[0].longitudinal_velocity

    bench.tick(1.0)
    assert stop() == pytest.approx(SPEED - 1.0)
    bench.tick(3.0)
    assert stop() == pytest.approx(SPEED - 7.0), "taken to brake since the first one"
    bench.drive(10)
    bench.tick(60.0)
    assert stop() == pytest.approx(SPEED - 1.0)
    # Odometry that comes for a moment while the vehicle stops tells how fast it still is.
    bench.tick(2.0)
    bench.send_odometry(speed=6.0)
    bench.tick(1.0)
    assert stop() == pytest.approx(5.0)


def test_driving_without_odometry_too_ends_a_stop(bench: Bench) -> None:
    bench.tick(1.0)
    bench.loop.stop_now(STOP)
    assert bench.drive(30, odometry=False).degraded == PlannedTrajectory.DEGRADED_REDUCED
    bench.loop.stop_now(STOP)
    assert bench.trajectories[-1].points[0].longitudinal_velocity == pytest.approx(SPEED - 1.0)


@pytest.mark.parametrize("when", ["while it waits", "while it is planned on"])
def test_what_came_before_a_declared_stop_does_not_release_the_vehicle(bench: Bench, when: str) -> None:
    count = len(bench.trajectories)
    bench.see()
    if when == "while it waits":
        bench.loop.stop_now(STOP)
    else:
        bench.model.during = lambda: bench.loop.stop_now(STOP)
    bench.work()
    assert [t.degraded for t in bench.trajectories[count:]] == [PlannedTrajectory.DEGRADED_STOP]
    assert bench.loop.state.discarded == 1
    bench.model.during = lambda: None
    assert bench.drive().degraded == PlannedTrajectory.DEGRADED_NONE
    stamps = [to_ns(t.header.stamp) for t in bench.trajectories]
    assert stamps == sorted(stamps)


def test_images_older_than_a_stop_do_not_take_it_back(bench: Bench) -> None:
    bench.tick(1.5)
    bench.loop.stop_now(STOP)
    bench.see(lag_s=0.15)
    bench.work()
    assert bench.trajectories[-1].degraded == PlannedTrajectory.DEGRADED_STOP
    assert bench.drive().degraded == PlannedTrajectory.DEGRADED_NONE


def test_nor_do_images_from_before_it_by_a_clock_that_is_ahead(bench: Bench) -> None:
    bench.see(lag_s=-0.3)
    bench.tick(0.06)  # it waits for odometry
    assert bench.waiting
    bench.loop.stop_now(STOP)
    bench.work()
    assert bench.trajectories[-1].degraded == PlannedTrajectory.DEGRADED_STOP and bench.loop.state.discarded == 1


def test_a_stop_for_one_set_does_not_forbid_the_next(bench: Bench) -> None:
    stop = bench.drive(8, skip=["CAM_FRONT"])
    assert stop.degraded == PlannedTrajectory.DEGRADED_STOP
    bench.see()
    bench.see()
    bench.loop.stop_now(STOP, to_ns(stop.header.stamp))
    bench.work()
    assert bench.trajectories[-1].degraded != PlannedTrajectory.DEGRADED_STOP


@pytest.mark.parametrize(
    ("took_s", "level", "words"),
    [
        (0.9, PlannedTrajectory.DEGRADED_NONE, ""),
        (1.4, PlannedTrajectory.DEGRADED_REDUCED, "the plan is 1.4 s old (whole up to 1 s)"),
        (2.5, PlannedTrajectory.DEGRADED_STOP, "the plan is 2.5 s old (limit 2 s)"),
    ],
)
def test_a_plan_is_judged_by_its_age(tmp_path: Path, took_s: float, level: int, words: str) -> None:
    bench = Bench(tmp_path, input_timeout_s=60.0)
    bench.model.during = lambda: bench.tick(took_s)
    trajectory = bench.drive()
    assert trajectory.degraded == level
    assert list(trajectory.degraded_reasons)[:1] == ([words] if words else [])


def test_no_setting_lets_a_plan_outlive_its_horizon(tmp_path: Path) -> None:
    bench = Bench(tmp_path, input_timeout_s=60.0, max_plan_age_s=60.0)
    bench.model.during = lambda: bench.tick(3.1)
    stop = bench.drive()
    assert stop.degraded == PlannedTrajectory.DEGRADED_STOP and "3.1 s old (limit 3 s)" in stop.degraded_reasons[0]


def test_a_plan_that_a_reset_overtakes_is_made_anew(bench: Bench) -> None:
    stamp_ns, count = bench.see(), len(bench.trajectories)
    bench.model.during = lambda: bench.loop.request_reset("a person asked")
    bench.work()
    assert len(bench.trajectories) == count, "what it remembered is to be forgotten"
    bench.model.during = lambda: None
    bench.work()
    assert bench.model.resets == ["a person asked"]
    assert [to_ns(t.header.stamp) for t in bench.trajectories[count:]] == [stamp_ns]


# After the shorter jump the images' stamp is hardly in the future.
@pytest.mark.parametrize("back_s", [60.0, 0.55])
@pytest.mark.parametrize("when", ["while it waits for odometry", "while it waits", "while it is planned on"])
def test_nothing_of_the_time_before_a_jump_is_planned_on(bench: Bench, when: str, back_s: float) -> None:
    count = len(bench.trajectories)
    if when == "while it is planned on":
        bench.see(lag_s=0.06)
        bench.model.during = lambda: bench.tick(-back_s)
        bench.work()
        bench.model.during = lambda: None
    else:
        bench.see(odometry=when == "while it waits", lag_s=0.06)
        assert bench.waiting == (when == "while it waits")
        # The first that is heard of the new time is odometry, before the node looks at its inputs.
        bench.node.now_ns -= round(back_s * 1e9)
        bench.send_odometry()
    bench.work()
    assert bench.jumps == ["the node's clock went back"] and len(bench.trajectories) == count
    assert not bench.waiting
    plan = bench.drive(3)
    assert plan.degraded == PlannedTrajectory.DEGRADED_NONE, plan.degraded_reasons
    assert "went back" in bench.model.resets[0]


def test_a_plan_whose_stamp_lies_in_the_future_is_discarded(bench: Bench) -> None:
    """As when nobody has noticed yet that the clock went back."""
    bench.see()

    def back() -> None:
        bench.node.now_ns -= 60_000_000_000

    count = len(bench.trajectories)
    bench.model.during = back
    bench.work()
    assert len(bench.trajectories) == count and bench.loop.state.discarded == 1


def test_a_stop_of_the_time_before_a_jump_forbids_nothing(bench: Bench) -> None:
    bench.loop.stop_now(STOP)
    bench.tick(-60.0)
    assert bench.drive(3).degraded == PlannedTrajectory.DEGRADED_NONE


def test_before_its_clock_has_begun_nothing_is_planned(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    begin, bench.node.now_ns = bench.node.now_ns, -100_000_000
    bench.see(odometry=False, lag_s=-begin * 1e-9)
    assert bench.node.now_ns == 0 and not bench.waiting
    # The images are kept until somebody can tell how old they are.
    bench.node.now_ns = begin
    bench.inputs.poll()
    assert bench.waiting
    bench.work()
    assert bench.trajectories[-1].degraded == PlannedTrajectory.DEGRADED_REDUCED


def test_odometry_of_another_frame_is_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.send_odometry(child_frame_id="imu_link")
    assert bench.inputs.speed is None
    plan = bench.drive(odometry=False)
    assert plan.degraded == PlannedTrajectory.DEGRADED_REDUCED
    assert "odometry refused: it is of 'imu_link', not of 'base_link'" in plan.degraded_reasons[0]
    assert bench.model.frames[-1].ego_status is None


def test_odometry_in_another_frame_degrades_the_plan(bench: Bench) -> None:
    bench.see(odometry=False, lag_s=0.0)
    bench.send_odometry(frame_id="map")
    bench.work()
    plan = bench.trajectories[-1]
    assert plan.degraded == PlannedTrajectory.DEGRADED_REDUCED
    assert plan.degraded_reasons == ["odometry is in 'map', not in 'odom'"]
    assert bench.drive().degraded == PlannedTrajectory.DEGRADED_NONE


def test_the_speed_of_odometry_out_of_order_is_not_taken(bench: Bench) -> None:
    bench.send_odometry(-0.05, speed=2.0)
    assert "not newer" in bench.inputs.odometry_problem and bench.inputs.speed == SPEED


def test_images_of_the_future_lose_their_cameras(bench: Bench) -> None:
    bench.see(lag_s=-3.0)
    bench.tick(0.2)
    assert not bench.waiting
    assert bench.inputs.camera_fault("CAM_FRONT").kind.value == "ahead"
    # The first set that comes finds the others' last images still wrong.
    assert bench.drive(2).degraded == PlannedTrajectory.DEGRADED_NONE
