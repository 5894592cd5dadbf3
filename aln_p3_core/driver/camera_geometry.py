"""Which BEV cells each camera sees, and where: everything that depends on the calibration alone.

Every BEV cell stands for a pillar of a few heights. A cell is visible to a camera when any of its pillar
points projects into the image; only visible (camera, cell) pairs are ever computed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.tap import is_recording, tap

#: Depth (metres) below which a point counts as behind the camera, as in the released code.
MIN_DEPTH = 1e-5
_CACHED_CALIBRATIONS = 4


@dataclass(slots=True)
class CameraGeometry:
    """Visible (camera, cell) pairs of one batch. K pairs, Z pillar heights, C = batch x cells.

    Attributes:
        points_KZ2: x, y in 0..1 over the padded image of every pillar point.
        cell_K: row of the cell, batch * cells + cell.
        group_K: row of the camera, batch * cameras + camera. Pairs are sorted by it.
        pairs_of_cell_CM: pairs of every cell; unused places hold 0.
        share_CM: 1 / number of cameras that see the cell; 0 at unused places.
        padded_GL: the pairs of every camera, padded with pair 0 to the longest list.
        slot_K: where a pair lies in `padded_GL`, flattened.
    """

    points_KZ2: Tensor
    cell_K: Tensor
    group_K: Tensor
    pairs_of_cell_CM: Tensor
    share_CM: Tensor
    padded_GL: Tensor
    slot_K: Tensor


def pillar_points(config: DriverConfig, device: torch.device) -> Tensor:
    """[Z, cells, 3] pillar points in 0..1 over the perception range, cells row by row."""
    rows, columns, heights = config.bev.rows, config.bev.columns, config.bev.pillar_heights
    depth = config.point_cloud_range[5] - config.point_cloud_range[2]
    z = torch.linspace(0.5, depth - 0.5, heights, device=device) / depth
    x = torch.linspace(0.5, columns - 0.5, columns, device=device) / columns
    y = torch.linspace(0.5, rows - 0.5, rows, device=device) / rows
    grid_z, grid_y, grid_x = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack([grid_x, grid_y, grid_z], dim=-1).flatten(1, 2)


def project_pillars(config: DriverConfig, model2img_BN44: Tensor, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Projects all pillar points into all cameras.

    Returns:
        Points [B, N, cells, Z, 2] in 0..1 over the image (height, width = `image_size`), which mean
        something only where the second value, a bool [B, N, cells, Z], says that the point is visible.
    """
    unit = pillar_points(config, model2img_BN44.device)
    tap("bev_encoder.pillar_points", unit)
    low = unit.new_tensor(config.point_cloud_range[:3])
    size = unit.new_tensor(config.point_cloud_range[3:]) - low
    metres = torch.cat([unit * size + low, torch.ones_like(unit[..., :1])], dim=-1)
    projected = torch.einsum("bnij,zcj->bnczi", model2img_BN44.float()[..., :3, :], metres)
    depth = projected[..., 2:3]
    height, width = image_size
    points = projected[..., :2] / depth.clamp(min=MIN_DEPTH) / unit.new_tensor([width, height])
    inside = ((points > 0) & (points < 1)).all(-1)
    return points, inside & (depth[..., 0] > MIN_DEPTH)


def camera_geometry(
    config: DriverConfig, model2img_BN44: Tensor, camera_valid_BN: Tensor, image_size: tuple[int, int]
) -> CameraGeometry:
    """Builds the lists of visible pairs. A lost camera (`camera_valid` False) sees nothing."""
    points, inside = project_pillars(config, model2img_BN44, image_size)
    tap("bev_encoder.camera_points", points)
    tap("bev_encoder.camera_mask", inside)
    batch, cameras, cells = inside.shape[:3]
    device = inside.device
    visible = inside.any(-1) & camera_valid_BN[:, :, None]
    b, n, cell = visible.nonzero(as_tuple=True)
    pairs = len(cell)
    cell_K, group_K = b * cells + cell, b * cameras + n

    seen_by = visible.sum(1)
    most = max(int(seen_by.max()), 1)
    rank_K = (visible.cumsum(1) - 1)[b, n, cell]
    pairs_of_cell = torch.zeros(batch * cells, most, dtype=torch.long, device=device)
    share = torch.zeros(batch * cells, most, device=device)
    pairs_of_cell[cell_K, rank_K] = torch.arange(pairs, device=device)
    share[cell_K, rank_K] = 1.0 / seen_by.flatten()[cell_K]

    counts = visible.sum(-1).flatten()
    longest = max(int(counts.max()), 1)
    starts = counts.cumsum(0) - counts
    slot_K = group_K * longest + torch.arange(pairs, device=device) - starts[group_K]
    padded = torch.zeros(batch * cameras * longest, dtype=torch.long, device=device)
    padded[slot_K] = torch.arange(pairs, device=device)
    return CameraGeometry(
        points[b, n, cell], cell_K, group_K, pairs_of_cell, share, padded.view(batch * cameras, longest), slot_K
    )


def static_geometry(
    config: DriverConfig,
    model2img_BN44: Tensor,
    camera_valid_BN: Tensor,
    image_size: tuple[int, int],
    cameras_per_cell: int,
) -> tuple[CameraGeometry, Tensor]:
    """`camera_geometry` with shapes that do not depend on the calibration, for exported graphs.

    Every cell has `cameras_per_cell` pairs, in the order of the cameras; one that no camera fills has share 0.
    Where more cameras see a cell, those after them are left out and the mean is taken over the others.

    Returns:
        The geometry (`padded_GL` and `slot_K` are empty: nothing portable reads them), and how many pairs of each
        sample were left out (int64 [B]): with 0 the result is that of `camera_geometry`.
    """
    points, inside = project_pillars(config, model2img_BN44, image_size)
    batch, cameras, cells = inside.shape[:3]
    device = inside.device
    visible_BCN = (inside.any(-1) & camera_valid_BN[:, :, None]).transpose(1, 2)
    rank_BCN = visible_BCN.long().cumsum(-1) - 1
    place_M = torch.arange(cameras_per_cell, device=device)
    filled_BCMN = visible_BCN[:, :, None] & (rank_BCN[:, :, None] == place_M[:, None])
    used_BCM = filled_BCMN.any(-1)
    camera_BCM = (filled_BCMN * torch.arange(cameras, device=device)).sum(-1)
    group_BCM = camera_BCM + (torch.arange(batch, device=device) * cameras)[:, None, None]
    cell = torch.arange(batch * cells, device=device)
    row_BCM = group_BCM * cells + torch.arange(cells, device=device)[:, None]
    # Chosen, not multiplied: a lost camera's points may be anything.
    points_BCMZ2 = torch.where(used_BCM[..., None, None], points.flatten(0, 2)[row_BCM], 0.0)
    taken_BC = used_BCM.sum(-1)
    share_BCM = used_BCM / taken_BC.clamp(min=1)[..., None]
    pairs = torch.arange(batch * cells * cameras_per_cell, device=device).view(-1, cameras_per_cell)
    empty = torch.zeros(0, dtype=torch.long, device=device)
    geometry = CameraGeometry(
        points_BCMZ2.flatten(0, 2),
        cell.repeat_interleave(cameras_per_cell),
        group_BCM.flatten(),
        pairs,
        share_BCM.flatten(0, 1),
        empty,
        empty,
    )
    return geometry, (visible_BCN.sum(-1) - taken_BC).sum(-1)


class GeometryCache:
    """Keeps the geometry of the last few calibrations, found by their exact values."""

    def __init__(self, config: DriverConfig) -> None:
        self._config = config
        self._entries: OrderedDict[Sequence[object], CameraGeometry] = OrderedDict()

    def get(self, model2img_BN44: Tensor, camera_valid_BN: Tensor, image_size: tuple[int, int]) -> CameraGeometry:
        """The geometry of this calibration, computed at most once while it stays in use."""
        key = (
            model2img_BN44.shape,
            model2img_BN44.device,
            image_size,
            model2img_BN44.float().cpu().numpy().tobytes(),
            camera_valid_BN.cpu().numpy().tobytes(),
        )
        if key in self._entries and not is_recording():
            self._entries.move_to_end(key)
        else:
            # Kept tensors must serve training too, whatever mode this first call is made in.
            with (
                torch.inference_mode(False),
                torch.no_grad(),
                torch.autocast(model2img_BN44.device.type, enabled=False),
            ):
                self._entries[key] = camera_geometry(self._config, model2img_BN44, camera_valid_BN, image_size)
            if len(self._entries) > _CACHED_CALIBRATIONS:
                self._entries.popitem(last=False)
        return self._entries[key]
