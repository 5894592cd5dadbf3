"""The adapter node on real topics, with stand-ins of the message packages that it publishes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from adapter_helpers import START_NS, curving_plan, ego_at, message_of, odometry_of
from aln_p3.msg import PlannedTrajectory
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from replay_helpers import Nodes, wait_until
from rosgraph_msgs.msg import Clock

from aln_p3_core.errors import ConfigError
from aln_p3_ros.adapter_node import AdapterNode
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.qos import reliable_qos


def adapter(nodes: Nodes, **parameters: Any) -> AdapterNode:
    values = {"use_sim_time": True, "diagnostics_rate_hz": 20.0, **parameters}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return nodes.add(AdapterNode(context=nodes.context, parameter_overrides=overrides))


class Car:
    """A car that drives straight on and takes notes of what it is told."""

    def __init__(self, nodes: Nodes) -> None:
        self.node = nodes.node("car")
        self.clock = self.node.create_publisher(Clock, "/clock", 1)
        self.odometry = self.node.create_publisher(Odometry, "/localization/odometry", reliable_qos())
        self.plans = self.node.create_publisher(PlannedTrajectory, "/planning/trajectory", reliable_qos())
        self.health: list[Any] = []
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda message: self.health.append(message.status[0]), 100
        )
        wait_until(self.connected, "the adapter's subscriptions")

    def connected(self) -> bool:
        return all(p.get_subscription_count() >= 1 for p in (self.clock, self.odometry, self.plans))

    def listen(self, kind: Any, topic: str) -> list[Any]:
        got: list[Any] = []
        subscription = self.node.create_subscription(kind, topic, got.append, 100)
        wait_until(lambda: self.node.count_publishers(topic) == 1, "the adapter's publisher")
        assert subscription is not None
        return got

    def drive(self, time_s: float) -> None:
        self.clock.publish(Clock(clock=to_time(START_NS + round(time_s * 1e9))))
        self.odometry.publish(odometry_of(ego_at(time_s)))


@pytest.mark.build
@pytest.mark.slow
@pytest.mark.usefixtures("foreign_messages")
@pytest.mark.parametrize("stamped", [False, True])
def test_plan_in_commands_out_and_a_stop_when_it_is_stale(nodes: Nodes, stamped: bool) -> None:
    from ackermann_msgs.msg import AckermannDrive, AckermannDriveStamped
    from autoware_planning_msgs.msg import Trajectory

    outputs = {"ackermann_output": "/drive", "trajectory_output": "/their/trajectory"}
    form = "signed" if stamped else "magnitude"
    adapter(nodes, ackermann_stamped=stamped, ackermann_acceleration=form, **outputs)
    car = Car(nodes)
    kind = AckermannDriveStamped if stamped else AckermannDrive
    commands, trajectories = car.listen(kind, "/drive"), car.listen(Trajectory, "/their/trajectory")

    def newest() -> Any:
        return commands[-1].drive if stamped else commands[-1]

    wait_until(lambda: bool(commands), "a command before anything else has come")
    assert (newest().speed, newest().acceleration) == (0.0, -3.0 if stamped else 3.0)
    car.drive(0.0)
    wait_until(lambda: any("no trajectory" in status.message for status in car.health), "odometry, and no plan")
    wait_until(lambda: bool(trajectories), "a stop trajectory")
    assert trajectories[-1].points[-1].longitudinal_velocity_mps == 0.0
    car.plans.publish(message_of(curving_plan(0.0)))
    wait_until(lambda: newest().speed > 7.0, "the plan to be followed")
    assert newest().steering_angle > 0.03
    if stamped:
        assert to_ns(commands[-1].header.stamp) == START_NS
        assert commands[-1].header.frame_id == "base_link"
    wait_until(lambda: len(trajectories[-1].points) == 7, "the plan as their trajectory")
    assert trajectories[-1].header.frame_id == "map"
    assert trajectories[-1].points[-1].longitudinal_velocity_mps > 7.0
    wait_until(lambda: car.health[-1].message == "following the plan", "good health")
    car.drive(1.5)
    wait_until(lambda: newest().speed == 0.0, "the stop")
    wait_until(lambda: "1.50 s old" in car.health[-1].message, "the reason in diagnostics")
    assert car.health[-1].level == b"\x02"
    wait_until(lambda: to_ns(trajectories[-1].header.stamp) == START_NS + 1_500_000_000, "a stop from here")


@pytest.mark.build
@pytest.mark.slow
@pytest.mark.usefixtures("foreign_messages")
def test_commands_come_at_their_rate_and_in_the_map_only(nodes: Nodes) -> None:
    from ackermann_msgs.msg import AckermannDrive
    from autoware_planning_msgs.msg import Trajectory

    adapter(nodes, rate_hz=50.0, ackermann_output="/drive", map_frame="somewhere_else")
    car = Car(nodes)
    commands = car.listen(AckermannDrive, "/drive")
    trajectories = car.listen(Trajectory, "/planning/scenario_planning/trajectory")
    started = time.monotonic()
    wait_until(lambda: len(commands) >= 20, "commands")
    assert time.monotonic() - started > 0.3, "no more than 50 a second"
    car.drive(0.0)
    wait_until(lambda: any("somewhere_else" in value.value for s in car.health for value in s.values), "the complaint")
    assert not trajectories
    stranger = odometry_of(ego_at(0.1))
    stranger.child_frame_id = "imu_link"
    car.odometry.publish(stranger)
    refusal = "odometry refused: it is of 'imu_link', not of 'base_link'"
    wait_until(lambda: any(refusal == value.value for value in car.health[-1].values), "its refusal")


def test_a_package_that_is_not_installed_is_named(nodes: Nodes) -> None:
    with pytest.raises(ConfigError, match=r"ackermann needs the ROS package ackermann_msgs, which is not installed"):
        adapter(nodes, outputs=["ackermann"])
    with pytest.raises(ConfigError, match="trajectory, ackermann"):
        adapter(nodes, outputs=["twist"])
