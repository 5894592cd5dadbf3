"""The plan keeps away from other vehicles."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aln_p3_core.scene import AGENT_CLASSES
from aln_p3_core.training.losses.plan_collision import constraining_agents, plan_collision_loss
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()
RELEASED = replace(LOSSES, released=True)
PATH = torch.zeros(1, 6, 2)


def _agents(*offsets: tuple[float, float]) -> Tensor:
    """[1, A, 6, 2] agents that stay at these places relative to a plan that stands."""
    return torch.tensor(offsets).view(1, len(offsets), 1, 2).expand(-1, -1, 6, -1)


def _loss(agents: Tensor, losses: LossSettings = LOSSES, path: Tensor = PATH) -> Tensor:
    return plan_collision_loss(path, agents, torch.ones(agents.shape[:2], dtype=torch.bool), losses)


def test_what_is_missing_to_one_side_counts_by_the_share_of_the_other() -> None:
    torch.testing.assert_close(_loss(_agents((1.0, -2.0)))[0, 0], torch.tensor([0.5 / 3, 1.0 / 3]))
    torch.testing.assert_close(_loss(_agents((1.0, -2.0)), RELEASED)[0, 0], torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(_loss(_agents((0.0, 0.0)))[0, 0], torch.tensor([1.5, 3.0]))


def test_a_car_alongside_is_no_conflict() -> None:
    alongside = _agents((2.5, 0.0))
    assert (_loss(alongside) == 0).all()
    torch.testing.assert_close(_loss(alongside, RELEASED)[0, 0], torch.tensor([0.0, 3.0]))


def test_the_agent_most_in_the_way_counts_and_not_two_at_once() -> None:
    ahead, beside = (0.2, 2.5), (1.4, 0.3)
    torch.testing.assert_close(_loss(_agents(ahead, beside)), _loss(_agents(ahead)))
    torch.testing.assert_close(_loss(_agents(ahead, beside), RELEASED)[0, 0], torch.tensor([1.3, 2.7]))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0), st.floats(0.0, 6.3), st.booleans())
def test_nearer_costs_more_and_far_nothing(a: float, b: float, angle: float, released: bool) -> None:
    losses = RELEASED if released else LOSSES
    x, y = math.cos(angle), math.sin(angle)
    near, far = (_loss(_agents((d * x, d * y)), losses).sum() for d in sorted((a, b)))
    assert near >= far
    if max(a, b) > LOSSES.collision_range_m:
        assert far == 0


def test_agents_that_do_not_constrain_do_not_count() -> None:
    path = PATH.clone().requires_grad_()
    loss = plan_collision_loss(path, _agents((0.3, 0.4)), torch.zeros(1, 1, dtype=torch.bool), LOSSES)
    loss.sum().backward()
    assert (loss == 0).all() and path.grad is not None and (path.grad == 0).all()


def test_gradients_push_apart_and_are_right() -> None:
    path = PATH.double().requires_grad_()
    agents = _agents((0.7, 1.9), (-2.0, 0.5)).double()
    assert torch.autograd.gradcheck(lambda p: _loss(agents, path=p), path)
    _loss(agents, path=path).sum().backward()
    assert path.grad is not None and (path.grad > 0).all()  # downhill leads left and back, away from the first one


def test_predictions_stay_as_they_were() -> None:
    agents = _agents((0.5, 0.5), (90.0, 0.0)).clone()
    before = agents.clone()
    _loss(agents, RELEASED)
    assert torch.equal(agents, before)


def test_sure_vehicles_constrain_the_plan_with_their_best_mode() -> None:
    centers = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    offsets = torch.zeros(1, 3, 2, 6, 2)
    offsets[:, :, 1, :, 1] = 1.0
    modes = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])
    scores = torch.zeros(1, 3, len(AGENT_CLASSES))
    scores[0, 0, AGENT_CLASSES.index("car")] = 0.6
    scores[0, 1, AGENT_CLASSES.index("bus")] = 0.4
    scores[0, 2, AGENT_CLASSES.index("pedestrian")] = 0.9
    places, kept = constraining_agents(centers, offsets, modes, scores, AGENT_CLASSES, LOSSES)
    assert kept.tolist() == [[True, False, False]]
    torch.testing.assert_close(places[0, 0], torch.tensor([[1.0, 2.0 + step] for step in range(1, 7)]))
    torch.testing.assert_close(places[0, 1], torch.tensor([[3.0, 4.0]]).expand(6, 2))
