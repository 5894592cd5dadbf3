"""Dense maps: what is drawn, and what the head learns from it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import shapely
import torch
from loss_helpers import CONFIG, make_targets
from torch import Tensor

from aln_p3_core.config import with_overrides
from aln_p3_core.training.losses.bev_raster import BevRasterHead, bev_raster_loss, raster_targets
from aln_p3_core.training.padded_targets import PaddedTargets, pad_targets
from aln_p3_core.training.settings import LossSettings

ROWS, COLUMNS = 40, 30
CELL_X, CELL_Y = 30 / COLUMNS, 60 / ROWS
LOSSES = LossSettings()


def _box(x: float, y: float, length: float, width: float, heading: float, class_name: str) -> PaddedTargets:
    frame = make_targets(1, 0)
    yaw = -heading - math.pi / 2
    code = [x, y, math.log(width), math.log(length), 0, 0.5, math.sin(yaw), math.cos(yaw), 0, 0]
    kind = CONFIG.agents.classes.index(class_name)
    return pad_targets([replace(frame, agent_boxes_A10=torch.tensor([code]), agent_classes_A=torch.tensor([kind]))])


def _centers() -> np.ndarray:
    x, y = -15 + CELL_X * (np.arange(COLUMNS) + 0.5), -30 + CELL_Y * (np.arange(ROWS) + 0.5)
    return shapely.points(*np.meshgrid(x, y))


@pytest.mark.parametrize("heading", [0.0, math.pi / 2, 0.6, -2.2])
def test_a_vehicle_fills_its_rectangle(heading: float) -> None:
    x, y, length, width = 3.3, -11.2, 9.0, 4.2
    drawn = raster_targets(_box(x, y, length, width, heading, "bus"), CONFIG, ROWS, COLUMNS)
    rectangle = shapely.affinity.rotate(
        shapely.box(-length / 2, -width / 2, length / 2, width / 2), heading, use_radians=True
    )
    inside = shapely.contains(shapely.affinity.translate(rectangle, x, y), _centers())
    assert inside.sum() > 15
    inside[int((y + 30) / CELL_Y), int((x + 15) / CELL_X)] = True
    np.testing.assert_array_equal(drawn[0, 0], inside)
    assert drawn[0, 1:].sum() == 0


def test_a_pedestrian_fills_one_cell_at_least_and_a_cone_none() -> None:
    drawn = raster_targets(_box(-14.95, 29.9, 0.5, 0.5, 0.3, "pedestrian"), CONFIG, ROWS, COLUMNS)
    assert drawn.nonzero().tolist() == [[0, 1, ROWS - 1, 0]]
    assert raster_targets(_box(0.0, 0.0, 0.5, 0.5, 0.3, "traffic_cone"), CONFIG, ROWS, COLUMNS).sum() == 0


def test_lines_cover_the_cells_near_them_class_by_class() -> None:
    frames = [make_targets(0, 6, seed=3), make_targets(0, 0), make_targets(0, 3, seed=4)]
    drawn = raster_targets(pad_targets(frames), CONFIG, ROWS, COLUMNS)
    cells = shapely.points(*np.meshgrid(np.arange(COLUMNS) + 0.5, np.arange(ROWS) + 0.5))
    for sample, frame in enumerate(frames):
        expected = np.zeros((3, ROWS, COLUMNS), dtype=bool)
        for line, kind in zip(frame.map_orders_GOP2[:, 0].numpy(), frame.map_classes_G, strict=True):
            expected[kind] |= shapely.distance(shapely.linestrings(line * [COLUMNS, ROWS]), cells) <= 0.75
        np.testing.assert_array_equal(drawn[sample, 2:], expected)
    assert drawn[0, 2:].sum() > 50 and drawn[1].sum() == 0


def test_frames_beside_each_other_do_not_mix() -> None:
    frames = [make_targets(6, 3, seed=seed) for seed in range(3)]
    together = raster_targets(pad_targets(frames), CONFIG, ROWS, COLUMNS)
    alone = [raster_targets(pad_targets([frame]), CONFIG, ROWS, COLUMNS) for frame in frames]
    assert torch.equal(together, torch.cat(alone))


def _value(logits: Tensor, wanted: Tensor) -> Tensor:
    sums, counts = bev_raster_loss(logits, wanted, LOSSES)
    return (sums / counts.clamp_min(1)).sum()


def test_right_maps_cost_nothing_and_gradients_are_right() -> None:
    wanted = (torch.rand(2, 5, 4, 3, generator=torch.Generator().manual_seed(0)) < 0.2).double()
    wanted[:, 3] = 0
    assert _value(60 * (wanted - 0.5), wanted) < 1e-6
    assert _value(-60 * (wanted - 0.5), wanted) > 10
    logits = torch.randn(2, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: _value(x, wanted), logits)


def test_the_head_learns_maps_from_features_that_hold_them() -> None:
    torch.manual_seed(0)
    config = with_overrides(CONFIG, {"embed_dims": 32, "map.lane_hidden": 16})
    head = BevRasterHead(config)
    wanted = raster_targets(pad_targets([make_targets(8, 5, seed=1)]), CONFIG, ROWS, COLUMNS)
    bev = (torch.randn(config.embed_dims, 5) @ wanted.flatten(2)[0]).T.view(1, ROWS, COLUMNS, -1)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        _value(head(bev), wanted).backward()
        optimizer.step()
    logits = head(bev)
    assert logits.shape == (1, 5, ROWS, COLUMNS)
    assert ((logits > 0) == (wanted > 0)).float().mean() > 0.99
