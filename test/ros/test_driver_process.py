"""The real thing: driver_node with the real nano driver in a process of its own, brought up by the manager."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import RELIABLE_IMAGES, WAIT_S, Listener, SensorRig, Spinner, values, wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from aln_p3_core.driver.checkpoint import load_checkpoint
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.environment import dds_environment
from aln_p3_ros.messages.stamps import to_ns

REPOSITORY = Path(__file__).resolve().parents[2]
# Loading and warming up the real network on a busy machine.
LOAD_S = 400.0


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A node in a process of its own; interrupted at the end."""
    command = [sys.executable, "-m", module, "--ros-args", *arguments]
    child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def parameters(given: dict[str, Any]) -> list[str]:
    return [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]


@pytest.mark.slow
def test_the_real_driver_in_a_process_of_its_own(ros_context: Context) -> None:
    assert dds_environment() == {}, "the profile is set for children too"
    rig, listener = SensorRig(ros_context), Listener(ros_context)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(rig)
    executor.add_node(listener)
    spinner = Spinner(executor)
    settings = {"use_sim_time": "true", "inference_timeout_s": 600.0, "warm_up_frames": 1, **RELIABLE_IMAGES}
    try:
        with (
            process(
                "aln_p3_ros.driver_node",
                *("--params-file", str(REPOSITORY / "config" / "driver.yaml")),
                *parameters(settings),
            ) as driver,
            process(
                "aln_p3_ros.lifecycle_manager", "-p", "nodes:=['driver_node']", "-p", "watch_period_s:=0.0"
            ) as manager,
        ):

            def connected() -> bool:
                assert driver.poll() is None, driver.stdout.read()
                assert manager.poll() is None, manager.stdout.read()
                rig.tick(1_000_000)
                return rig.connected()

            wait_until(connected, "the driver to become active", LOAD_S)

            def calibrated() -> bool:
                rig.send_infos()
                rig.send_odometry(rig.now_ns)
                found = [listener.status(f"camera {name}") for name in NUSCENES_CAMERAS]
                return all(status and not status.message.startswith("uncalibrated") for status in found)

            wait_until(calibrated, "calibration")
            for _ in range(2):
                stamp_ns = rig.send_round()
                trajectory = wait_until(lambda s=stamp_ns: listener.with_stamp("trajectory", s), "a trajectory", LOAD_S)
            assert trajectory.degraded == PlannedTrajectory.DEGRADED_NONE, trajectory.degraded_reasons
            assert to_ns(trajectory.header.stamp) == stamp_ns
            assert len(trajectory.points) == 6
            assert np.isfinite([point.longitudinal_velocity for point in trajectory.points]).all()
            wait_until(lambda: "backbone_ms" in values(listener.status("latency")), "latencies")
            # The default of the node and of its file: the driver that ships.
            assert trajectory.checkpoint_hash == load_checkpoint("nano")[2]["sha256"]
            assert "untrained" not in listener.status("model").message
            for child in (manager, driver):
                child.send_signal(signal.SIGINT)
                output, _ = child.communicate(timeout=WAIT_S)
                assert child.returncode == 0, output
                assert "Traceback" not in output, output
    finally:
        spinner.stop()
        rig.destroy_node()
        listener.destroy_node()
