"""One frame's result as JSON: the plan, what was seen, and a hash of every output tensor."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from aln_p3_core.device import hardware_card
from aln_p3_core.driver.frame_driver import FrameDriver, Inference
from aln_p3_core.driver.io import DEPLOYED_OUTPUTS, DriverOutputs
from aln_p3_core.frame import Command
from aln_p3_core.scene import DrivingScene


def tensor_hashes(outputs: DriverOutputs) -> dict[str, str]:
    """sha256 over name, shape and float32 bytes of every output tensor: equal hashes, equal outputs."""
    hashes = {}
    for name in DEPLOYED_OUTPUTS:
        tensor: torch.Tensor = getattr(outputs, name)
        content = tensor.detach().float().cpu().contiguous()
        header = f"{name}{list(content.shape)}".encode()
        hashes[name] = hashlib.sha256(header + content.numpy().tobytes()).hexdigest()
    return hashes


def plan_report(driver: FrameDriver, inference: Inference, scene: DrivingScene, *, min_score: float) -> dict[str, Any]:
    """JSON-ready dictionary. Positions are metres; `*_model` x right, y forward, `*_ego` x forward, y left."""
    positions_ego, headings = scene.plan_in_ego()
    agents, lines = scene.agents, scene.map_elements
    return {
        "token": scene.token,
        "reference_stamp_ns": scene.reference_stamp_ns,
        "newest_image_stamp_ns": scene.newest_image_stamp_ns,
        "weights": driver.description,
        "checkpoint_hash": driver.checkpoint_hash,
        "recipe": driver.config.name,
        "precision": driver.precision,
        "hardware": hardware_card(driver.device),
        "command": {
            "value": scene.plan.command.command.name.lower(),
            "provenance": scene.plan.command.provenance.value,
        },
        "missing_cameras": list(scene.missing_cameras),
        "history_age_s": scene.history_age_s,
        "memory_reset": scene.memory_reset,
        "guard": scene.guard,
        "plan": {
            "times_s": scene.plan.times_s.tolist(),
            "points_model": _rounded(scene.plan.points_model),
            "points_ego": _rounded(positions_ego[scene.plan.command.command.value]),
            "headings_ego_rad": _rounded(headings[scene.plan.command.command.value]),
            "alternatives_ego": {command.name.lower(): _rounded(positions_ego[command.value]) for command in Command},
        },
        "agents": [
            {
                "class": agents.class_names[agents.class_ids[i]],
                "score": round(float(agents.scores[i]), 4),
                "center_model": _rounded(agents.centers_model[i]),
                "size_lwh": _rounded(agents.sizes_lwh[i]),
                "heading_model_rad": round(float(agents.headings_model[i]), 4),
                "velocity_model": _rounded(agents.velocities_model[i]),
            }
            for i in range(len(agents))
            if agents.scores[i] >= min_score
        ],
        "map": [
            {
                "class": lines.class_names[lines.class_ids[i]],
                "score": round(float(lines.scores[i]), 4),
                "points_model": _rounded(lines.points_model[i]),
            }
            for i in range(len(lines))
            if lines.scores[i] >= min_score
        ],
        "timings_ms": {name: round(value, 3) for name, value in scene.timings_ms.items()},
        "output_hashes": tensor_hashes(inference.outputs),
    }


def _rounded(array: Any) -> Any:
    return (
        [[round(float(v), 4) for v in row] for row in array] if array.ndim == 2 else [round(float(v), 4) for v in array]
    )
