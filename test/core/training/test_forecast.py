"""Forecasts: which mode is the best, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from loss_helpers import make_outputs, make_targets, perfect_outputs
from torch import Tensor

from aln_p3_core.training.losses.forecast import best_modes, forecast_losses
from aln_p3_core.training.matching import match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


def _paths() -> tuple[Tensor, Tensor]:
    """Two modes against a target that stands: the first ends right after a detour, the second is right until half."""
    offsets = torch.zeros(1, 1, 2, 6, 2)
    offsets[0, 0, 0, 1, 0], offsets[0, 0, 0, 4, 0] = 3.0, -3.0
    offsets[0, 0, 1, 3, 0] = 1.0
    return offsets, torch.zeros(1, 1, 6, 2)


@pytest.mark.parametrize(("known", "best", "released"), [(6, 0, 0), (5, 0, 0), (3, 1, 0), (0, 0, 0)])
def test_the_best_mode_ends_nearest_at_the_last_known_step(known: int, best: int, released: int) -> None:
    offsets, wanted = _paths()
    mask = (torch.arange(6) < known)[None, None]
    assert best_modes(offsets, wanted, mask).item() == best
    assert best_modes(offsets, wanted, mask, released=True).item() == released


def test_masked_steps_do_not_dilute_and_do_not_pull() -> None:
    frame = make_targets(3)
    values = []
    for known in (6, 2):
        target = replace(frame, agent_future_mask_AT=(torch.arange(6) < known).expand(3, 6))
        padded, outputs = pad_targets([target]), perfect_outputs([target])
        agents = match(outputs, padded, LOSSES).agent_LBQ[-1]
        paths = torch.full_like(outputs.agent_forecasts_BQMT2, 100.0)
        for agent in range(3):
            paths[0, agent, agent] = target.agent_offsets_AT2[agent] + 0.5
        paths.requires_grad_()
        (total, count), _ = forecast_losses(paths, outputs.agent_mode_logits_BQM, agents, padded, LOSSES)
        total.backward()
        assert paths.grad is not None
        assert bool((paths.grad[..., known:, :] == 0).all()) and bool((paths.grad[..., known - 1, :] != 0).any())
        values.append(total / count)
    torch.testing.assert_close(values[0], torch.tensor(0.5 * 2 * 6))
    torch.testing.assert_close(values[1], values[0])


def test_perfect_modes_cost_nothing_and_unknown_futures_teach_nothing() -> None:
    target = make_targets(4)
    target.agent_future_mask_AT[:] = True
    target.agent_future_mask_AT[2] = False
    padded, outputs = pad_targets([target]), perfect_outputs([target])
    agents = match(outputs, padded, LOSSES).agent_LBQ[-1]
    paths, modes = forecast_losses(outputs.agent_forecasts_BQMT2, outputs.agent_mode_logits_BQM, agents, padded, LOSSES)
    assert paths[1] == modes[1] == 3
    (paths[0] + modes[0]).backward()
    assert bool(paths[0] + modes[0] < 1e-6)
    gradient = outputs.agent_mode_logits_BQM.grad
    assert gradient is not None and (gradient[0, 2] == 0).all()

    released = replace(LOSSES, released=True)
    (_, count), (mode_sum, _) = forecast_losses(
        outputs.agent_forecasts_BQMT2, outputs.agent_mode_logits_BQM, agents, padded, released
    )
    assert count == 4 and mode_sum > 1  # the agent of unknown future was in mode 2, and is taught mode 0


def test_nobody_to_forecast() -> None:
    padded, outputs = pad_targets([make_targets(0)]), make_outputs()
    agents = match(outputs, padded, LOSSES).agent_LBQ[-1]
    paths, modes = forecast_losses(outputs.agent_forecasts_BQMT2, outputs.agent_mode_logits_BQM, agents, padded, LOSSES)
    assert paths[0] == paths[1] == modes[1] == 0 and modes[0] > 0
