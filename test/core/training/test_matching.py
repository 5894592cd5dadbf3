"""Assignment of queries to targets."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_helpers import CONFIG, make_outputs, make_targets, perfect_outputs, permuted

from aln_p3_core.training.losses.focal import sigmoid_focal
from aln_p3_core.training.matching import agent_costs, focal_cost, line_costs, match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


def test_the_assignment_is_the_cheapest_of_all() -> None:
    outputs, padded = make_outputs(2), pad_targets([make_targets(3, 3, seed=4), make_targets(2, 1, seed=5)])
    assignment = match(outputs, padded, LOSSES)
    costs = (
        (agent_costs(outputs.agent_logits_LBQC, outputs.agent_boxes_LBQ10, padded, LOSSES), assignment.agent_LBQ),
        (line_costs(outputs.map_logits_LBVC, outputs.map_points_LBVP2, padded, LOSSES)[0], assignment.line_LBV),
    )
    for (cost_LBQA, index_LBQ), counts in zip(costs, (padded.agent_counts, padded.line_counts), strict=True):
        for layer, sample in itertools.product(range(2), range(2)):
            cost, index = cost_LBQA[layer, sample].detach(), index_LBQ[layer, sample]
            query = (index >= 0).nonzero().squeeze(-1)
            assert sorted(index[query].tolist()) == list(range(counts[sample]))
            best = min(
                sum(float(cost[q, a]) for a, q in enumerate(choice))
                for choice in itertools.permutations(range(len(cost)), counts[sample])
            )
            assert float(cost[query, index[query]].sum()) == pytest.approx(best, rel=1e-5)


def test_costs_are_those_of_one_pair_alone() -> None:
    target = make_targets(3, 2)
    outputs, padded = make_outputs(), pad_targets([target])
    query, agent = 4, 2
    wanted = target.agent_boxes_A10[agent, :8]
    box = (outputs.agent_boxes_LBQ10[1, 0, query, :8] - wanted).abs().sum()
    logit = outputs.agent_logits_LBQC[1, 0, query, target.agent_classes_A[agent]]
    ones = sigmoid_focal(logit, torch.tensor(1.0), 0.25, 2.0) - sigmoid_focal(logit, torch.tensor(0.0), 0.25, 2.0)
    cost = agent_costs(outputs.agent_logits_LBQC, outputs.agent_boxes_LBQ10, padded, LOSSES)
    torch.testing.assert_close(cost[1, 0, query, agent], 2 * ones + 0.25 * box)
    points = outputs.map_points_LBVP2[1, 0, 3]
    candidates = [
        (points - order).abs().sum()
        for order, real in zip(target.map_orders_GOP2[1], target.map_order_mask_GO[1], strict=True)
        if real
    ]
    logits = outputs.map_logits_LBVC
    lines, orders = line_costs(logits, outputs.map_points_LBVP2, padded, LOSSES)
    shape = focal_cost(logits, padded.line_classes_BG, LOSSES)[1, 0, 3, 1]
    torch.testing.assert_close(lines[1, 0, 3, 1], 2 * shape + min(candidates))
    assert int(orders[1, 0, 3, 1]) == int(torch.stack(candidates).argmin())


def test_velocities_do_not_decide() -> None:
    outputs, padded = make_outputs(), pad_targets([make_targets()])
    before = match(outputs, padded, LOSSES).agent_LBQ
    with torch.no_grad():
        outputs.agent_boxes_LBQ10[..., 8:] += 100 * torch.rand(12, 2)
    assert torch.equal(match(outputs, padded, LOSSES).agent_LBQ, before)


def test_the_best_order_is_found() -> None:
    target = make_targets(2, 5)
    assignment = match(perfect_outputs([target]), pad_targets([target]), LOSSES)
    last = target.map_order_mask_GO.sum(1) - 1
    assert torch.equal(assignment.line_LBV[-1, 0, :5], torch.arange(5))
    assert torch.equal(assignment.order_LBV[-1, 0, :5], last)
    assert (assignment.order_LBV[..., 5:] == 0).all()
    query, agent = assignment.agent_pairs(0)
    assert query.tolist() == agent.tolist() == [0, 1]
    assert [pair.tolist() for pair in assignment.line_pairs(0)] == [[0, 1, 2, 3, 4]] * 2


def test_nothing_is_matched_to_nothing() -> None:
    assignment = match(make_outputs(2), pad_targets([make_targets(0, 0), make_targets(2, 0)]), LOSSES)
    assert (assignment.agent_LBQ[:, 0] == -1).all() and (assignment.agent_LBQ[:, 1] >= 0).sum() == 2 * 2
    assert (assignment.line_LBV == -1).all()
    assert [len(pair) for pair in assignment.agent_pairs(0)] == [0, 0]


def test_more_agents_than_queries_leave_some_without() -> None:
    count = CONFIG.agents.queries + 7
    assignment = match(make_outputs(), pad_targets([make_targets(count)]), LOSSES)
    chosen = assignment.agent_LBQ[0, 0]
    assert (chosen >= 0).all() and len(set(chosen.tolist())) == CONFIG.agents.queries


def test_predictions_that_are_not_numbers_do_not_stop_the_assignment() -> None:
    outputs = make_outputs()
    with torch.no_grad():
        outputs.agent_boxes_LBQ10[0] = torch.nan
        outputs.map_points_LBVP2[:, :, 2] = torch.inf
    assignment = match(outputs, pad_targets([make_targets(5, 4)]), LOSSES)
    assert (assignment.agent_LBQ >= 0).sum() == 2 * 5 and (assignment.line_LBV >= 0).sum() == 2 * 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9), st.integers(0, 7), st.integers(0, 99))
def test_the_order_of_targets_does_not_matter(agents: int, lines: int, seed: int) -> None:
    outputs, target = make_outputs(seed=seed), make_targets(agents, lines, seed)
    other = permuted(target, seed)
    first, second = (match(outputs, pad_targets([frame]), LOSSES) for frame in (target, other))
    query, agent = first.agent_pairs(0)
    other_query, other_agent = second.agent_pairs(0)
    assert torch.equal(query, other_query)
    assert torch.equal(target.agent_boxes_A10[agent], other.agent_boxes_A10[other_agent])
    assert torch.equal(first.order_LBV, second.order_LBV)
