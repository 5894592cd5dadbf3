"""Classes and boxes of agents."""

from __future__ import annotations

import torch
from loss_helpers import make_outputs, make_targets, perfect_outputs

from aln_p3_core.training.losses.agent_box import agent_box_loss, agent_class_loss
from aln_p3_core.training.matching import match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


def test_perfect_agents_cost_nothing() -> None:
    targets = [make_targets(5, seed=1), make_targets(0), make_targets(3, seed=2)]
    padded, outputs = pad_targets(targets), perfect_outputs(targets)
    agents = match(outputs, padded, LOSSES).agent_LBQ
    for sums, counts in (
        agent_class_loss(outputs.agent_logits_LBQC, agents, padded, LOSSES),
        agent_box_loss(outputs.agent_boxes_LBQ10, agents, padded, LOSSES),
    ):
        assert counts.tolist() == [8, 8]
        assert sums.abs().max() < 1e-6


def test_a_box_is_off_by_its_codes_and_the_velocity_counts_where_it_is_known() -> None:
    target = make_targets(2)
    target.agent_velocity_valid_A[:] = torch.tensor([True, False])
    padded, outputs = pad_targets([target]), perfect_outputs([target])
    agents = match(outputs, padded, LOSSES).agent_LBQ
    with torch.no_grad():
        outputs.agent_boxes_LBQ10[1] += 1.0
    sums, _ = agent_box_loss(outputs.agent_boxes_LBQ10, agents, padded, LOSSES)
    torch.testing.assert_close(sums, torch.tensor([0.0, (8 + 2 * 0.2) + 8]), atol=1e-5, rtol=1e-5)


def test_only_matched_boxes_are_pulled_and_every_logit_is() -> None:
    padded, outputs = pad_targets([make_targets(4)]), make_outputs()
    agents = match(outputs, padded, LOSSES).agent_LBQ
    agent_box_loss(outputs.agent_boxes_LBQ10, agents, padded, LOSSES)[0].sum().backward()
    agent_class_loss(outputs.agent_logits_LBQC, agents, padded, LOSSES)[0].sum().backward()
    boxes, logits = outputs.agent_boxes_LBQ10.grad, outputs.agent_logits_LBQC.grad
    assert boxes is not None and logits is not None
    assert torch.equal(boxes[..., :8].abs().sum(-1) > 0, agents >= 0)
    assert (logits != 0).all()
    assert ((logits < 0).sum(-1) == (agents >= 0)).all()
