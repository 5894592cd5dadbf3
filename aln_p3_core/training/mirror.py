"""The mirror image of a clip: what was right is left, in pictures, geometry, ego motion and ground truth alike.

The model frame's x axis (to the right) changes its sign. A picture is turned about its middle column, u' = W - u in
the continuous pixel coordinates that the network reads (a picture spans 0..W), and goes to the camera of the other
side.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import Command
from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.clip_data import Clip, ClipImages

_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
# The CAN vector (`preprocess.can_bus_vector`) seen in a mirror that stands along the global frame's x axis and, for
# what is measured in the vehicle, along its length: y changes its sign, and so do turns about x and z.
_CAN_BUS_SIGNS = np.array([1, -1, 1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, 1, -1], dtype=np.float64)
_YAW = 16
# velocity x, velocity y, yaw rate, and what has no side (`DriverInputs.ego_status_B8`).
_EGO_STATUS_SIGNS = np.array([1, -1, -1, 1, 1, 1, 1, 1], dtype=np.float64)
_COMMANDS = {Command.LEFT.value: Command.RIGHT.value, Command.RIGHT.value: Command.LEFT.value}


def mirrored(clip: Clip, config: DriverConfig) -> Clip:
    """The clip in the mirror.

    Raises:
        ConfigError: when the recipe's cameras or range have no mirror image, or the clip holds features.
    """
    slots = mirrored_slots(config.cameras)
    low, high = config.point_cloud_range[0], config.point_cloud_range[3]
    if low != -high:
        raise ConfigError(f"point_cloud_range reaches from x = {low} to {high}: it cannot be mirrored (flip)")
    return Clip([_mirrored_frame(frame, slots) for frame in clip.frames], mirrored_targets(clip.targets))


def mirrored_slots(cameras: tuple[str, ...]) -> list[int]:
    """For every camera, the one whose mirrored picture takes its place: LEFT and RIGHT in the names swap.

    Raises:
        ConfigError: when a camera's counterpart is missing.
    """
    sides = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
    partners = ["_".join(sides.get(part, part) for part in name.split("_")) for name in cameras]
    lonely = [name for name, partner in zip(cameras, partners, strict=True) if partner not in cameras]
    if lonely:
        raise ConfigError(f"cameras {lonely} have no counterpart on the other side: scenes cannot be mirrored (flip)")
    return [cameras.index(partner) for partner in partners]


def mirrored_targets(targets: FrameTargets) -> FrameTargets:
    """Ground truth in the mirror. Outlines are walked backwards, so that they keep their turning sense."""
    side = torch.tensor([-1.0, 1.0])
    # cx, sin of the released yaw, and vx change their sign.
    box = torch.tensor([-1.0, 1, 1, 1, 1, 1, -1, 1, -1, 1])
    orders = targets.map_orders_GOP2.flip(2)
    orders = torch.stack([1 - orders[..., 0], orders[..., 1]], dim=-1) * targets.map_order_mask_GO[..., None, None]
    command = int(targets.command)
    return replace(
        targets,
        agent_boxes_A10=targets.agent_boxes_A10 * box,
        agent_offsets_AT2=targets.agent_offsets_AT2 * side,
        map_orders_GOP2=orders,
        plan_offsets_T2=targets.plan_offsets_T2 * side,
        command=torch.tensor(_COMMANDS.get(command, command)),
    )


def _mirrored_frame(frame: ClipImages, slots: list[int]) -> ClipImages:
    if frame.pixels_NHWC is None:
        raise ConfigError('features cannot be mirrored: use data.store="pixels", or no flip')
    width = frame.pixels_NHWC.shape[2]
    return replace(
        frame,
        pixels_NHWC=_mirrored_pixels(frame.pixels_NHWC, slots),
        rows_N=frame.rows_N[slots],
        model2img_N44=_mirrored_projection(frame.model2img_N44[slots], width),
        camera_valid_N=frame.camera_valid_N[slots],
        T_prev_cur=_MIRROR @ frame.T_prev_cur @ _MIRROR,
        can_bus=_mirrored_can_bus(frame.can_bus),
        ego_status=frame.ego_status * _EGO_STATUS_SIGNS,
    )


def _mirrored_pixels(pixels_NHWC: NDArray[np.uint8], slots: list[int]) -> NDArray[np.uint8]:
    result = np.empty_like(pixels_NHWC)
    for target, source in enumerate(slots):
        cv2.flip(pixels_NHWC[source], 1, dst=result[target])
    return result


def _mirrored_projection(model2img_N44: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    result = model2img_N44.astype(np.float64)
    result[:, 0] = width * result[:, 2] - result[:, 0]
    return (result @ _MIRROR).astype(np.float32)


def _mirrored_can_bus(can_bus: FloatArray) -> FloatArray:
    result = can_bus * _CAN_BUS_SIGNS
    result[_YAW] = -can_bus[_YAW] % (2 * np.pi)
    return result
