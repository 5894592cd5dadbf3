"""A small driver and inputs for it."""

from __future__ import annotations

import math

import numpy as np
import torch

from aln_p3_core.config import DriverConfig, get_recipe, with_overrides
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.geometry import invert_transform, make_transform

SMALL = {
    "image.height": 64,
    "image.width": 96,
    "backbone.pretrained": False,
    "embed_dims": 32,
    "heads": 4,
    "ffn_dims": 48,
    "bev.rows": 16,
    "bev.columns": 8,
    "agents.queries": 12,
    "map.instances": 6,
    "map.points_per_line": 5,
    "map.lane_hidden": 16,
    "planner.bev_grid": 4,
    "planner.bev_read": 2,
    # Untrained lines are all improbable; keep them, so that agents have a map to read.
    "map.score_threshold": 0.0,
}


def small_config(**overrides: object) -> DriverConfig:
    """The recipe nano at a fraction of its size; override keys use two underscores for the dot."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return with_overrides(get_recipe("nano"), SMALL | changes)


def small_network(config: DriverConfig, seed: int = 0) -> DriverNetwork:
    torch.manual_seed(seed)
    network = DriverNetwork(config)
    # Attention that starts out the same for every query would hide mistakes.
    for name, parameter in network.named_parameters():
        if name.endswith(("offsets.weight", "weights.weight")):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def ring_of_cameras(config: DriverConfig) -> torch.Tensor:
    """[N, 4, 4] projections of cameras that look around in equal steps, the first one forward."""
    projections = []
    count = len(config.cameras)
    focal = 0.55 * config.image.width
    intrinsic = np.eye(4)
    intrinsic[0, 0] = intrinsic[1, 1] = focal
    intrinsic[:2, 2] = config.image.width / 2, config.image.height / 2
    for i in range(count):
        yaw = math.pi / 2 - 2 * math.pi * i / count
        forward = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        down = np.array([0.0, 0.0, -1.0])
        right = np.cross(down, forward)
        T_model_cam = make_transform(np.stack([right, down, forward], axis=1), forward * 0.5)
        projections.append(intrinsic @ invert_transform(T_model_cam))
    return torch.from_numpy(np.stack(projections)).float()


def planar_motion(forward_m: float, left_yaw_rad: float) -> torch.Tensor:
    """T_prev_cur [4, 4] of a car that drove forward (along y), then turned left."""
    cos, sin = math.cos(left_yaw_rad), math.sin(left_yaw_rad)
    T = torch.eye(4)
    T[:2, :2] = torch.tensor([[cos, -sin], [sin, cos]])
    T[1, 3] = forward_m
    return T


def small_inputs(config: DriverConfig, batch: int = 1, seed: int = 0, history: bool = True) -> DriverInputs:
    """Random images; with history also a random memory and a motion of its own for every sample."""
    generator = torch.Generator().manual_seed(seed)
    cameras = len(config.cameras)
    shape = (batch, cameras, 3, config.image.height, config.image.width)
    memory = torch.randn(batch, config.bev.rows, config.bev.columns, config.embed_dims, generator=generator)
    motion = torch.stack([planar_motion(1.0 + i, 0.1 * (i + 1)) for i in range(batch)])
    jitter = torch.randn(batch, cameras, 4, 4, generator=generator) * 1e-3
    return DriverInputs(
        images_BNCHW=torch.randn(shape, generator=generator),
        model2img_BN44=ring_of_cameras(config).expand(batch, -1, -1, -1) + jitter,
        camera_valid_BN=torch.ones(batch, cameras, dtype=torch.bool),
        prev_bev_BRSD=memory if history else None,
        T_prev_cur_B44=motion if history else None,
        can_bus_B18=torch.randn(batch, 18, generator=generator),
        ego_status_B8=torch.randn(batch, 8, generator=generator),
    )


def sample_of(inputs: DriverInputs, index: int) -> DriverInputs:
    """One sample of a batch."""
    values = {name: getattr(inputs, name) for name in DriverInputs.__slots__}
    return DriverInputs(**{name: None if v is None else v[index : index + 1] for name, v in values.items()})
