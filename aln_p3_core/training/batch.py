"""What one training step reads: clips of frames, and what the driver should say about the last frame of each.

Suffixes as in aln_p3_core/driver/io.py, and A ground-truth agents, G ground-truth map lines, O equivalent orders
of a line's points.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from aln_p3_core.training.frame_texts import FrameTexts


@dataclass(slots=True)
class FrameTargets:
    """Ground truth of one frame in the network's own codes, model frame.

    Attributes:
        token: of the sample.
        agent_boxes_A10: cx, cy, log w, log l, cz, log h, sin, cos, vx, vy: as `DriverOutputs.agent_boxes_LBQ10`
            (gravity centre, metres; sin and cos of the released yaw -heading - pi/2; m/s, zero where unknown).
        agent_velocity_valid_A: bool, the velocity is known.
        agent_classes_A: int64, index into the recipe's agent classes.
        agent_offsets_AT2: per-step offsets of the future, m; zero where masked.
        agent_future_mask_AT: bool.
        map_classes_G: int64, index into the recipe's map classes.
        map_orders_GOP2: points in 0..1 over the perception range (x, y) in every equivalent order.
        map_order_mask_GO: bool, which orders exist; padded ones hold zeros. The first one always exists.
        plan_offsets_T2: per-step offsets of the ego's future, m; zero where masked.
        plan_mask_T: bool.
        command: int64 scalar, 0 right, 1 left, 2 straight.
        weight: float scalar, how much this sample's plan counts (class balance); 1 by default.
        signal: int64 scalar, the traffic light that counts for the ego: -1 unknown, 0 none ahead or off, 1 red,
            2 yellow, 3 green (`training.signal_classes`).
    """

    token: str
    agent_boxes_A10: Tensor
    agent_velocity_valid_A: Tensor
    agent_classes_A: Tensor
    agent_offsets_AT2: Tensor
    agent_future_mask_AT: Tensor
    map_classes_G: Tensor
    map_orders_GOP2: Tensor
    map_order_mask_GO: Tensor
    plan_offsets_T2: Tensor
    plan_mask_T: Tensor
    command: Tensor
    weight: Tensor
    signal: Tensor = field(default_factory=lambda: torch.tensor(-1))

    def to(self, device: torch.device | str) -> FrameTargets:
        """The same on another device."""
        return replace(self, **_moved(self, device))


@dataclass(slots=True)
class ClipFrame:
    """One frame of every clip in the batch.

    Exactly one of `pixels_BNHWC`, `features` and `perceived` is given.

    Attributes:
        pixels_BNHWC: uint8, prepared pixels in the recipe's colour order, not normalised.
        rows_BN: int64, rows from the top that hold the picture; what lies below is padding (zero once normalised).
        features: output [B * N, C, h, w] of the backbone's frozen part, `DriverNetwork.image_prefix`, computed before.
        perceived: by field, what a frozen perception says about the frame (training/perceived.py).
        model2img_BN44: float32, as `DriverInputs`.
        camera_valid_BN: bool.
        T_prev_cur_B44: float32, model frame of this frame -> that of the clip's frame before it; identity where
            there is none.
        history_valid_B: bool, False where the driver starts afresh at this frame.
        can_bus_B18: float32, with differences to the clip's frame before it.
        ego_status_B8: float32, as `DriverInputs`.
    """

    pixels_BNHWC: Tensor | None
    rows_BN: Tensor
    features: Tensor | None
    perceived: dict[str, Tensor] | None
    model2img_BN44: Tensor
    camera_valid_BN: Tensor
    T_prev_cur_B44: Tensor
    history_valid_B: Tensor
    can_bus_B18: Tensor
    ego_status_B8: Tensor

    def to(self, device: torch.device | str) -> ClipFrame:
        """The same on another device."""
        return replace(self, **_moved(self, device))


@dataclass(slots=True)
class TrainingBatch:
    """Clips of equal length, oldest frame first; `targets[b]` belongs to the last frame of clip b, and so do `texts[b]`
    in trainings with an explainer."""

    clip: list[ClipFrame]
    targets: list[FrameTargets]
    texts: list[FrameTexts] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device | str) -> TrainingBatch:
        """The same on another device."""
        clip, targets = [frame.to(device) for frame in self.clip], [target.to(device) for target in self.targets]
        return TrainingBatch(clip, targets, self.texts)


def _moved(item: Any, device: torch.device | str) -> dict[str, Any]:
    moved: dict[str, Any] = {}
    for entry in fields(item):
        value = getattr(item, entry.name)
        if isinstance(value, Tensor):
            moved[entry.name] = value.to(device, non_blocking=True)
        elif isinstance(value, dict):
            moved[entry.name] = {name: tensor.to(device, non_blocking=True) for name, tensor in value.items()}
    return moved
