"""What the simulated sensors say, decoded by the real message classes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from world_ros_helpers import START_NS, PaintedCameras, actor, stage, stamp_of

from aln_p3_core.frame import NUSCENES_CAMERAS, Command, CommandProvenance, RouteCommand
from aln_p3_core.world.actors import ActorKind, join_actors
from aln_p3_core.world.assets.catalogue import sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.rig import EXPOSURE_LEAD_S, world_rig
from aln_p3_core.world.simulation import Simulation
from aln_p3_ros.messages.camera_info import calibration_from_info
from aln_p3_ros.messages.images import image_array
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.messages.transforms import TransformTree, transform_from_message
from aln_p3_ros.simulator.sensors import SensorMessages
from aln_p3_ros.topics import TOPICS

TYPES = {topic.name.format(camera=c.lower()): topic.type for topic in TOPICS.values() for c in NUSCENES_CAMERAS}


def decoded(serialised: list[tuple[str, memoryview]]) -> dict[str, Any]:
    return {topic: deserialize_message(bytes(cdr), message_class(TYPES[topic])) for topic, cdr in serialised}


def camera_messages(transport: str) -> tuple[dict[str, Any], Any]:
    """Everything that the cameras say at 0.5 s, and the observation that it comes from."""
    rig = world_rig()
    simulation = Simulation(stage(speed=8.0), rig, PaintedCameras(rig), start_ns=START_NS)
    for _ in range(10):
        simulation.advance()
    observation = simulation.observe()
    sensors = SensorMessages(rig, transport)
    stamps = {name: simulation.stamp_ns(view.time_s) for name, view in observation.views.items()}
    sent = sensors.cameras(stamps, observation.views)
    sensors.close()
    assert {topic for topic, _ in sent} <= {topic.name for topic in sensors.topics}
    assert sent[-1][0] == sensors.image_topics[list(rig).index("CAM_BACK_LEFT")], "the newest exposure ends the set"
    return decoded(sent), observation


@pytest.mark.parametrize("transport", ["compressed", "raw"])
def test_pictures_stamps_and_intrinsics_are_those_of_the_world(transport: str) -> None:
    messages, observation = camera_messages(transport)
    for name, calibration in world_rig().items():
        suffix = "/compressed" if transport == "compressed" else ""
        image = messages[f"/sensors/camera/{name.lower()}/image{suffix}"]
        info = messages[f"/sensors/camera/{name.lower()}/camera_info"]
        expected_ns = START_NS + round((0.5 - EXPOSURE_LEAD_S[name]) * 1e6) * 1000
        assert stamp_of(image) == stamp_of(info) == expected_ns
        assert image.header.frame_id == info.header.frame_id == name.lower()
        assert (info.width, info.height) == (400, 225)
        np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), calibration.intrinsic)
        truth = observation.views[name].color
        if transport == "raw":
            pixels, order = image_array(image)
            assert order == "bgr"
            np.testing.assert_array_equal(pixels[..., ::-1], truth)
        else:
            assert image.format == "jpeg"
            pixels = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
            assert np.abs(pixels[..., ::-1].astype(int) - truth).mean() < 3


def test_the_tree_of_frames_gives_every_camera_exactly() -> None:
    rig = world_rig()
    sensors = SensorMessages(rig)
    messages, (info_messages, _) = decoded(sensors.static(START_NS)), camera_messages("compressed")
    sensors.close()
    tree = TransformTree()
    assert tree.add_message(messages["/tf_static"]) == []
    assert tree.frames() == sorted({"map", "odom", "base_link", *(name.lower() for name in rig)})
    assert np.array_equal(tree.lookup("map", "odom"), np.eye(4))
    for name, calibration in rig.items():
        T_base_cam = tree.lookup("base_link", name.lower())
        # To the last bit: a driver behind the topics then computes what one beside the world does.
        assert np.array_equal(T_base_cam, calibration.T_ego_cam), name
        info = info_messages[f"/sensors/camera/{name.lower()}/camera_info"]
        assert calibration_from_info(info, T_base_cam).fingerprint == calibration.fingerprint


def test_motion_is_the_vehicles_to_the_last_bit() -> None:
    ego = EgoState(1.0, 812.3, -47.1, 2.345, speed=7.5, acceleration=-1.25, steering=0.1, yaw_rate=0.3)
    sensors = SensorMessages(world_rig())
    messages = decoded(sensors.motion(START_NS + 1_000_000_000, ego))
    sensors.close()
    odometry, tf, imu = messages["/localization/odometry"], messages["/tf"].transforms[0], messages["/vehicle/imu"]
    assert {stamp_of(message) for message in (odometry, tf, imu)} == {START_NS + 1_000_000_000}
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "base_link")
    assert np.array_equal(transform_from_message(odometry.pose.pose), ego.T_world_ego)
    assert (tf.header.frame_id, tf.child_frame_id) == ("odom", "base_link")
    np.testing.assert_allclose(transform_from_message(tf.transform), ego.T_world_ego, atol=1e-12)
    assert (odometry.twist.twist.linear.x, odometry.twist.twist.angular.z) == (7.5, 0.3)
    force = imu.linear_acceleration
    assert (force.x, force.y, force.z) == (-1.25, 7.5 * 0.3, 9.81), "in a left bend the car is pushed to the left"
    assert imu.header.frame_id == "base_link"


def test_the_command_is_given_by_the_route() -> None:
    sensors = SensorMessages(world_rig())
    message = decoded(sensors.command(START_NS, RouteCommand(Command.RIGHT, CommandProvenance.GIVEN)))
    sensors.close()
    command = message["/planning/route_command"]
    assert (command.command, command.provenance) == (command.RIGHT, command.PROVENANCE_GIVEN)


def test_ground_truth_is_in_base_link() -> None:
    actors = join_actors(
        [
            actor(ActorKind.CAR, 30.0, -1.75, speed=5.0),
            actor(ActorKind.PEDESTRIAN, 20.0, 4.0),
            actor(ActorKind.CONE, 500, 0),
        ]
    )
    rig = world_rig()
    simulation = Simulation(stage(actors, start_s=10.0), rig, start_ns=START_NS)
    sensors = SensorMessages(rig, ground_truth=True)
    truth = decoded(sensors.truth(START_NS, simulation.state))["/ground_truth/objects"]
    sensors.close()
    assert truth.header.frame_id == "base_link"
    car, pedestrian = truth.objects  # the cone is too far away
    assert (car.class_name, pedestrian.class_name) == ("car", "pedestrian")
    size = sizes_of(actors)[0]
    assert [car.size.x, car.size.y, car.size.z] == pytest.approx(size)
    place = car.pose.position
    assert [place.x, place.y, place.z] == pytest.approx([20.0, 0.0, size[2] / 2])
    assert (car.velocity.x, car.velocity.y) == pytest.approx((5.0, 0.0))
    assert pedestrian.pose.position.y == pytest.approx(5.75)
