"""Images of a frame to network input: pixels, geometry, and everything that can be wrong with an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aln_p3_core.config import ImageConfig, get_recipe
from aln_p3_core.errors import ImageError, InvalidFrameError
from aln_p3_core.frame import CameraCalibration, CameraView, DrivingFrame, EgoStatus, EncodedImage
from aln_p3_core.geometry import FloatArray, make_transform, project_points, transform_points, virtual_T_ego_model
from aln_p3_core.preprocess import ImagePreprocessor, can_bus_vector

FORWARD_CAMERA = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # camera axes as columns in the ego frame


def picture(width: int, height: int) -> np.ndarray:
    """A smooth BGR picture, so that resampling methods agree, with three different channels."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [128 + 100 * np.sin(u / width * 9), 255 * v / height, 255 * u / width]
    return np.stack(planes, axis=-1).astype(np.uint8)


def jpeg(bgr: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def make_view(image: object, width: int, height: int, color: str = "rgb") -> CameraView:
    intrinsic = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]])
    calibration = CameraCalibration(intrinsic, make_transform(FORWARD_CAMERA, [1.5, 0, 1.5]), width, height)
    return CameraView(image, 1_000, calibration, np.eye(4), color)


def make_frame(views: dict[str, CameraView], cameras: tuple[str, ...] = ("A",), **kwargs: object) -> DrivingFrame:
    values = {"reference_stamp_ns": 1_000, "T_global_ego": np.eye(4), "T_ego_model": virtual_T_ego_model(), **kwargs}
    return DrivingFrame(cameras=cameras, views=views, **values)


def prepare(view: CameraView, config: ImageConfig | None = None):
    return ImagePreprocessor(config or ImageConfig(), threads=1).prepare(make_frame({"A": view}), ("A",))


@pytest.mark.parametrize(
    ("width", "height"),
    [(1600, 900), (1600, 1005), (1605, 900), (1920, 1208), (640, 480), (320, 180), (384, 224), (1279, 719)],
)
def test_all_kinds_of_input_give_the_same_pixels(width: int, height: int) -> None:
    bgr = picture(width, height)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    from_jpeg = prepare(make_view(EncodedImage(jpeg(bgr)), width, height))
    from_png = prepare(make_view(EncodedImage(cv2.imencode(".png", bgr)[1].tobytes()), width, height))
    from_rgb = prepare(make_view(rgb, width, height))
    from_bgr = prepare(make_view(bgr, width, height, "bgr"))
    as_bgr = prepare(make_view(rgb, width, height), ImageConfig(color="bgr", mean=(103.53, 116.28, 123.675)))
    np.testing.assert_array_equal(from_rgb.images_NHWC, from_bgr.images_NHWC)
    np.testing.assert_array_equal(from_rgb.images_NHWC, from_png.images_NHWC)
    np.testing.assert_array_equal(from_rgb.images_NHWC, as_bgr.images_NHWC[..., ::-1])
    difference = np.abs(from_rgb.images_NHWC.astype(int) - from_jpeg.images_NHWC)
    assert difference.mean() < 1.5 and difference.max() < 25


@pytest.mark.parametrize(("width", "height"), [(1600, 900), (1600, 1005), (1605, 1003), (1920, 1208), (320, 180)])
@pytest.mark.parametrize("recipe", ["nano", "tiny", "base"])
def test_pixels_lie_where_model2img_says(width: int, height: int, recipe: str) -> None:
    # The green channel of the picture is its own row and the red one its column: a pixel's colour tells where
    # in the full image it came from.
    config = get_recipe(recipe).image
    prepared = prepare(make_view(picture(width, height), width, height, "bgr"), config)
    scale = config.width / width
    cut = max(0, round(height * scale) - config.height)
    rows = min(config.height, round(height * scale) - cut)
    red, green = (0, 1) if config.color == "rgb" else (2, 1)
    image = prepared.images_NHWC[0].astype(np.float64)
    v, u = np.mgrid[0:rows, 0 : config.width]
    inner = (slice(2, rows - 2), slice(2, config.width - 2))
    tolerance = 1.01 + 1.5 * 255 / min(width, height)
    assert np.abs(image[:rows, :, green] - 255 * ((v + cut) / scale) / height)[inner].max() < tolerance + 1 / scale
    assert np.abs(image[:rows, :, red] - 255 * (u / scale) / width)[inner].max() < tolerance + 1 / scale
    assert (image[rows:] == np.round(config.mean)).all()


def test_model2img_scales_and_cuts_full_size_pixels() -> None:
    view = make_view(picture(1600, 1005), 1600, 1005, "bgr")
    frame = make_frame({"A": view})
    prepared = ImagePreprocessor(ImageConfig(), threads=1).prepare(frame, ("A",))
    points = np.array([[0.0, 10, 0], [3, 20, 1], [-4, 8, -1]])
    full, _ = project_points(transform_points(frame.T_cam_model("A"), points), view.calibration.intrinsic)
    homogeneous = np.c_[points, np.ones(3)] @ prepared.model2img_N44[0].T
    cut = round(1005 * 0.24) - 224
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:3], full * 0.24 - [0, cut], atol=1e-9)


def test_a_lost_camera_is_masked_and_never_black() -> None:
    view = make_view(EncodedImage(jpeg(picture(1600, 900))), 1600, 900)
    prepared = ImagePreprocessor(ImageConfig()).prepare(make_frame({"A": view}, ("A", "B")), ("B", "A"))
    assert prepared.valid_N.tolist() == [False, True]
    assert (prepared.images_NHWC[0] == [124, 116, 104]).all()
    assert not prepared.model2img_N44[0].any() and prepared.model2img_N44[1].any()
    assert set(prepared.timings_ms) == {"decode", "resize"}


def test_a_camera_that_the_rig_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidFrameError, match=r"no camera \['C'\]"):
        ImagePreprocessor(ImageConfig()).prepare(make_frame({}), ("C",))


def test_it_writes_into_a_given_buffer_and_refuses_a_wrong_one() -> None:
    frame = make_frame({"A": make_view(picture(1600, 900), 1600, 900)})
    buffer = np.zeros((1, 224, 384, 3), np.uint8)
    prepared = ImagePreprocessor(ImageConfig()).prepare(frame, ("A",), out=buffer)
    assert prepared.images_NHWC is buffer and buffer.any()
    with pytest.raises(ValueError, match="contiguous"):
        ImagePreprocessor(ImageConfig()).prepare(frame, ("A",), out=buffer[:, :, ::2])


GOOD = jpeg(picture(1600, 900))
GOOD_PNG = cv2.imencode(".png", picture(1600, 900))[1].tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "neither a JPEG nor a PNG"),
        (GOOD[: len(GOOD) // 2], "truncated"),
        (GOOD[:-2], "truncated"),
        (GOOD[:-8000] + bytes(8000), "truncated"),
        (GOOD_PNG[: len(GOOD_PNG) // 2], "truncated"),
        (GOOD[:30], "header is damaged"),
        (GOOD[:700] + GOOD[-2:], "could not be decoded"),
        (GOOD[:20000] + GOOD[-2:], "could not be decoded"),
        (jpeg(picture(1599, 900)), "has 1599x900 pixels, its calibration speaks of 1600x900"),
        (jpeg(picture(800, 450)), "has 800x450"),
        (cv2.imencode(".png", picture(1600, 901))[1].tobytes(), "has 1600x901"),
    ],
)
def test_a_bad_image_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as error:
        prepare(make_view(EncodedImage(data, "front.jpg"), 1600, 900))
    assert "front.jpg" in str(error.value)


def test_memoryviews_and_padding_behind_the_end_marker_are_fine() -> None:
    expected = prepare(make_view(EncodedImage(GOOD), 1600, 900)).images_NHWC
    padded = prepare(make_view(EncodedImage(memoryview(GOOD + bytes(64))), 1600, 900)).images_NHWC
    np.testing.assert_array_equal(padded, expected)


def test_can_bus_vector_has_vads_layout() -> None:
    half = np.radians(-30) / 2
    pose = make_transform([-np.cos(half), 0, 0, -np.sin(half)], [10, 20, 0.5])
    status = EgoStatus(np.array([5.0, 0.1, 0.0]), np.array([0.3, 0.2, 9.8]), np.array([0.01, 0.02, 0.03]), "can_bus")
    vector = can_bus_vector(make_frame({}, T_global_ego=pose, ego_status=status))
    np.testing.assert_allclose(vector[:7], [10, 20, 0.5, np.cos(half), 0, 0, np.sin(half)], atol=1e-12)
    np.testing.assert_allclose(vector[7:16], [0.3, 0.2, 9.8, 0.01, 0.02, 0.03, 5, 0.1, 0])
    np.testing.assert_allclose(vector[16:], [np.radians(330), 330])
    assert not can_bus_vector(make_frame({}, T_global_ego=pose))[7:16].any()


def test_the_can_vector_of_every_source_fits_what_was_learnt_from_the_can_bus() -> None:
    level, tilt = np.eye(4), np.radians(5)
    uphill = make_transform([np.cos(tilt / 2), 0, -np.sin(tilt / 2), 0], [0, 0, 0])

    def measured(source: str, pose: FloatArray = level) -> FloatArray:
        status = EgoStatus(np.array([5.0, 0, 0]), np.array([0.3, 0.2, 0.0]), np.array([0, 0, 0.1]), source)
        return can_bus_vector(make_frame({}, T_global_ego=pose, ego_status=status))[7:16]

    assert not measured("poses").any(), "as VAD's scenes without CAN bus"
    np.testing.assert_allclose(measured("can_bus"), [0.3, 0.2, 0, 0, 0, 0.1, 5, 0, 0])
    np.testing.assert_allclose(measured("odometry"), [0.3, 0.2, 9.81, 0, 0, 0.1, 5, 0, 0])
    felt = measured("odometry", uphill)[:3]
    np.testing.assert_allclose(felt, [0.3 + 9.81 * np.sin(tilt), 0.2, 9.81 * np.cos(tilt)], atol=1e-9)
