"""What the adapter makes of plans and odometry, without a node."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from adapter_helpers import START_NS, curving_plan, ego_at, message_of, sample_of

from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import transform_points
from aln_p3_core.world.controller import TrackingController
from aln_p3_core.world.ego import Control, step_bicycle
from aln_p3_core.world.planners.planner import as_sent
from aln_p3_ros.adapter.adapter_settings import AdapterSettings
from aln_p3_ros.adapter.foreign_messages import LEAST_ACCELERATION, ackermann_drive, autoware_trajectory
from aln_p3_ros.adapter.tracker import DriveCommand, PlanTracker
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.messages.trajectory import stop_trajectory
from aln_p3_ros.messages.transforms import transform_from_message
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.resources import config_directory


def following(settings: AdapterSettings | None = None) -> PlanTracker:
    """A tracker with odometry up to 0.1 s and a plan of time 0."""
    tracker = PlanTracker(settings or AdapterSettings())
    for time_s in (0.0, 0.05, 0.1):
        assert tracker.add_odometry(sample_of(ego_at(time_s)), "map") == ""
    assert tracker.follow(message_of(curving_plan(0.0))) == ""
    return tracker


def at(time_s: float) -> int:
    return START_NS + round(time_s * 1e9)


def test_the_file_holds_every_parameter_with_its_default() -> None:
    values = yaml.safe_load((config_directory() / "adapter.yaml").read_text())["/**"]["ros__parameters"]
    expected = {
        name: list(default) if isinstance(default, tuple) else default
        for name, (default, _) in setting_infos(AdapterSettings).items()
    }
    assert values == expected
    assert {name: type(value) for name, value in values.items()} == {n: type(v) for n, v in expected.items()}


@pytest.mark.parametrize("outputs", [(), ("twist",)])
def test_outputs_that_do_not_exist_are_refused(outputs: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="trajectory, ackermann"):
        AdapterSettings(outputs=outputs)


def test_the_command_is_that_of_the_tracking_controller() -> None:
    tracker, controller = following(), TrackingController()
    controller.follow(as_sent(curving_plan(0.0)), ego_at(0.0).T_world_ego)
    expected = controller.control(ego_at(0.1))
    command = tracker.command(at(0.1))
    assert command.stopping == ""
    assert command.steering == pytest.approx(expected.steering, abs=1e-6)
    assert command.steering > 0.03, "the plan goes to the left"
    assert command.acceleration == pytest.approx(expected.acceleration, abs=1e-6)
    assert command.speed == pytest.approx(8.0 + 0.5 * command.acceleration)


def test_another_car_needs_another_wheel_angle_and_has_its_limit() -> None:
    angle = following().command(at(0.1)).steering
    longer = following(AdapterSettings(wheelbase_m=2 * 2.59)).command(at(0.1)).steering
    assert np.tan(longer) == pytest.approx(2 * np.tan(angle))
    assert following(AdapterSettings(max_steering_rad=0.05)).command(at(0.1)).steering == 0.05


def test_another_car_has_its_limits() -> None:
    def asked(plan_mps: float, **limits: float) -> float:
        tracker = PlanTracker(AdapterSettings(**limits))
        tracker.add_odometry(sample_of(ego_at(0.0)), "map")
        assert tracker.follow(message_of(curving_plan(0.0, plan_mps))) == ""
        return tracker.command(START_NS).acceleration

    assert asked(16.0) > 2 and asked(1.0) < -2
    assert asked(16.0, max_acceleration_mps2=1.5) == 1.5
    assert asked(1.0, max_braking_mps2=1.5) == -1.5


def test_a_car_that_obeys_follows_the_plan() -> None:
    tracker = PlanTracker(AdapterSettings(plan_timeout_s=3.0))
    ego = ego_at(0.0)
    tracker.add_odometry(sample_of(ego), "map")
    plan = curving_plan(0.0)
    assert tracker.follow(message_of(plan)) == ""
    for step in range(1, 41):
        command = tracker.command(at(ego.time_s))
        ego = replace(step_bicycle(ego, Control(command.acceleration, command.steering), 0.05), time_s=0.05 * step)
        tracker.add_odometry(sample_of(ego), "map")
    place = transform_points(ego_at(0.0).T_world_ego, plan.points_ego)[3]
    assert np.hypot(*(ego.xy - place)) < 0.6


@pytest.mark.parametrize(
    ("now_s", "limits", "reason"),
    [
        (1.2, {"odometry_timeout_s": 5.0}, "1.20 s old"),
        (0.9, {}, "odometry is 0.800 s away from now"),
        (4000.0, {"odometry_timeout_s": 5.0}, "odometry"),
        (-2.0, {"odometry_timeout_s": 5.0}, "2.00 s in the future"),
    ],
)
def test_what_is_stale_gives_a_declared_stop(now_s: float, limits: dict[str, float], reason: str) -> None:
    tracker = following(AdapterSettings(**limits))
    steering = tracker.command(at(0.1)).steering
    command = tracker.command(at(now_s))
    assert reason in command.stopping
    assert (command.speed, command.acceleration) == (0.0, -3.0)
    assert command.steering == steering, "the wheels stay as they were"


def test_without_any_plan_it_stops_and_says_so() -> None:
    tracker = PlanTracker(AdapterSettings())
    assert "no odometry" in tracker.command(at(0.0)).stopping
    tracker.add_odometry(sample_of(ego_at(0.0)), "map")
    assert "no trajectory" in tracker.command(at(0.0)).stopping


def test_plans_that_cannot_be_followed_are_refused_with_the_reason() -> None:
    tracker = following()
    assert "odometry" in tracker.follow(message_of(curving_plan(5.0)))
    wrong = message_of(curving_plan(0.1))
    wrong.header.frame_id = "ego_vehicle"
    assert "base_link" in tracker.follow(wrong)
    tracker.follow(message_of(curving_plan(0.1)))
    assert "older" in tracker.follow(message_of(curving_plan(0.05)))


def test_odometry_without_numbers_changes_no_command() -> None:
    tracker = PlanTracker(AdapterSettings())
    tracker.add_odometry(sample_of(ego_at(0.0)), "map")
    broken = replace(sample_of(ego_at(0.02)), linear=np.array([np.nan, 0.0, 0.0]))
    assert "NaN" in tracker.add_odometry(broken, "map")
    assert tracker.follow(message_of(curving_plan(0.0))) == ""
    command = tracker.command(START_NS)
    assert np.isfinite([command.speed, command.acceleration, command.steering]).all()
    stop = tracker.stop(START_NS)
    assert stop is not None and np.isfinite(stop.trajectory.positions).all() and stop.trajectory.velocities[0] > 0


def test_odometry_that_starts_over_drops_the_plan() -> None:
    tracker = following()
    assert "went back" in tracker.add_odometry(sample_of(ego_at(-30.0)), "map")
    assert "no trajectory" in tracker.command(at(-30.0)).stopping


def test_a_stop_brakes_along_the_last_plan() -> None:
    tracker = following()
    stop = tracker.stop(at(0.1))
    assert stop is not None
    braking = stop.trajectory
    assert braking.velocities[-1] == 0.0
    assert np.hypot(*braking.positions[-1]) == pytest.approx(8**2 / 2 / 3, rel=0.02)
    assert braking.positions[-1, 1] > 0.3, "to the left, as the plan"
    # Without odometry the same stop stays: from where the vehicle was last, with that stamp.
    for seconds in (1.0, 30.0):
        assert tracker.trouble(at(seconds))
        lost = tracker.stop(at(seconds))
        assert lost is not None and lost.stamp_ns == at(0.1) and lost.speed == 8.0
        np.testing.assert_allclose(lost.ground, sample_of(ego_at(0.1)).T_odom_base)
        np.testing.assert_allclose(lost.trajectory.velocities, braking.velocities)
    assert stop_trajectory(8.0, 3.0).positions[-1, 1] == 0.0


@pytest.mark.parametrize("why", ["too old", "of the time before", "somewhere else"])
def test_a_stop_brakes_straight_on_where_the_last_plan_says_nothing(why: str) -> None:
    tracker = following()
    if why == "too old":
        # Slowly along the plan, and fast at the end, so that the stop is a long one.
        for time_s in np.arange(0.15, 3.2, 0.05):
            tracker.add_odometry(sample_of(ego_at(float(time_s), speed=1.0)), "map")
        tracker.add_odometry(sample_of(replace(ego_at(3.2, speed=1.0), speed=8.0)), "map")
        stop = tracker.stop(at(3.2))
    elif why == "of the time before":
        tracker.add_odometry(sample_of(ego_at(-30.0)), "map")
        tracker.add_odometry(sample_of(replace(ego_at(0.0), time_s=0.2)), "map")
        stop = tracker.stop(at(0.2))
    else:
        tracker.add_odometry(sample_of(replace(ego_at(0.15), y=70.0)), "map")
        stop = tracker.stop(at(0.15))
    assert stop is not None and stop.trajectory.velocities[0] != 0.0
    np.testing.assert_array_equal(stop.trajectory.positions[:, 1], 0.0)


def test_the_speed_of_odometry_out_of_order_is_not_taken() -> None:
    tracker = following()
    assert "not newer" in tracker.add_odometry(sample_of(ego_at(0.02, speed=2.0)), "map")
    assert tracker.speed == 8.0


def test_before_any_odometry_there_is_no_stop() -> None:
    assert PlanTracker(AdapterSettings()).stop(at(0.0)) is None


@pytest.mark.parametrize(
    ("acceleration", "written"), [(2.0, 2.0), (-3.0, 3.0), (0.0, LEAST_ACCELERATION), (-0.01, LEAST_ACCELERATION)]
)
def test_an_acceleration_is_written_as_a_magnitude_unless_with_its_sign(acceleration: float, written: float) -> None:
    # The message says: positive is the magnitude, decelerations included, and zero is as quickly as possible.
    command = DriveCommand(speed=4.0, acceleration=acceleration, steering=0.1)
    drive = ackermann_drive(SimpleNamespace, command)
    assert (drive.speed, drive.acceleration, drive.steering_angle) == (4.0, written, 0.1)
    assert ackermann_drive(SimpleNamespace, command, signed=True).acceleration == acceleration


@pytest.mark.build
@pytest.mark.slow
@pytest.mark.usefixtures("foreign_messages")
def test_the_messages_say_what_the_plan_says() -> None:
    from ackermann_msgs.msg import AckermannDrive
    from autoware_planning_msgs.msg import Trajectory, TrajectoryPoint

    tracker, plan = following(), curving_plan(0.0)
    ours, ground = message_of(plan), ego_at(0.0).T_world_ego
    theirs = autoware_trajectory(
        Trajectory, TrajectoryPoint, ours.points,
        stamp=to_time(START_NS), frame_id="map", T_map_base=ground, speed=8.0, wheelbase_m=2.79,
    )  # fmt: skip
    assert (to_ns(theirs.header.stamp), theirs.header.frame_id) == (START_NS, "map")
    assert len(theirs.points) == len(ours.points) + 1
    np.testing.assert_allclose(transform_from_message(theirs.points[0].pose), ground, atol=1e-12)
    assert theirs.points[0].longitudinal_velocity_mps == 8.0
    places = np.array([[p.pose.position.x, p.pose.position.y] for p in theirs.points[1:]])
    np.testing.assert_allclose(places, transform_points(ground, plan.points_ego), atol=1e-9)
    for mine, other in zip(ours.points, theirs.points[1:], strict=True):
        assert other.time_from_start == mine.time_from_start
        assert other.longitudinal_velocity_mps == mine.longitudinal_velocity
        assert other.acceleration_mps2 == mine.acceleration
        assert other.heading_rate_rps == mine.heading_rate
        assert np.tan(other.front_wheel_angle_rad) == pytest.approx(2.79 * mine.curvature, rel=1e-5)
        assert mine.curvature > 0.02
    command = tracker.command(at(0.1))
    drive = ackermann_drive(AckermannDrive, command, signed=True)
    assert [drive.speed, drive.acceleration, drive.steering_angle] == pytest.approx(
        [command.speed, command.acceleration, command.steering], rel=1e-6
    )
