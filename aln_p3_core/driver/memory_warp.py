"""Moves the BEV memory of the earlier frame under the current frame.

Ours (`warp_memory`): every current cell centre is taken to the earlier frame by the true relative pose
and read there bilinearly, zeros outside. The released code's (`released_rotation`, `released_shift`): the
memory is turned to the nearest cell about a fixed cell, and the translation is a shift of the reference
points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.deformable_attention import deformable_sampling
from aln_p3_core.driver.portable import is_portable


def cell_centers(rows: int, columns: int, device: torch.device) -> Tensor:
    """[rows * columns, 2] x, y of the cell centres in 0..1."""
    y = torch.linspace(0.5, rows - 0.5, rows, device=device) / rows
    x = torch.linspace(0.5, columns - 0.5, columns, device=device) / columns
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)


def warp_memory(config: DriverConfig, memory_BRSD: Tensor, T_prev_cur_B44: Tensor) -> Tensor:
    """Reads the memory where each current cell was: planar rigid motion, bilinear, zeros outside.

    Args:
        memory_BRSD: BEV map of the earlier frame.
        T_prev_cur_B44: current model frame -> earlier model frame.

    Returns:
        [B, R, S, D] in the current model frame.
    """
    rows, columns = memory_BRSD.shape[1:3]
    transform = T_prev_cur_B44.float()
    low = transform.new_tensor(config.point_cloud_range[:2])
    extent = transform.new_tensor(config.extent)
    centers = cell_centers(rows, columns, memory_BRSD.device) * extent + low
    # Written out, because autocast would round a matrix product of metres to three digits.
    x, y = centers[:, 0, None], centers[:, 1, None]
    then = x * transform[:, None, :2, 0] + y * transform[:, None, :2, 1] + transform[:, None, :2, 3]
    locations = ((then - low) / extent)[:, :, None, None, None]
    ones = torch.ones_like(locations[..., 0])
    warped = deformable_sampling(memory_BRSD.flatten(1, 2)[:, :, None], [(rows, columns)], locations, ones)
    return warped.unflatten(1, (rows, columns))


def released_rotation(memory_BRSD: Tensor, yaw_degrees_B: Tensor, center: tuple[float, float]) -> Tensor:
    """Turns the memory by the yaw change to the nearest cell, zeros outside.

    `center` is (column, row); the released configurations say (100, 100) whatever the grid's size, so on
    a 100 x 100 grid the memory turns about a corner.
    """
    batch, rows, columns, width = memory_BRSD.shape
    device = memory_BRSD.device
    angle = torch.deg2rad(yaw_degrees_B.double())[:, None, None]
    cos, sin = angle.cos(), angle.sin()
    x = (torch.arange(columns, device=device, dtype=torch.float64) + 0.5 - center[0])[None, None, :]
    y = (torch.arange(rows, device=device, dtype=torch.float64) + 0.5 - center[1])[None, :, None]
    column = torch.round(cos * x - sin * y + center[0] - 0.5).long()
    row = torch.round(sin * x + cos * y + center[1] - 0.5).long()
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    source = (row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)).flatten(1)
    turned = memory_BRSD.flatten(1, 2).gather(1, source[..., None].expand(-1, -1, width))
    return (turned * inside.flatten(1)[..., None]).view(batch, rows, columns, width)


def released_shift(config: DriverConfig, can_bus_B18: Tensor) -> Tensor:
    """[B, 2] shift (x, y) in 0..1 of the BEV's size, from the CAN vector's position change and yaw."""
    can_bus = can_bus_B18.double()
    width, depth = config.extent
    if is_portable():
        # The same without angles: graphs have no atan2.
        x, y, sin, cos = can_bus[:, 0], can_bus[:, 1], can_bus[:, -2].sin(), can_bus[:, -2].cos()
        return torch.stack([(sin * x - cos * y) / width, (cos * x + sin * y) / depth], dim=-1).float()
    length = torch.hypot(can_bus[:, 0], can_bus[:, 1])
    direction = can_bus[:, -2] - torch.atan2(can_bus[:, 1], can_bus[:, 0])
    return torch.stack([length * direction.sin() / width, length * direction.cos() / depth], dim=-1).float()
