"""Heat maps of agent centres: what is drawn, and what predictions cost."""

from __future__ import annotations

import torch
from loss_helpers import CONFIG, make_targets

from aln_p3_core.training.losses.agent_heatmap import agent_heatmap_loss, heatmap_targets

SHAPE = torch.Size((3, len(CONFIG.agents.classes), 24, 20))
RANGE = CONFIG.point_cloud_range


def test_every_agent_has_a_peak_in_its_own_cell() -> None:
    frames = [make_targets(6, seed=1), make_targets(0), make_targets(3, seed=2)]
    heat = heatmap_targets(frames, RANGE, SHAPE)
    assert heat.min() >= 0 and heat.max() == 1
    for sample, frame in enumerate(frames):
        x, y = frame.agent_boxes_A10[:, 0], frame.agent_boxes_A10[:, 1]
        column, row = ((x + 15) / 30 * 20).long(), ((y + 30) / 60 * 24).long()
        peaks = torch.zeros(SHAPE[1:], dtype=torch.bool)
        peaks[frame.agent_classes_A, row, column] = True
        assert torch.equal(heat[sample] == 1, peaks)
    assert (heat[1] == 0).all()


def test_only_the_right_map_is_cheap_and_gradients_are_finite() -> None:
    frames = [make_targets(6, seed=1), make_targets(0), make_targets(3, seed=2)]
    peak = heatmap_targets(frames, RANGE, SHAPE) == 1
    right = torch.where(peak, 20.0, -20.0).requires_grad_()
    total, count = agent_heatmap_loss(right, frames, RANGE)
    total.backward()
    assert count == peak.sum() and total < 1e-3
    assert right.grad is not None and right.grad.isfinite().all()
    for wrong in (right.detach() - 30 * peak, right.detach().roll(3, dims=-1), -right.detach()):
        assert agent_heatmap_loss(wrong, frames, RANGE)[0] > 10
