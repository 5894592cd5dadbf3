"""A clip before it is put into a batch: plain NumPy arrays, pictures still views of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.batch import ClipFrame, FrameTargets, TrainingBatch
from aln_p3_core.training.frame_texts import FrameTexts
from aln_p3_core.training.perceived import stacked


@dataclass(frozen=True, slots=True)
class ClipDraw:
    """What to read: position in the data set, and the seed of everything that is left to chance in it."""

    index: int
    seed: int = 0


@dataclass(slots=True, eq=False)
class ClipImages:
    """One frame of one clip; fields as in `ClipFrame` without the batch.

    `pixels_NHWC`, `features` (float16 [N, C, h, w]) and `perceived` (a record of `perceived_dtype`) may be views of the
    store: whoever changes them makes a copy.
    """

    pixels_NHWC: NDArray[np.uint8] | None
    features: NDArray[np.float16] | None
    perceived: NDArray[np.void] | None
    rows_N: NDArray[np.int32]
    model2img_N44: NDArray[np.float32]
    camera_valid_N: NDArray[np.bool_]
    T_prev_cur: FloatArray
    history_valid: bool
    can_bus: FloatArray
    ego_status: FloatArray


@dataclass(slots=True, eq=False)
class Clip:
    """Frames, oldest first, and the ground truth of the last one; its texts in trainings with an explainer."""

    frames: list[ClipImages]
    targets: FrameTargets
    texts: FrameTexts | None = None


def collate_clips(clips: Sequence[Clip]) -> TrainingBatch:
    """A batch of clips of equal length; pictures and features are copied here for the first time."""
    frames = [_collated([clip.frames[step] for clip in clips]) for step in range(len(clips[0].frames))]
    texts = [clip.texts for clip in clips if clip.texts is not None]
    return TrainingBatch(frames, [clip.targets for clip in clips], texts)


def _collated(frames: Sequence[ClipImages]) -> ClipFrame:
    pixels = [frame.pixels_NHWC for frame in frames if frame.pixels_NHWC is not None]
    features = [frame.features for frame in frames if frame.features is not None]
    perceived = [frame.perceived for frame in frames if frame.perceived is not None]
    return ClipFrame(
        pixels_BNHWC=_stacked(pixels) if pixels else None,
        rows_BN=_stacked([frame.rows_N for frame in frames]).long(),
        features=_stacked(features).flatten(0, 1) if features else None,
        perceived=stacked(perceived) if perceived else None,
        model2img_BN44=_stacked([frame.model2img_N44 for frame in frames]),
        camera_valid_BN=_stacked([frame.camera_valid_N for frame in frames]),
        T_prev_cur_B44=_stacked([frame.T_prev_cur for frame in frames]).float(),
        history_valid_B=torch.tensor([frame.history_valid for frame in frames]),
        can_bus_B18=_stacked([frame.can_bus for frame in frames]).float(),
        ego_status_B8=_stacked([frame.ego_status for frame in frames]).float(),
    )


def _stacked(arrays: Sequence[NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
