"""What the driver does when something is wrong: every fault is named, degrades the plan, and ends."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import SPEED, DriverTest, driver_test, values, wait_until
from rclpy.context import Context

from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_ros.driving.faults import Degradation, Level
from aln_p3_ros.messages.images import compressed_message, image_message
from aln_p3_ros.messages.stamps import to_ns, to_time


def fault_of(test: DriverTest, camera: str) -> str:
    status = test.listener.status(f"camera {camera}")
    return values(status)["fault"] if status else ""


def jpeg(width: int, height: int) -> bytes:
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def test_a_camera_that_stops_is_named_and_degrades_the_plan(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive(2)
        trajectory = test.drive(8, skip=["CAM_BACK"])
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_REDUCED
        assert [r for r in trajectory.degraded_reasons if r.startswith("CAM_BACK silent: no new image for")]
        wait_until(lambda: fault_of(test, "CAM_BACK") == "silent", "the fault in diagnostics")
        assert test.listener.status("camera CAM_BACK").level == b"\x02"
        assert "CAM_BACK" in test.listener.status("planning").message
        assert test.model.frames[-1].missing_cameras == ("CAM_BACK",)
        test.recover()
        wait_until(lambda: fault_of(test, "CAM_BACK") == "", "good health")


@pytest.mark.parametrize(
    ("transport", "message", "fault"),
    [
        ("compressed", lambda: compressed_message(jpeg(320, 180), to_time(0), "", "jpeg"), "wrong size"),
        ("compressed", lambda: compressed_message(b"this is no image at all", to_time(0), "", "jpeg"), "corrupt"),
        ("compressed", lambda: compressed_message(jpeg(160, 90)[:-3000], to_time(0), "", "jpeg"), "corrupt"),
        # Header and end are whole, what lies between is not: found out only by decoding.
        (
            "compressed",
            lambda: compressed_message(jpeg(160, 90)[:700] + b"\xff\xd9", to_time(0), "", "jpeg"),
            "corrupt",
        ),
        ("raw", lambda: image_message(np.zeros((60, 80, 3), np.uint8), to_time(0), ""), "wrong size"),
        ("raw", lambda: short_image(), "corrupt"),
        # Nobody here can read it: found out only when the frame is built.
        ("raw", lambda: strange_image(), "corrupt"),
    ],
    ids=["jpeg-size", "no-jpeg", "truncated", "damaged-inside", "raw-size", "raw-short", "raw-unknown"],
)
def test_an_unusable_image_is_named(ros_context: Context, transport: str, message: Any, fault: str) -> None:
    with driver_test(ros_context, transport=transport) as test:
        test.activate()
        test.drive()
        trajectory = test.drive(2, messages={"CAM_FRONT_LEFT": message()})
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_REDUCED
        assert [r for r in trajectory.degraded_reasons if r.startswith(f"CAM_FRONT_LEFT {fault}")], (
            trajectory.degraded_reasons
        )
        wait_until(lambda: fault_of(test, "CAM_FRONT_LEFT") == fault, "the fault in diagnostics")
        assert test.model.frames[-1].missing_cameras == ("CAM_FRONT_LEFT",)
        test.recover()


def short_image() -> Any:
    message = image_message(np.zeros((90, 160, 3), np.uint8), to_time(0), "")
    message.data = message.data[:1000]
    return message


def strange_image() -> Any:
    message = image_message(np.zeros((90, 160, 3), np.uint8), to_time(0), "")
    message.encoding = "yuv999"
    return message


def test_a_frozen_camera_is_named(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        trajectory = test.drive(6, same=["CAM_BACK_LEFT"])
        assert [r for r in trajectory.degraded_reasons if r.startswith("CAM_BACK_LEFT frozen: sent the same picture")]
        wait_until(lambda: fault_of(test, "CAM_BACK_LEFT") == "frozen", "the fault in diagnostics")


def test_too_many_or_required_cameras_lost_mean_a_stop(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive()
        trajectory = test.drive(8, skip=["CAM_FRONT"])
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_STOP
        assert "CAM_FRONT required for driving" in trajectory.degraded_reasons
        test.recover()
        trajectory = test.drive(8, skip=["CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT"])
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_STOP
        assert "3 cameras lost, at most 2 may be" in trajectory.degraded_reasons
        speeds = [point.longitudinal_velocity for point in trajectory.points]
        assert speeds[0] == pytest.approx(SPEED - 1.0) and speeds[-1] == pytest.approx(0.0)
        assert all(point.acceleration == pytest.approx(-2.0) for point in trajectory.points[:7])


def test_stops_without_odometry_come_to_an_end(ros_context: Context) -> None:
    """Each begins where the one before has braked to, not again at the last speed that was known."""
    with driver_test(ros_context) as test:
        test.activate()
        test.drive(2)
        loop = test.node._loop
        begin = test.rig.now_ns + 2_000_000_000
        firsts = []
        for seconds in (0.0, 1.0, 3.0, 30.0):
            count = len(test.listener.received["trajectory"])
            loop.stop_now(Degradation(Level.STOP, ("a test",)), begin + round(seconds * 1e9))
            wait_until(lambda: len(test.listener.received["trajectory"]) > count, "the stop")  # noqa: B023
            stop = test.listener.received["trajectory"][-1]
            firsts.append(stop.points[0].longitudinal_velocity)
            assert any("taken to brake from 8.0 m/s" in reason for reason in stop.degraded_reasons)
        assert firsts == pytest.approx([SPEED - 1.0, SPEED - 3.0, SPEED - 7.0, 0.0])


def test_silence_of_all_cameras_means_a_stop_that_names_them(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        last = test.drive(2)

        def stopped() -> PlannedTrajectory | None:
            test.rig.tick()
            test.rig.send_odometry(test.rig.now_ns)
            newest = test.listener.received["trajectory"][-1]
            return newest if newest.degraded == PlannedTrajectory.DEGRADED_STOP else None

        trajectory = wait_until(stopped, "a stop")
        assert trajectory.degraded_reasons[0].startswith("no camera set for")
        silent = [
            name
            for name in NUSCENES_CAMERAS
            if any(r.startswith(f"{name} silent") for r in trajectory.degraded_reasons)
        ]
        assert tuple(silent) == NUSCENES_CAMERAS
        quiet_s = (to_ns(trajectory.header.stamp) - to_ns(last.header.stamp)) * 1e-9
        assert quiet_s > 1.0, "not before the limit"
        wait_until(lambda: test.listener.status("planning").level == b"\x02", "the stop in diagnostics")
        test.recover()


def test_without_odometry_the_plan_is_degraded_and_the_memory_unused(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive(2)
        trajectory = None
        for _ in range(4):
            stamp_ns = test.rig.send_round(odometry=False)
            wait_until(test.all_arrived, "the images")
            # The set waits a little for odometry.
            test.rig.tick(60_000_000)
            trajectory = wait_until(lambda s=stamp_ns: test.listener.with_stamp("trajectory", s), "a trajectory")
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_REDUCED
        assert [r for r in trajectory.degraded_reasons if r.startswith("odometry: the nearest odometry is")]
        wait_until(lambda: "s old" in test.listener.status("odometry").message, "the warning")
        assert test.listener.status("odometry").level == b"\x01"
        first, second = test.model.frames[-2:]
        assert first.drive_id != second.drive_id and second.ego_status is None
        test.recover()


def test_a_slow_model_plans_on_the_newest_images_and_queues_nothing(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive()
        begun = test.model.entered
        test.model.gate.clear()
        stamps = [test.rig.send_round()]
        wait_until(lambda: test.model.entered == begun + 1, "the model at work")
        for _ in range(4):
            stamps.append(test.rig.send_round())
        wait_until(test.all_arrived, "the images")
        test.model.gate.set()
        wait_until(lambda: test.listener.with_stamp("trajectory", stamps[-1]), "the newest plan")
        assert test.model.entered == begun + 2
        assert [test.listener.with_stamp("trajectory", stamp) is not None for stamp in stamps] == [
            True,
            False,
            False,
            False,
            True,
        ]
        wait_until(lambda: values(test.listener.status("planning"))["camera_sets_dropped"] == "3", "the count")


def test_a_stuck_model_means_a_stop(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"inference_timeout_s": 0.2, "input_timeout_s": 60.0}) as test:
        test.activate()
        test.model.gate.clear()
        stamp_ns = test.rig.send_round()

        def stopped() -> list[PlannedTrajectory]:
            test.rig.tick(10_000_000)
            return [m for m in test.listener.received["trajectory"] if m.degraded == PlannedTrajectory.DEGRADED_STOP]

        assert "the model has been busy for" in wait_until(stopped, "a stop")[0].degraded_reasons[0]
        test.model.gate.set()
        # The plan from long ago must not release the stop.
        wait_until(lambda: values(test.listener.status("planning"))["busy_s"] == "0.000", "the end of the plan")
        assert test.listener.with_stamp("trajectory", stamp_ns) is None


def test_a_failing_model_means_a_stop_and_does_not_end_the_node(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive(2)
        test.model.error = RuntimeError("out of memory")
        trajectory = test.drive()
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_STOP
        assert trajectory.degraded_reasons == ["the model failed: RuntimeError: out of memory"]
        assert trajectory.points[0].longitudinal_velocity < SPEED
        test.model.error = None
        test.recover()


def test_deactivating_waits_for_the_running_plan_and_discards_it(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.model.gate.clear()
        stamp_ns = test.rig.send_round()
        wait_until(lambda: test.model.entered, "the model at work")
        worker = test.node._loop.worker
        thread = threading.Thread(target=lambda: test.change("deactivate"))
        thread.start()
        wait_until(lambda: worker.stopping, "the transition")
        test.model.gate.set()
        thread.join()
        assert test.listener.with_stamp("trajectory", stamp_ns) is None
