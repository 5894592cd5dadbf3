"""Agents made by hand, for the tests of the guard."""

from __future__ import annotations

import numpy as np

from aln_p3_core.scene import AGENT_CLASSES, Agents

STEP_S = 0.5


def agent(x, y, *, name="car", velocity=(0.0, 0.0), size=(4.5, 1.8), heading=np.pi / 2, score=0.9):
    return {"place": (x, y), "name": name, "velocity": velocity, "size": size, "heading": heading, "score": score}


def agents(*those):
    count = len(those)
    steps = STEP_S * np.arange(1, 7)
    places = np.array([a["place"] for a in those], dtype=np.float32).reshape(count, 2)
    velocity = np.array([a["velocity"] for a in those], dtype=np.float32).reshape(count, 2)
    paths = places[:, None] + steps[:, None] * velocity[:, None]
    return Agents(
        centers_model=np.concatenate([places, np.zeros((count, 1))], axis=1).astype(np.float32),
        sizes_lwh=np.array([(*a["size"], 1.6) for a in those], dtype=np.float32).reshape(count, 3),
        headings_model=np.array([a["heading"] for a in those], dtype=np.float32),
        velocities_model=velocity,
        scores=np.array([a["score"] for a in those], dtype=np.float32),
        class_ids=np.array([AGENT_CLASSES.index(a["name"]) for a in those], dtype=np.int64),
        # The other mode leads elsewhere and is improbable.
        forecasts_model=np.stack([paths, paths + 50], axis=1).astype(np.float32),
        forecast_probabilities=np.tile([0.8, 0.2], (count, 1)).astype(np.float32),
        query_ids=np.arange(count),
    )
