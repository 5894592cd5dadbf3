"""driver_node over real ROS 2 topics: what goes in, what comes out, and the managed life of the node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory, RouteCommand
from aln_p3.srv import Reset
from driver_helpers import SIZE, SPEED, DriverTest, StraightModel, driver_test, values, wait_until
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from aln_p3_core.calibration import save_calibration
from aln_p3_core.errors import CheckpointError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.synthetic import track
from aln_p3_ros.driving.faults import Degradation, Level
from aln_p3_ros.messages.stamps import to_ns, to_time


@pytest.mark.parametrize("transport", ["compressed", "raw"])
def test_six_images_become_a_trajectory_with_the_newest_stamp(ros_context: Context, transport: str) -> None:
    with driver_test(ros_context, transport=transport) as test:
        test.activate()
        trajectory = test.drive(3)
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_NONE, trajectory.degraded_reasons
        assert trajectory.degraded_reasons == []
        assert trajectory.header.frame_id == "base_link"
        assert trajectory.checkpoint_hash == test.model.checkpoint_hash
        assert len(trajectory.points) == 6 and len(trajectory.alternatives) == 2
        stamp_ns = to_ns(trajectory.header.stamp)
        frame = next(frame for frame in test.model.frames if frame.reference_stamp_ns == stamp_ns)
        assert frame.newest_image_stamp_ns == stamp_ns
        assert frame.cameras == NUSCENES_CAMERAS and not frame.missing_cameras
        # Every camera has the pose of its own exposure, 2 ms after the one before.
        x = [frame.views[name].T_global_ego[0, 3] for name in NUSCENES_CAMERAS]
        np.testing.assert_allclose(np.diff(x), SPEED * 0.002, atol=1e-6)
        np.testing.assert_allclose(frame.ego_status.velocity, [SPEED, 0, 0])
        for name, calibration in test.rig.calibrations.items():
            np.testing.assert_allclose(frame.views[name].calibration.T_ego_cam, calibration.T_ego_cam, atol=1e-12)
            np.testing.assert_allclose(frame.views[name].calibration.intrinsic, calibration.intrinsic)
        for key in ("path", "objects", "map"):
            message = wait_until(lambda k=key: test.listener.with_stamp(k, stamp_ns), key)
            assert message.header.frame_id == ("odom" if key == "path" else "base_link")
        for key in ("plan_markers", "perception_markers"):
            markers = wait_until(lambda k=key: test.listener.received[k], key)[-1].markers
            assert {marker.header.frame_id for marker in markers} == {"odom"}


def test_a_command_is_followed_until_it_is_too_old(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"command_timeout_s": 2.0}) as test:
        test.activate()
        assert test.drive().command.provenance == RouteCommand.PROVENANCE_DEFAULT
        test.rig.send_command(RouteCommand.LEFT)
        wait_until(lambda: "left" in test.listener.status("command").message, "the command")
        trajectory = test.drive()
        assert trajectory.command.command == RouteCommand.LEFT
        assert trajectory.command.provenance == RouteCommand.PROVENANCE_GIVEN
        assert trajectory.points[-1].pose.position.y > 1.0, "the plan of the command is the plan"
        assert {alternative.command for alternative in trajectory.alternatives} == {
            RouteCommand.RIGHT,
            RouteCommand.STRAIGHT,
        }
        trajectory = test.drive(22)
        assert trajectory.command.command == RouteCommand.STRAIGHT
        assert trajectory.command.provenance == RouteCommand.PROVENANCE_DEFAULT


def test_tokens_are_published_only_to_subscribers_and_not_too_often(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"tokens_rate_hz": 2.0}) as test:
        test.activate()
        test.drive(2)
        test.listener.listen_to_tokens()
        wait_until(lambda: test.node.count_subscribers("/driver/scene_tokens"), "the subscription")
        test.drive(11)
        tokens = test.listener.received["scene_tokens"]
        wait_until(lambda: len(tokens) >= 2, "tokens")
        assert len(tokens) <= 4, "2 Hz over 1.1 s"
        gaps_ns = np.diff([to_ns(message.header.stamp) for message in tokens])
        assert (gaps_ns >= 400_000_000).all()
        trajectory = test.listener.with_stamp("trajectory", to_ns(tokens[0].header.stamp))
        assert tokens[0].plan_id == trajectory.plan_id
        assert tokens[0].checkpoint_hash == test.model.checkpoint_hash


def test_odometry_without_numbers_does_not_keep_the_vehicle_from_stopping(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"input_timeout_s": 0.4}) as test:
        test.activate()
        test.drive()
        broken = Odometry(header=Header(stamp=to_time(test.rig.now_ns), frame_id="odom"), child_frame_id="base_link")
        broken.pose.pose.orientation.w = 1.0
        broken.twist.twist.linear.x = float("nan")
        test.rig._odometry.publish(broken)
        wait_until(lambda: "NaN" in test.node._inputs.odometry_problem, "the refusal")
        test.node._loop.stop_now(Degradation(Level.STOP, ("a test",)))
        stop = wait_until(
            lambda: [m for m in test.listener.received["trajectory"] if m.degraded == m.DEGRADED_STOP], "the stop"
        )[-1]
        assert stop.points[0].longitudinal_velocity > 0, "from the last speed that was known"


def test_without_a_clock_nothing_is_planned_and_a_stuck_model_is_still_noticed(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"inference_timeout_s": 0.2, "input_timeout_s": 60.0}) as test:
        assert test.change("configure") and test.change("activate")
        wait_until(lambda: "nobody publishes /clock" in message_of(test, "planning"), "the complaint")
        assert test.listener.status("planning").level == b"\x02"
        wait_until(test.rig.connected, "subscriptions")
        test.rig.tick()
        wait_until(lambda: "/clock" not in message_of(test, "planning"), "the clock")
        # As when a simulator is started anew: its clock stands at 0 while the model hangs.
        test.node._loop.worker._work = lambda job: test.model.plan(job)
        test.model.gate.clear()
        test.node._loop.worker.submit(object())
        wait_until(lambda: test.model.entered, "the model at work")
        test.rig.tick(-test.rig.now_ns)
        wait_until(lambda: "/clock" in message_of(test, "planning"), "the clock to stand at 0")
        test.listener.received["trajectory"].clear()
        stops = test.listener.received["trajectory"]
        wait_until(lambda: len(stops) >= 2, "stops")
        assert all("the model has been busy for" in stop.degraded_reasons[0] for stop in stops)


def test_plan_ids_differ_and_the_age_is_told(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        first, second = test.drive(), test.drive()
        assert first.plan_id != second.plan_id
        assert first.plan_id.rpartition("-")[0] == second.plan_id.rpartition("-")[0]
        assert 0 <= to_ns(second.age) <= test.rig.now_ns - to_ns(second.header.stamp)


def test_diagnostics_tell_the_health_of_every_part(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        test.drive(3)
        wait_until(lambda: test.listener.status("planning").message == "driving", "good health")
        parts = ("model", "odometry", "command", "memory", "guard", "latency")
        for part in (*parts, *(f"camera {n}" for n in NUSCENES_CAMERAS)):
            status = test.listener.status(part)
            assert status is not None and status.level == b"\x00", f"{part}: {status}"
            assert status.hardware_id == "aln_p3"
        assert "straight ahead" in test.listener.status("model").message
        # A plan's stages are counted after it has been published: the next message has them.
        told = {"arrival_ms", "waiting_ms", "backbone_ms", "publishing_ms", "total_ms", "age_ms"}
        wait_until(lambda: told <= {v.key for v in test.listener.status("latency").values}, "the stages of a plan")


def test_the_memory_is_reset_on_request_and_says_so(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        client = test.listener.create_client(Reset, "/driver_node/reset")
        wait_until(client.service_is_ready, "the service")
        future = client.call_async(Reset.Request(reason="too early"))
        assert not wait_until(lambda: future.done() and future.result(), "an answer").success
        test.activate()
        test.drive(2)
        future = client.call_async(Reset.Request(reason="a person asked"))
        assert wait_until(lambda: future.done() and future.result(), "an answer").success
        test.drive()
        wait_until(lambda: value_of(test, "memory", "last_reset") == "a person asked", "the reset")


@pytest.mark.parametrize("back_ns", [60_000_000_000, 550_000_000])
def test_time_that_goes_back_resets_the_memory(ros_context: Context, back_ns: int) -> None:
    with driver_test(ros_context) as test:
        test.activate()
        last = test.drive(8)
        test.rig.tick(-back_ns)
        wait_until(lambda: "went back" in value_of(test, "memory", "last_reset"), "the step back to be noticed")
        test.drive(2)
        trajectory = test.drive()
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_NONE, trajectory.degraded_reasons
        assert to_ns(trajectory.header.stamp) < to_ns(last.header.stamp)
        status = wait_until(lambda: value_of(test, "memory", "last_reset"), "a reset")
        assert "went back" in status


def test_a_failed_load_fails_the_transition_and_says_why(ros_context: Context) -> None:
    broken = [True]

    def factory(settings: object) -> StraightModel:
        if broken[0]:
            raise CheckpointError("weights.safetensors is damaged: download it again")
        return StraightModel()

    with driver_test(ros_context, factory=factory) as test:
        assert not test.change("configure")
        status = wait_until(lambda: test.listener.status("model"), "diagnostics")
        wait_until(lambda: "damaged" in test.listener.status("model").message, "the reason")
        assert test.listener.status("model").level == b"\x02", status
        broken[0] = False
        test.activate()
        assert test.drive().degraded == PlannedTrajectory.DEGRADED_NONE


def test_settings_that_do_not_fit_the_rig_fail_the_transition(ros_context: Context) -> None:
    with driver_test(ros_context, parameters={"required_cameras": ["CAM_ROOF"]}) as test:
        assert not test.change("configure")
        wait_until(lambda: test.listener.status("model"), "diagnostics")
        wait_until(lambda: "CAM_ROOF" in test.listener.status("model").message, "the reason")


def test_the_managed_life_can_be_lived_twice(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        for _ in range(2):
            test.activate()
            assert test.drive().degraded == PlannedTrajectory.DEGRADED_NONE
            assert test.change("deactivate")
            wait_until(lambda: not test.node.count_subscribers("/sensors/camera/cam_front/image/compressed"), "silence")
            assert test.change("cleanup")
        assert test.change("unconfigured_shutdown")


def test_parameters_are_judged_with_a_reason(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.activate()

        def change(name: str, value: object) -> str:
            result = test.node.set_parameters([Parameter(name, value=value)])[0]
            assert bool(result.reason) != result.successful
            return result.reason

        assert "clean up" in change("recipe", "tiny")
        assert "CAM_ROOF" in change("required_cameras", ["CAM_ROOF"])
        assert change("stop_deceleration_mps2", 99.0)
        assert change("max_missing_cameras", 0) == ""
        trajectory = test.drive(8, skip=["CAM_BACK"])
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_STOP


def test_a_calibration_file_replaces_the_topics(ros_context: Context, tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    save_calibration(path, track.rig(*SIZE))
    with driver_test(ros_context, parameters={"calibration_file": str(path)}) as test:
        test.activate(calibration_topics=False)
        trajectory = test.drive(2)
        assert trajectory.degraded == PlannedTrajectory.DEGRADED_NONE, trajectory.degraded_reasons
        assert not test.node.count_subscribers("/sensors/camera/cam_front/camera_info")
    with driver_test(ros_context, parameters={"calibration_file": str(tmp_path / "gone.json")}) as test:
        assert not test.change("configure")
        wait_until(lambda: test.listener.status("model"), "diagnostics")
        wait_until(lambda: "gone.json" in test.listener.status("model").message, "the reason")


def test_lens_distortion_that_is_not_undone_is_warned_of(ros_context: Context) -> None:
    with driver_test(ros_context) as test:
        test.rig.distortion["CAM_BACK"] = [-0.2, 0.0, 0.0, 0.0, 0.0]
        test.activate()
        assert test.drive().degraded == PlannedTrajectory.DEGRADED_NONE
        wait_until(lambda: "lens distortion" in test.listener.status("camera CAM_BACK").message, "the warning")
        assert test.listener.status("camera CAM_BACK").level == b"\x01"
        assert test.listener.status("camera CAM_FRONT").level == b"\x00"


def message_of(test: DriverTest, part: str) -> str:
    status = test.listener.status(part)
    return status.message if status else ""


def value_of(test: DriverTest, part: str, key: str) -> str:
    status = test.listener.status(part)
    return values(status)[key] if status else ""
