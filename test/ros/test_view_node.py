"""The view node over real DDS: plans over the images that they were made from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from aln_p3.msg import Explanation, PlannedTrajectory, PredictedObject, PredictedObjects, VectorMap
from driver_helpers import SensorRig, straight_scene, wait_until
from geometry_msgs.msg import Point, Pose, Vector3
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from aln_p3_core.calibration import save_calibration
from aln_p3_core.drawing import palette
from aln_p3_core.errors import CalibrationError, ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS, DrivingFrame
from aln_p3_core.geometry import make_transform
from aln_p3_core.synthetic import track
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.messages.conversions import planned_trajectory, predicted_objects, vector_map
from aln_p3_ros.messages.point_clouds import point_cloud_message
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.qos import reliable_qos
from aln_p3_ros.resources import share_path
from aln_p3_ros.topics import TOPICS
from aln_p3_ros.view.view_inputs import ViewInputs
from aln_p3_ros.view.view_settings import ViewSettings
from aln_p3_ros.view_node import ViewNode

RELIABLE = {
    f"qos_overrides.{topic}.subscription.reliability": "reliable"
    for name in NUSCENES_CAMERAS
    for topic in (
        f"/sensors/camera/{name.lower()}/image",
        f"/sensors/camera/{name.lower()}/image/compressed",
        f"/sensors/camera/{name.lower()}/camera_info",
    )
}
WIDTH = 640


class ViewTest:
    """A view node, a rig of sensors, a stand-in for the driver's publishers, and a screen."""

    def __init__(self, context: Context, transport: str = "compressed", **parameters: Any) -> None:
        # With use_sim_time and no clock at all: pictures come all the same.
        values = {
            "use_sim_time": True,
            "image_transport": transport,
            "rate_hz": 20.0,
            "mosaic_width": WIDTH,
            "bev_height": 240,
            **RELIABLE,
        }
        self.view = ViewNode(
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in {**values, **parameters}.items()],
        )
        self.rig = SensorRig(context, transport)
        self.desk: Node = rclpy.create_node("desk", context=context)
        self.received: dict[str, list[Any]] = {"mosaic": [], "bev": [], "view_markers": []}
        for key, kind in (("mosaic", Image), ("bev", Image), ("view_markers", MarkerArray)):
            self.desk.create_subscription(kind, TOPICS[key].name, self.received[key].append, reliable_qos())
        self.publishers = {
            key: self.desk.create_publisher(kind, TOPICS[key].name, reliable_qos())
            for key, kind in (
                ("trajectory", PlannedTrajectory),
                ("objects", PredictedObjects),
                ("map", VectorMap),
                ("truth_objects", PredictedObjects),
                ("explanation", Explanation),
            )
        }
        self.executor = MultiThreadedExecutor(3, context=context)
        for node in (self.view, self.rig, self.desk):
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self.executor.spin)
        self._thread.start()
        wait_until(
            lambda: all(p.get_subscription_count() for p in [*self.rig._images.values(), *self.rig._infos.values()]),
            "the view's subscriptions",
        )
        wait_until(lambda: all(p.get_subscription_count() for p in self.publishers.values()), "the view")
        wait_until(lambda: all(self.view.count_subscribers(TOPICS[key].name) for key in self.received), "the screen")
        self.rig.send_infos()
        inputs = self.view._inputs
        wait_until(lambda: all(inputs.rig.calibration(name) for name in NUSCENES_CAMERAS), "calibration")

    def send_plan(self, stamp_ns: int, plan_id: str = "plan-1", **changes: Any) -> None:
        """Plan, objects and map of the made-up scene at a stamp."""
        frame = track_frames(1, size=(160, 90))[0]
        scene = straight_scene(_at(frame, stamp_ns))
        plan = planned_trajectory(scene, plan_id=plan_id, checkpoint_hash="", current_speed=None)
        for key, value in changes.items():
            setattr(plan, key, value)
        self.publishers["trajectory"].publish(plan)
        self.publishers["objects"].publish(predicted_objects(scene, plan_id=plan_id))
        self.publishers["map"].publish(vector_map(scene, plan_id=plan_id))

    def picture(self, key: str, stamp_ns: int) -> np.ndarray:
        """Waits for the picture of a stamp that is not of the cameras alone; uint8 RGB [height, width, 3]."""
        message = wait_until(
            lambda: next((m for m in self.received[key] if to_ns(m.header.stamp) == stamp_ns), None), f"a {key}"
        )
        assert message.encoding == "rgb8"
        assert message.step == 3 * message.width
        return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)

    def close(self) -> None:
        self.executor.shutdown()
        self._thread.join()
        for node in (self.view, self.rig, self.desk):
            node.destroy_node()


def _at(frame: DrivingFrame, stamp_ns: int) -> DrivingFrame:
    import dataclasses

    views = {name: dataclasses.replace(view, stamp_ns=stamp_ns) for name, view in frame.views.items()}
    return dataclasses.replace(frame, views=views, reference_stamp_ns=stamp_ns)


@pytest.fixture
def started(ros_context: Context) -> Iterator[list[ViewTest]]:
    tests: list[ViewTest] = []
    yield tests
    for test in tests:
        test.close()


def start(started: list[ViewTest], context: Context, transport: str = "compressed", **parameters: Any) -> ViewTest:
    started.append(ViewTest(context, transport, **parameters))
    return started[-1]


def arrived(test: ViewTest, stamp_ns: int) -> bool:
    """Whether the view holds every camera's image of the round that ends at the stamp."""
    images = test.view._inputs._images
    return all(q and q[-1].stamp_ns >= stamp_ns - 10_000_000 for q in images.values())


def greenness(picture: np.ndarray) -> int:
    """How many pixels have about the plan's colour."""
    rgb = picture.astype(int)
    return int(((rgb[..., 1] - rgb[..., 0] > 60) & (rgb[..., 1] - rgb[..., 2] > 15)).sum())


@pytest.mark.parametrize("transport", ["compressed", "raw"])
def test_a_plan_is_drawn_over_its_own_images(
    started: list[ViewTest], ros_context: Context, transport: str, tmp_path: Path
) -> None:
    test = start(started, ros_context, transport, folder=str(tmp_path / "pictures"), plan_timeout_s=100.0)
    # A first plan: from now on pictures come with plans only.
    first = test.rig.send_round()
    wait_until(lambda: arrived(test, first), "images")
    test.send_plan(first, "plan-0")
    wait_until(lambda: test.view._inputs._shown_plan == "plan-0", "the first plan")
    used = test.rig.send_round()
    later = test.rig.send_round()
    wait_until(lambda: arrived(test, later), "images")
    test.send_plan(used, "plan-1")
    mosaic, bev = test.picture("mosaic", used), test.picture("bev", used)
    assert mosaic.shape[1] == WIDTH
    assert greenness(mosaic) > 100
    assert greenness(bev) > 50
    assert not any(to_ns(m.header.stamp) == later for m in test.received["mosaic"])
    saved = wait_until(lambda: list((tmp_path / "pictures").glob(f"{used}_*.png")), "files")
    wait_until(lambda: len(list((tmp_path / "pictures").glob(f"{used}_*.png"))) == 2, "both files")
    assert cv2.imread(str(saved[0])) is not None


def test_without_plans_the_cameras_are_shown(started: list[ViewTest], ros_context: Context) -> None:
    test = start(started, ros_context, plan_timeout_s=0.2)
    stamp_ns = test.rig.send_round()
    mosaic = test.picture("mosaic", stamp_ns)
    assert (mosaic.reshape(-1, 3) == palette.WARNING).all(axis=1).sum() > 500  # "no plan has come yet"


def test_images_that_were_shown_with_their_plan_are_not_shown_alone_later() -> None:
    """When plans stop, the last picture stays, until there are newer images."""
    inputs = ViewInputs(ViewSettings(cameras=("CAM_FRONT",), plan_timeout_s=1.0))
    stamp_ns = 10**18
    inputs.add_image("CAM_FRONT", Image(header=Header(stamp=to_time(stamp_ns))))
    header = Header(stamp=to_time(stamp_ns), frame_id="base_link")
    inputs.add_plan(PlannedTrajectory(header=header, plan_id="a"), now_s=0.0)
    assert inputs.next_view(0.1) is None  # objects and map may come yet
    view = inputs.next_view(0.5)
    assert view is not None and view.header == header
    assert inputs.next_view(10.0) is None
    inputs.add_image("CAM_FRONT", Image(header=Header(stamp=to_time(stamp_ns + 10**8))))
    alone = inputs.next_view(10.1)
    assert alone is not None and alone.banner == "no plan for 10 s"
    # A plan from before is not shown again, a new one is.
    assert inputs.next_view(10.2) is None
    inputs.add_plan(PlannedTrajectory(header=header, plan_id="b", degraded=1, degraded_reasons=["late"]), now_s=10.3)
    later = inputs.next_view(11.0)
    assert later is not None and later.alarm == "degraded: late"


def test_a_calibration_file_stands_for_the_topics(ros_context: Context, tmp_path: Path) -> None:
    rig = dict(track.rig(160, 90))
    path = tmp_path / "rig.yaml"
    save_calibration(path, {name: rig[name] for name in ("CAM_FRONT", "CAM_BACK")})
    inputs = ViewInputs(ViewSettings(calibration_file=str(path)))
    front, side = inputs.rig.calibration("CAM_FRONT"), inputs.rig.calibration("CAM_BACK_LEFT")
    assert front is not None and side is None
    np.testing.assert_allclose(front.T_ego_cam, rig["CAM_FRONT"].T_ego_cam, atol=1e-9)
    node = ViewNode(context=ros_context, parameter_overrides=[Parameter("calibration_file", value=str(path))])
    try:
        # What the file does not hold still comes from the topics.
        infos = {name for name in NUSCENES_CAMERAS if any(_is_info(s.topic_name, name) for s in node.subscriptions)}
        assert infos == {*NUSCENES_CAMERAS} - {"CAM_FRONT", "CAM_BACK"}
    finally:
        node.destroy_node()
    with pytest.raises(CalibrationError, match=r"none of the cameras LEFT; it has CAM_FRONT, CAM_BACK"):
        ViewInputs(ViewSettings(cameras=("LEFT",), calibration_file=str(path)))


def _is_info(topic: str, camera: str) -> bool:
    return topic == TOPICS["camera_info"].name.format(camera=camera.lower())


def test_a_lidar_sweep_near_the_plan_comes_with_it_in_the_model_frame() -> None:
    inputs = ViewInputs(ViewSettings(cameras=("CAM_FRONT",)))
    # x of this LiDAR points forward, it sits a metre ahead of the rear axle.
    inputs.transforms.set("base_link", "lidar", make_transform([1, 0, 0, 0], [1.0, 0.0, 1.84]))
    stamp_ns = 10**18
    points = np.array([[9.94, 2.0, -1.84, 7.0]], np.float32)
    for late_ns in (50_000_000, 900_000_000):
        header = Header(stamp=to_time(stamp_ns + late_ns), frame_id="lidar")
        inputs.add_cloud(point_cloud_message(points * (1 if late_ns < 10**8 else 2), header))
    plan_header = Header(stamp=to_time(stamp_ns), frame_id="base_link")
    inputs.add_plan(PlannedTrajectory(header=plan_header, plan_id="a"), now_s=0.0)
    view = inputs.next_view(1.0)
    assert view is not None and view.lidar_model is not None
    np.testing.assert_allclose(view.lidar_model, [[-2.0, 10.0, -1.84]], atol=1e-5)


def test_a_lost_camera_and_a_degraded_plan_show_in_red(started: list[ViewTest], ros_context: Context) -> None:
    test = start(started, ros_context, plan_timeout_s=100.0)
    stamp_ns = test.rig.send_round(skip=("CAM_BACK",))
    wait_until(lambda: test.view._inputs._images["CAM_BACK_RIGHT"], "images")
    test.send_plan(
        stamp_ns,
        degraded=PlannedTrajectory.DEGRADED_STOP,
        degraded_reasons=["CAM_BACK: no image for 0.6 s"],
    )
    wait_until(lambda: test.view._inputs._shown_plan == "plan-1", "the plan")

    def red() -> bool:
        pictures = [m for m in test.received["mosaic"] if to_ns(m.header.stamp) == stamp_ns]
        arrays = [np.frombuffer(m.data, np.uint8).reshape(-1, 3) for m in pictures]
        return any((array == palette.ALARM).all(axis=1).sum() > 2000 for array in arrays)

    wait_until(red, "a red banner")


def test_truth_and_captions_reach_markers_and_mosaic(started: list[ViewTest], ros_context: Context) -> None:
    test = start(started, ros_context, plan_timeout_s=100.0)
    stamp_ns = test.rig.send_round()
    wait_until(lambda: arrived(test, stamp_ns), "images")
    header = Header(stamp=to_time(stamp_ns), frame_id="base_link")
    walker = PredictedObject(
        class_name="pedestrian",
        score=1.0,
        pose=Pose(position=Point(x=9.0, y=2.0, z=0.9)),
        size=Vector3(x=0.7, y=0.7, z=1.8),
    )
    test.publishers["truth_objects"].publish(PredictedObjects(header=header, objects=[walker]))
    test.publishers["explanation"].publish(
        Explanation(header=header, narration="the car drives on", reasoning="because the road is free")
    )
    inputs = test.view._inputs
    wait_until(lambda: inputs._truths and inputs._explanation, "truth and explanation")
    test.send_plan(stamp_ns)

    def captioned() -> list[str]:
        return [m.text for array in test.received["view_markers"] for m in array.markers if m.ns == "caption"]

    texts = wait_until(captioned, "a caption")
    assert texts[0].splitlines() == ["the car drives on", "because the road is free"]
    namespaces = {m.ns for m in test.received["view_markers"][-1].markers}
    assert {"vehicle", "truth_boxes"} <= namespaces
    assert all(m.header.frame_id == "base_link" for m in test.received["view_markers"][-1].markers)


def test_words_that_contradict_the_plan_are_red(started: list[ViewTest], ros_context: Context) -> None:
    test = start(started, ros_context, plan_timeout_s=100.0)
    stamp_ns = test.rig.send_round()
    wait_until(lambda: arrived(test, stamp_ns), "images")
    test.publishers["explanation"].publish(
        Explanation(
            header=Header(stamp=to_time(stamp_ns), frame_id="base_link"),
            narration="the car stops",
            captions=["a parked car"],
            consistency=Explanation.CONTRADICTS,
            contradictions=["says it stops, the plan goes on"],
        )
    )
    wait_until(lambda: test.view._inputs._explanation, "the explanation")
    test.send_plan(stamp_ns)

    def captions() -> list[Any]:
        return [m for array in test.received["view_markers"] for m in array.markers if m.ns == "caption"]

    marker = wait_until(captions, "a caption")[0]
    assert marker.text.splitlines() == [
        "the car stops",
        "- a parked car",
        "contradicts: says it stops, the plan goes on",
    ]
    assert marker.color.r > 0.9 and marker.color.g < 0.5
    mosaic = wait_until(lambda: [m for m in test.received["mosaic"] if to_ns(m.header.stamp) == stamp_ns], "a mosaic")
    pixels = np.frombuffer(mosaic[0].data, np.uint8).reshape(-1, 3)
    assert (pixels == palette.ALARM_TEXT).all(axis=1).sum() > 20


def test_what_nobody_wants_is_not_drawn(ros_context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("aln_p3_ros.view_node.draw_mosaic", lambda *a, **k: drawn.append(1))
    node = ViewNode(context=ros_context)
    try:
        stamp_ns = 10**18
        message = Image(header=Header(stamp=to_time(stamp_ns)))
        node._inputs.add_image("CAM_FRONT", message)
        assert node._inputs.next_view(0.0) is None  # the other cameras' images may come yet
        view = node._inputs.next_view(10.0)
        assert view is not None
        node._show(view)
        assert not drawn
    finally:
        node.destroy_node()


def test_the_parameter_file_says_what_the_node_declares() -> None:
    tree = yaml.safe_load(share_path("config", "view.yaml").read_text())["/**"]["ros__parameters"]
    expected = {
        name: (list(default) or [""]) if isinstance(default, tuple) else default
        for name, (default, _) in setting_infos(ViewSettings).items()
    }
    assert tree == expected


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="camera_frames"):
        ViewSettings(camera_frames=("a", "b"))
    with pytest.raises(ConfigError, match="rerun must be one of off, record, serve"):
        ViewSettings(rerun="maybe")


def test_rerun_that_is_not_installed_is_named(ros_context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"pip install 'rerun-sdk"):
        ViewNode(context=ros_context, parameter_overrides=[Parameter("rerun", value="record")])
