"""Clips: a frame to learn from and the earlier frames that build its memory (method: VAD, section 6.1).

Of the `clip_frames - 1 + clip_spares` key frames before a frame, `clip_spares` are left out by lot, so the time
between two frames of a clip varies. Frames before the scene's start do not exist: the clip's first frame is repeated
in their place and nobody remembers the repetitions, so that all clips of a batch are equally long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.memory import can_bus_with_differences
from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import invert_transform
from aln_p3_core.training.augmentation import augmented
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.clip_data import Clip, ClipDraw, ClipImages, collate_clips
from aln_p3_core.training.feature_store import FeatureStore
from aln_p3_core.training.frame_store import FrameStore, StoredFrame
from aln_p3_core.training.perception_store import PerceptionStore
from aln_p3_core.training.settings import AugmentationSettings, DataSettings

if TYPE_CHECKING:
    from aln_p3_core.training.text_data import TextSource

__all__ = ["Clip", "ClipDataset", "ClipDraw", "collate_clips"]


class ClipDataset(Dataset[Clip]):
    """Clips that end at chosen frames of a store. Any process gives the same clip for the same draw."""

    def __init__(
        self,
        store: FrameStore,
        indices: Sequence[int] | NDArray[np.int64],
        config: DriverConfig,
        data: DataSettings,
        augmentation: AugmentationSettings | None = None,
        features: FeatureStore | None = None,
        perceived: PerceptionStore | None = None,
        signals: NDArray[np.int8] | None = None,
        hidden_plans: NDArray[np.bool_] | None = None,
        texts: TextSource | None = None,
    ) -> None:
        """
        Args:
            store: frames.
            indices: of the frames that clips end at, in the store.
            config: recipe.
            data: length of clips and how they are drawn.
            augmentation: what is changed in them; nothing when None.
            features: output of the backbone's frozen part, read instead of pictures.
            perceived: what a frozen perception says about the frames, read instead of pictures; clips then have one
                frame, whose memory was all of its drive.
            signals: `FrameTargets.signal` of every frame of the store (`signal_classes`); unknown when None.
            hidden_plans: of every frame of the store, whether its plan is left out (`hidden_causes`); none when None.
            texts: gives the words that go with a frame; none when None.

        Raises:
            ConfigError: for impossible lengths, or features that shall be mirrored.
        """
        if data.clip_frames < 1 or data.clip_spares < 0:
            raise ConfigError(
                f"data.clip_frames must be at least 1 and data.clip_spares at least 0, got {data.clip_frames} "
                f"and {data.clip_spares}"
            )
        if features is not None and augmentation is not None and augmentation.flip_probability > 0:
            raise ConfigError('augmentation.flip_probability needs pictures: set data.store="pixels" or it to 0')
        self.store = store
        self.indices = np.asarray(indices, dtype=np.int64)
        self.config = config
        self.data = data
        self.augmentation = augmentation
        self.features = features
        self.perceived = perceived
        self.signals = signals
        self.hidden_plans = hidden_plans
        self.texts = texts
        # Frames that the store had to leave out make longer gaps than the lot does: nothing is remembered over them.
        memory = config.memory
        self._longest_gap_ns = round(1e9 * (memory.interval_s * (1 + data.clip_spares) + memory.tolerance_s))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, draw: ClipDraw | int) -> Clip:
        """One clip. A bare position draws with seed 0."""
        draw = draw if isinstance(draw, ClipDraw) else ClipDraw(int(draw))
        random = np.random.default_rng([draw.seed, 0])
        last = int(self.indices[draw.index])
        places = self._places(last, random) if self.perceived is None else [last]
        fresh = bool(random.random() < self.data.fresh_start_probability)
        texts = None if self.texts is None else self.texts.draw(last, draw.seed)
        clip = Clip(self._frames(places, fresh), self._targets(last), texts)
        if self.augmentation is None:
            return clip
        return augmented(clip, self.augmentation, self.config, np.random.default_rng([draw.seed, 1]))

    def _targets(self, index: int) -> FrameTargets:
        targets = self.store.targets(index)
        if self.signals is not None:
            targets = replace(targets, signal=torch.tensor(int(self.signals[index])))
        if self.hidden_plans is not None and self.hidden_plans[index]:
            targets = replace(targets, plan_mask_T=torch.zeros_like(targets.plan_mask_T))
        return targets

    def _places(self, last: int, random: np.random.Generator) -> list[int]:
        """Indices of the clip's frames in the store, oldest first; repeated ones at the front are padding."""
        before = self.data.clip_frames - 1
        kept = np.sort(random.permutation(before + self.data.clip_spares)[:before])
        first = self.store.scene_at(last).first
        places = [int(last - 1 - offset) for offset in kept[::-1]]
        existing = [*(place for place in places if place >= first), last]
        return [existing[0]] * (self.data.clip_frames - len(existing)) + existing

    def _frames(self, places: list[int], fresh: bool) -> list[ClipImages]:
        stored = [self.store.frame(place) for place in places]
        frames = []
        for number, (place, frame) in enumerate(zip(places, stored, strict=True)):
            previous = None if number == 0 or place == places[number - 1] else stored[number - 1]
            if fresh or (previous is not None and frame.stamp_ns - previous.stamp_ns > self._longest_gap_ns):
                previous = None
            frames.append(self._frame(place, frame, previous))
        return frames

    def _frame(self, place: int, frame: StoredFrame, previous: StoredFrame | None) -> ClipImages:
        T_prev_cur = np.eye(4)
        if previous is not None:
            T_prev_cur = invert_transform(previous.T_global_model) @ frame.T_global_model
        read = self.perceived is None
        return ClipImages(
            pixels_NHWC=frame.pixels_NHWC if read and self.features is None else None,
            features=self.features.map_of(*self.store.place(place)) if read and self.features is not None else None,
            perceived=None if self.perceived is None else self.perceived.record(*self.store.place(place)),
            rows_N=frame.rows_N,
            model2img_N44=frame.model2img_N44,
            camera_valid_N=frame.camera_valid_N,
            T_prev_cur=T_prev_cur,
            history_valid=previous is not None,
            can_bus=can_bus_with_differences(frame.can_bus, None if previous is None else previous.can_bus),
            ego_status=frame.ego_status,
        )
