"""Pictures of what the network sees and plans on a few validation frames, in the course of a training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.scene_builder import build_scene
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.training_data import TrainingData
from aln_p3_core.training.validation import predict

_SAMPLES = 4


def sample_places(data: TrainingData) -> list[int]:
    """Positions in `data.validation` of the frames that are looked at."""
    places = np.unique(np.linspace(0, len(data.chosen) - 1, _SAMPLES + 2).astype(int)[1:-1])
    return [data.chosen[place] for place in places]


def draw_samples(network: DriverNetwork, data: TrainingData, folder: Path, step: int) -> list[Path]:
    """Draws some validation frames with prediction and truth, `step_00000400_0.png` and so on."""
    from aln_p3_core.drawing.overview import draw_overview

    clips = data.validation
    if clips is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    device = next(network.parameters()).device
    drawn = []
    for number, place in enumerate(sample_places(data)):
        batch = collate_clips([clips[place]]).to(device)
        token = batch.targets[0].token
        dataset = next(dataset for dataset in data.datasets if token in dataset.tokens)
        frame = dataset.frame(token)
        scene = build_scene(network.config, predict(network, batch), frame)
        picture = draw_overview(frame, scene, dataset.targets(token), banner=f"step {step}")
        path = folder / f"step_{step:08d}_{number}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        drawn.append(path)
    return drawn
