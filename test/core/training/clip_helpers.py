"""Batches of random clips, without any data behind them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from loss_helpers import make_targets

from aln_p3_core.config import DriverConfig
from aln_p3_core.training.batch import ClipFrame, TrainingBatch

sys.path.insert(0, str(Path(__file__).parents[1]))
from network_helpers import planar_motion, ring_of_cameras


def random_batch(config: DriverConfig, samples: int = 2, frames: int = 2, seed: int = 0) -> TrainingBatch:
    """Clips of noise with memory from frame to frame, and random targets."""
    random = np.random.default_rng(seed)
    cameras, image = len(config.cameras), config.image

    def frame(number: int) -> ClipFrame:
        pixels = random.integers(0, 256, (samples, cameras, image.height, image.width, 3), dtype=np.uint8)
        motion = planar_motion(1.0, 0.1) if number else torch.eye(4)
        return ClipFrame(
            pixels_BNHWC=torch.from_numpy(pixels),
            rows_BN=torch.full((samples, cameras), image.height),
            features=None,
            perceived=None,
            model2img_BN44=ring_of_cameras(config).expand(samples, -1, -1, -1).clone(),
            camera_valid_BN=torch.ones(samples, cameras, dtype=torch.bool),
            T_prev_cur_B44=motion.expand(samples, 4, 4).clone(),
            history_valid_B=torch.full((samples,), number > 0),
            can_bus_B18=torch.from_numpy(random.normal(size=(samples, 18))).float(),
            ego_status_B8=torch.from_numpy(random.normal(size=(samples, 8))).float(),
        )

    targets = [make_targets(agents=3, lines=3, seed=seed + i, config=config) for i in range(samples)]
    return TrainingBatch([frame(number) for number in range(frames)], targets)
