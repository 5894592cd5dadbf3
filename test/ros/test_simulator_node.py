"""simulator_node on real topics, in a real city with real cameras."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aln_p3.msg import PlannedTrajectory
from aln_p3.srv import Reset
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from replay_helpers import Nodes, wait_until
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from world_ros_helpers import needs_rendering, onward, stamp_of

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS, Command, CommandProvenance, RouteCommand
from aln_p3_core.world.closed_loop.drives import find_drive
from aln_p3_core.world.closed_loop.route_task import PROTOCOL, read_report
from aln_p3_core.world.closed_loop.runner import drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import Trace
from aln_p3_core.world.planners.registry import make_planner
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.qos import latched_qos, reliable_qos
from aln_p3_ros.resources import share_path
from aln_p3_ros.simulator.plans import message_from_plan
from aln_p3_ros.simulator_node import SimulatorNode
from aln_p3_ros.topics import TOPICS, Role

CITY = "poplar-green"


def simulator(nodes: Nodes, **parameters: Any) -> SimulatorNode:
    values = {"city": CITY, "camera_rate_hz": 2, "wait_for_subscribers_s": 0.0, "linger_s": 0.0, **parameters}
    values.setdefault("duration_s", 2.0)
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return nodes.add(SimulatorNode(context=nodes.context, parameter_overrides=overrides))


def images_of(node: Any, got: list[Any], kind: Any = CompressedImage, suffix: str = "/compressed") -> None:
    for camera in NUSCENES_CAMERAS:
        node.create_subscription(kind, f"/sensors/camera/{camera.lower()}/image{suffix}", got.append, reliable_qos(50))


@needs_rendering
def test_lockstep_over_topics_is_the_drive_without_them(nodes: Nodes, tmp_path: Path) -> None:
    listener = nodes.node("listener")
    images: list[Any] = []
    health: list[Any] = []
    images_of(listener, images)
    listener.create_subscription(DiagnosticArray, "/diagnostics", lambda m: health.append(m.status[0]), 100)
    node = simulator(
        nodes, time_mode="lockstep", autopilot="route_blind", report=str(tmp_path / "report"),
        ground_truth=True, diagnostics_rate_hz=50.0,
        wait_for_nodes=["listener"], wait_for_subscribers_s=60.0,
    )  # fmt: skip
    node.start()
    assert node.finished.wait(120)
    assert node.failure is None
    # A result is latched: who comes late reads it.
    results: list[Any] = []
    listener.create_subscription(String, TOPICS["drive_result"].name, results.append, latched_qos())
    wait_until(lambda: bool(results), "the result")
    content = json.loads(results[0].data)
    (file,) = (tmp_path / "report").glob("*.json")
    # A report as `aln-p3 world drive` writes it, from which a film can be made.
    assert read_report(file) == content | {
        "protocol": PROTOCOL, "planner_name": content["planner"], "checkpoint_hash": "", "threads": 1,
    }  # fmt: skip
    assert content["episode"]["city"] == CITY
    plain = drive_episode(
        find_drive(content["episode"]), make_planner("route_blind"), DriveSettings(rate_hz=2, time_limit_s=2.0)
    )  # type: ignore[arg-type]
    assert plain.to_json()["measures"] == content["measures"]
    assert plain.trace is not None
    plain.trace.save(tmp_path / "plain.npz")
    assert file.with_suffix(".npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()
    assert len(Trace.load(file.with_suffix(".npz")).plans) == 4
    wait_until(lambda: len(images) == 24, "six cameras, four times")
    assert all(bytes(image.data[:2]) == b"\xff\xd8" for image in images)
    assert "driving" in {status.message for status in health}
    assert all(status.name == "simulator_node: drive" for status in health)


@needs_rendering
def test_it_publishes_the_topics_of_the_table_and_somebody_else_drives(nodes: Nodes) -> None:
    driver = nodes.node("some_driver")
    images: list[Any] = []
    odometry: list[Odometry] = []
    plans = driver.create_publisher(PlannedTrajectory, "/planning/trajectory", reliable_qos())
    command = RouteCommand(Command.STRAIGHT, CommandProvenance.GIVEN)

    def answer(image: Image) -> None:
        images.append(image)
        if len(images) % 6 == 0:
            newest = max(map(stamp_of, images[-6:]))
            plans.publish(message_from_plan(onward(speed=5.0), newest, command, f"plan-{len(images)}", "test"))

    for camera in NUSCENES_CAMERAS:
        driver.create_subscription(Image, f"/sensors/camera/{camera.lower()}/image", answer, reliable_qos(50))
    driver.create_subscription(Odometry, "/localization/odometry", odometry.append, reliable_qos(500))
    node = simulator(
        nodes, time_mode="lockstep", image_transport="raw", ground_truth=True, plan_timeout_s=60.0,
        wait_for_nodes=["some_driver"], wait_for_subscribers_s=60.0, at_end="idle",
    )  # fmt: skip
    wait_until(lambda: plans.get_subscription_count() == 1, "the simulator's subscription")
    published = dict(driver.get_publisher_names_and_types_by_node("simulator_node", "/"))
    table = {t.name.format(camera=c.lower()): t for t in TOPICS.values() for c in NUSCENES_CAMERAS}
    for name in set(published) - {"/rosout", "/parameter_events"}:
        assert published[name] == [table[name].type], f"{name} is in the table with its type"
        assert message_class(table[name].type) is not None
    ours = {table[name].key for name in published if name in table and table[name].role is not Role.DRIVER}
    assert ours == {
        *("camera_image", "camera_info", "odometry", "tf", "tf_static", "clock", "imu", "route_command"),
        *("truth_objects", "drive_result"),
    }
    text = share_path("docs", "topics.md").read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in text for key in ours)
    node.start()
    wait_until(lambda: len(node.results) == 1, "the end of the drive")
    assert len(images) == 24
    assert node.results[0].measures.duration_s == pytest.approx(2.0)
    assert node.results[0].planner == "ros"
    wait_until(lambda: len(odometry) > 40, "odometry")
    # The car does what the plan says.
    assert odometry[-1].twist.twist.linear.x == pytest.approx(5.0, abs=1.5)


@needs_rendering
def test_a_reset_begins_the_next_drive(nodes: Nodes) -> None:
    person = nodes.node("person")
    clock: list[int] = []
    person.create_subscription(
        Odometry, "/localization/odometry", lambda m: clock.append(stamp_of(m)), reliable_qos(100)
    )
    client = person.create_client(Reset, "/simulator_node/reset")
    node = simulator(nodes, autopilot="stand_still", duration_s=600.0, at_end="loop", rate=0.5)
    node.start()
    wait_until(client.service_is_ready, "the service")
    wait_until(lambda: len(clock) > 3, "the first drive")
    future = client.call_async(Reset.Request(reason="a person asked"))
    wait_until(future.done, "an answer")
    assert future.result().success
    assert "ends here" in future.result().message
    wait_until(lambda: len(node.results) == 1, "the end of the first drive")
    assert node.results[0].measures.duration_s < 600.0
    first = clock[-1]
    wait_until(lambda: clock[-1] > first + 10_000_000_000, "the next drive, far enough in time from the first")


@needs_rendering
def test_without_a_plan_in_lockstep_the_node_ends_and_says_why(nodes: Nodes) -> None:
    node = simulator(nodes, time_mode="lockstep", plan_timeout_s=0.2)
    node.start()
    assert node.finished.wait(120)
    assert "no trajectory for the images" in str(node.failure)


def test_what_cannot_be_driven_is_refused_at_once(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    from aln_p3_core.world.render import available

    monkeypatch.setattr(available, "rendering_problem", lambda: "no EGL here: apt-get install libegl1")
    with pytest.raises(ConfigError, match="apt-get install libegl1"):
        simulator(nodes)
    monkeypatch.setattr(available, "rendering_problem", lambda: None)
    with pytest.raises(ConfigError, match="did you mean cut_in"):
        simulator(nodes, scenario="cutin")
    with pytest.raises(ConfigError, match="no planner 'exprt'"):
        simulator(nodes, autopilot="exprt")


@needs_rendering
def test_an_interrupt_ends_it_cleanly(nodes: Nodes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    odometry: list[Odometry] = []
    nodes.node("listener").create_subscription(Odometry, "/localization/odometry", odometry.append, reliable_qos())
    arguments = ["simulate", "autopilot:=route_blind", f"city:={CITY}", "at_end:=loop", "camera_rate:=2"]
    with log.open("w") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "aln_p3_ros", "up", *arguments, "wait_for_subscribers:=0"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )
        try:
            wait_until(lambda: bool(odometry), "the drive to be under way")
            child.send_signal(signal.SIGINT)
            assert child.wait(60) == 130, log.read_text()
        finally:
            child.kill()
    text = log.read_text()
    assert "Traceback" not in text
    assert "is killed" not in text
