"""The Fast DDS profile: six raw images in one burst arrive."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from driver_helpers import wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from aln_p3_ros.messages.images import image_message
from aln_p3_ros.qos import sensor_qos
from aln_p3_ros.resources import config_directory


def test_the_shared_memory_segment_holds_several_rounds_of_raw_images() -> None:
    root = ElementTree.parse(config_directory() / "fastdds.xml").getroot()
    space = {"dds": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    descriptors = root.findall(".//dds:transport_descriptor", space)
    kinds = {d.findtext("dds:type", namespaces=space): d for d in descriptors}
    assert set(kinds) == {"SHM", "UDPv4"}
    segment = int(kinds["SHM"].findtext("dds:segment_size", namespaces=space))
    assert segment >= 4 * 6 * 1600 * 900 * 3
    used = {element.text for element in root.findall(".//dds:userTransports/dds:transport_id", space)}
    assert used == {d.findtext("dds:transport_id", namespaces=space) for d in descriptors}
    assert root.find("dds:participant", space).get("is_default_profile") == "true"


def test_a_burst_of_raw_images_arrives_best_effort(ros_context: Context) -> None:
    sender = rclpy.create_node("sender", context=ros_context)
    receiver = rclpy.create_node("receiver", context=ros_context)
    received: list[int] = []
    publishers = []
    for index in range(6):
        receiver.create_subscription(
            Image, f"/burst/camera_{index}", lambda message, i=index: received.append(i), sensor_qos()
        )
        publishers.append(sender.create_publisher(Image, f"/burst/camera_{index}", sensor_qos()))
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(receiver)
    wait_until(lambda: all(p.get_subscription_count() for p in publishers), "the connection")
    message = image_message(np.zeros((900, 1600, 3), np.uint8), Time(), "cam")
    for round_index in range(3):
        for publisher in publishers:
            publisher.publish(message)

        def arrived(n: int = 6 * (round_index + 1)) -> bool:
            executor.spin_once(timeout_sec=0.01)
            return len(received) >= n

        wait_until(arrived, "six images of 4.3 MB")
    executor.shutdown()
    sender.destroy_node()
    receiver.destroy_node()
