"""From camera sets to frames: the same frame that a data set would give."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from aln_p3_core.config import get_recipe
from aln_p3_core.frame import Command, CommandProvenance, DrivingFrame, RouteCommand
from aln_p3_core.preprocess import ImagePreprocessor
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.driving.camera_set import CameraFault, CameraSet, FaultKind, StampedImage
from aln_p3_ros.driving.frame_builder import FrameBuilder, quick_fault
from aln_p3_ros.driving.odometry import OdometryBuffer, OdometrySample
from aln_p3_ros.driving.rig import Rig
from aln_p3_ros.messages.camera_info import info_message
from aln_p3_ros.messages.images import compressed_message, image_message
from aln_p3_ros.messages.transforms import TransformTree

COMMAND = RouteCommand(Command.LEFT, CommandProvenance.GIVEN)


@pytest.fixture(scope="module")
def frames() -> list[DrivingFrame]:
    return track_frames(3, size=(160, 90))


@pytest.fixture(scope="module")
def raw_frames() -> list[DrivingFrame]:
    return track_frames(1, size=(160, 90), encoded=False)


def rig_of(frame: DrivingFrame, tree: TransformTree | None = None, **kwargs) -> Rig:
    tree = tree or TransformTree()
    rig = Rig(frame.cameras, tree, **kwargs)
    for name, view in frame.views.items():
        tree.set("base_link", name, view.calibration.T_ego_cam)
        rig.add_info(name, info_message(view.calibration, Header(frame_id=name)))
    return rig


def odometry_of(frames: list[DrivingFrame]) -> OdometryBuffer:
    buffer = OdometryBuffer(tolerance_s=0.1)
    for frame in frames:
        speed = np.array([8.0, 0, 0])
        assert not buffer.add(OdometrySample(frame.reference_stamp_ns, frame.T_global_ego, speed, np.zeros(3)))
    return buffer


def set_of(frame: DrivingFrame, raw: bool = False, faults: dict[str, CameraFault] | None = None) -> CameraSet:
    images = {}
    for name, view in frame.views.items():
        if name in (faults or {}):
            continue
        message = (
            image_message(view.image, Time(), name, "rgb8")
            if raw
            else compressed_message(view.image.data, Time(), name, "jpeg")
        )
        images[name] = StampedImage(name, view.stamp_ns, message)
    return CameraSet(frame.cameras[0], frame.reference_stamp_ns, images, faults or {})


def test_the_node_sees_what_the_data_set_sees(frames: list[DrivingFrame]) -> None:
    frame = frames[-1]
    built = FrameBuilder(rig_of(frame), odometry_of(frames), "drive").build(set_of(frame), COMMAND)
    assert built.frame is not None and not built.faults and built.odometry_problem is None
    assert built.frame.reference_stamp_ns == frame.reference_stamp_ns
    assert built.frame.command == COMMAND and built.frame.drive_id == "drive"
    assert len(built.frame.past_poses) == 2
    np.testing.assert_array_equal(built.frame.T_global_ego, frame.T_global_ego)
    np.testing.assert_allclose(built.frame.T_ego_model, frame.T_ego_model)
    assert built.frame.ego_status is not None and built.frame.ego_status.velocity[0] == 8.0
    config = get_recipe("nano")
    ours, theirs = (ImagePreprocessor(config.image).prepare(f, config.cameras) for f in (built.frame, frame))
    np.testing.assert_array_equal(ours.images_NHWC, theirs.images_NHWC)
    np.testing.assert_allclose(ours.model2img_N44, theirs.model2img_N44, atol=1e-9)


# In the second root all cameras have one stamp, but poses up to 1 cm apart, which odometry cannot say.
@pytest.mark.parametrize(("root", "pixels"), [("keyframe_root", 0.01), ("surround_root", 0.5)])
def test_real_data_gives_the_same_tensors_from_files_and_from_topics(
    root: str, pixels: float, request: pytest.FixtureRequest
) -> None:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

    dataset = NuScenesDataset(request.getfixturevalue(root), reference="newest_image")
    frame = dataset.frame(dataset.tokens[0])
    tree = TransformTree()
    rig = rig_of(frame, tree)
    lidar = dataset.records_of_sample(dataset.tokens[0]).get("LIDAR_TOP")
    if lidar is not None:
        tree.set("base_link", "lidar_top", lidar.T_ego_sensor)
    odometry = OdometryBuffer(tolerance_s=0.1)
    for view in sorted(frame.views.values(), key=lambda view: view.stamp_ns):
        odometry.add(OdometrySample(view.stamp_ns, view.T_global_ego, np.zeros(3), np.zeros(3)))
    built = FrameBuilder(rig, odometry, "drive").build(set_of(frame), COMMAND)
    assert built.frame is not None and not built.faults and built.odometry_problem is None
    assert built.frame.reference_stamp_ns == frame.reference_stamp_ns
    config = get_recipe("nano")
    ours, theirs = (ImagePreprocessor(config.image).prepare(f, config.cameras) for f in (built.frame, frame))
    np.testing.assert_array_equal(ours.images_NHWC, theirs.images_NHWC)
    points = np.concatenate([np.random.default_rng(0).uniform(-50, 50, (500, 3)), np.ones((500, 1))], axis=1)
    for mine, other in zip(ours.model2img_N44, theirs.model2img_N44, strict=True):
        seen, expected = ((points @ matrix.T)[:, :2] / (points @ matrix.T)[:, 2:3] for matrix in (mine, other))
        inside = (expected >= 0) & (expected < [config.image.width, config.image.height])
        visible = ((points @ other.T)[:, 2] > 10.0) & inside.all(axis=1)
        assert visible.sum() > 3
        np.testing.assert_allclose(seen[visible], expected[visible], atol=pixels)


def test_raw_images_too(raw_frames: list[DrivingFrame]) -> None:
    frame = raw_frames[0]
    built = FrameBuilder(rig_of(frame), odometry_of(raw_frames), "drive").build(set_of(frame, raw=True), COMMAND)
    for name, view in frame.views.items():
        np.testing.assert_array_equal(built.frame.views[name].image, view.image)
        assert built.frame.views[name].color == "rgb"


def test_lost_and_left_out_cameras_are_not_in_the_frame(frames: list[DrivingFrame]) -> None:
    frame = frames[0]
    faults = {"CAM_BACK": CameraFault(FaultKind.SILENT, "gone")}
    builder = FrameBuilder(rig_of(frame), odometry_of(frames), "drive")
    built = builder.build(set_of(frame, faults=faults), COMMAND, without=frozenset({"CAM_FRONT_LEFT"}))
    assert set(built.frame.missing_cameras) == {"CAM_BACK", "CAM_FRONT_LEFT"}
    assert built.faults == faults


def test_uncalibrated_cameras_are_named(frames: list[DrivingFrame]) -> None:
    frame = frames[0]
    rig = Rig(frame.cameras, TransformTree())
    built = FrameBuilder(rig, odometry_of(frames), "drive").build(set_of(frame), COMMAND)
    assert built.frame is None
    assert {fault.kind for fault in built.faults.values()} == {FaultKind.UNCALIBRATED}


def test_without_odometry_every_frame_is_a_drive_of_its_own(frames: list[DrivingFrame]) -> None:
    builder = FrameBuilder(rig_of(frames[0]), OdometryBuffer(tolerance_s=0.1), "drive")
    first, second = (builder.build(set_of(frame), COMMAND) for frame in frames[:2])
    assert first.odometry_problem == "no odometry has come"
    assert first.frame.drive_id != second.frame.drive_id
    np.testing.assert_array_equal(first.frame.T_global_ego, np.eye(4))
    assert first.frame.ego_status is None and first.frame.past_poses == ()


@pytest.mark.parametrize("raw", [False, True])
def test_distortion_is_undone_before_the_driver_sees_the_image(
    frames: list[DrivingFrame], raw_frames: list[DrivingFrame], raw: bool
) -> None:
    frame = (raw_frames if raw else frames)[0]
    rig = rig_of(frame, distortion="undo")
    message = info_message(frame.views["CAM_FRONT"].calibration, Header(frame_id="CAM_FRONT"))
    message.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    rig.add_info("CAM_FRONT", message)
    built = FrameBuilder(rig, odometry_of(frames), "drive").build(set_of(frame, raw=raw), COMMAND)
    view = built.frame.views["CAM_FRONT"]
    source = frame.views["CAM_FRONT"].image
    if not raw:
        source = cv2.imdecode(np.frombuffer(source.data, np.uint8), cv2.IMREAD_COLOR)
        assert view.color == "bgr"
    calibration = frame.views["CAM_FRONT"].calibration
    expected = cv2.undistort(source, calibration.intrinsic, np.array(message.d))
    assert np.abs(view.image.astype(int) - expected).mean() < 0.5
    assert np.abs(view.image.astype(int) - source).mean() > 1.0


def test_quick_faults_need_no_decoding(frames: list[DrivingFrame], raw_frames: list[DrivingFrame]) -> None:
    calibration = frames[0].views["CAM_FRONT"].calibration
    data = frames[0].views["CAM_FRONT"].image.data
    other = cv2.imencode(".jpg", np.zeros((60, 80, 3), np.uint8))[1].tobytes()

    def fault(content: bytes, known: bool = True) -> FaultKind | None:
        message = compressed_message(content, Time(), "cam", "jpeg")
        found = quick_fault("CAM_FRONT", message, calibration if known else None)
        return found.kind if found else None

    assert fault(data) is None and fault(data, known=False) is None and fault(other, known=False) is None
    assert fault(other) is FaultKind.WRONG_SIZE
    assert fault(b"no image") is FaultKind.CORRUPT and fault(b"") is FaultKind.CORRUPT
    assert fault(data[: len(data) // 2]) is FaultKind.CORRUPT
    mosaic = compressed_message(data, Time(), "cam", "bayer_rggb8; jpeg compressed ")
    assert "raw Bayer" in quick_fault("CAM_FRONT", mosaic, calibration).text
    message = image_message(raw_frames[0].views["CAM_FRONT"].image, Time(), "cam")
    assert quick_fault("CAM_FRONT", message, calibration) is None
    message.step = 3
    assert quick_fault("CAM_FRONT", message, calibration).kind is FaultKind.CORRUPT
