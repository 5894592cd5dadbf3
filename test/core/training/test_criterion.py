"""All terms together."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_helpers import (
    CONFIG,
    leaves,
    make_outputs,
    make_targets,
    perfect_outputs,
    permuted,
    samples_of,
)
from torch import Tensor

from aln_p3_core.config import with_overrides
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings(bev_raster=0.5)
#: Terms that learn from the distance to a target: zero when it is reached.
REGRESSIONS = (
    *("agent_class", "agent_box", "forecast", "forecast_mode"),
    *("map_class", "map_points", "map_direction", "plan"),
)
MIXED = [(0, 0), (5, 0), (0, 4), (3, 2)]


def _criterion(losses: LossSettings = LOSSES) -> Criterion:
    torch.manual_seed(0)
    return Criterion(CONFIG, losses)


def _tensors(item: DriverOutputs | FrameTargets) -> dict[str, Tensor]:
    return {f.name: value for f in fields(item) if isinstance(value := getattr(item, f.name), Tensor)}


def _gradients(outputs: DriverOutputs) -> dict[str, Tensor]:
    return {f.name: g for f in fields(outputs) if (g := getattr(outputs, f.name).grad) is not None}


def test_terms_add_up_and_layers_have_names() -> None:
    result = _criterion()(make_outputs(2), [make_targets(seed=1), make_targets(seed=2)])
    torch.testing.assert_close(result.total.detach(), torch.stack(list(result.terms.values())).sum())
    layered = {"agent_class", "agent_box", "map_class", "map_points", "map_direction"}
    plans = {"plan", "plan_boundary", "plan_collision", "plan_direction"}
    single = {"forecast", "forecast_mode", "agent_heatmap", "bev_raster"}
    assert set(result.terms) == layered | {f"{name}.layer0" for name in layered} | plans | single
    assert not any(value.requires_grad for value in result.terms.values())


def test_perfect_predictions_cost_nothing() -> None:
    targets = [make_targets(5, 4, seed=1), make_targets(0, 0, seed=2), make_targets(2, 0, seed=3)]
    terms = _criterion()(perfect_outputs(targets), targets).terms
    for name in REGRESSIONS:
        assert float(terms[name]) < 1e-4, name


@pytest.mark.parametrize("frames", [[(0, 0)], [(4, 0)], [(0, 3)], MIXED])
@pytest.mark.parametrize("futures", [True, False])
def test_empty_frames_give_finite_losses_and_gradients(frames: list[tuple[int, int]], futures: bool) -> None:
    targets = [make_targets(agents, lines, seed) for seed, (agents, lines) in enumerate(frames)]
    if not futures:
        for target in targets:
            target.plan_mask_T[:] = False
            target.agent_future_mask_AT[:] = False
    outputs = make_outputs(len(frames))
    result = _criterion()(outputs, targets)
    result.total.backward()
    gradients = _gradients(outputs)
    learnt = {"bev_BRSD", "agent_heatmap_BCRS", "agent_logits_LBQC", "agent_boxes_LBQ10", "agent_forecasts_BQMT2"}
    learnt |= {"agent_mode_logits_BQM", "map_logits_LBVC", "map_points_LBVP2", "plan_offsets_B3T2"}
    assert set(gradients) == learnt
    assert result.total.isfinite() and all(gradient.isfinite().all() for gradient in gradients.values())
    if not any(lines for _, lines in frames):
        assert result.terms["map_points"] == 0 and (gradients["map_points_LBVP2"] == 0).all()
    if not futures:
        for name in ("forecast", "plan", "plan_boundary", "plan_collision", "plan_direction"):
            assert result.terms[name] == 0, name


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10), st.integers(0, 8), st.integers(0, 99))
def test_the_order_of_the_ground_truth_does_not_matter(agents: int, lines: int, seed: int) -> None:
    outputs, target, criterion = make_outputs(seed=seed), make_targets(agents, lines, seed), _criterion()
    first, second = (criterion(outputs, [frame]).terms for frame in (target, permuted(target, seed)))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("released", [False, True])
def test_two_processes_give_the_loss_and_the_gradients_of_one(released: bool) -> None:
    losses = replace(LOSSES, released=released)
    outputs = make_outputs(4)
    targets = [make_targets(agents, lines, seed) for seed, (agents, lines) in enumerate(MIXED)]
    targets[1].plan_mask_T[2:] = False
    whole = _criterion(losses)
    expected = whole(outputs, targets)
    expected.total.backward()

    halves = [slice(0, 2), slice(2, 4)]
    counts: list[Tensor] = []

    def collect(own: Tensor) -> Tensor:
        counts.append(own)
        return own

    half = _criterion(losses)
    half.normaliser = collect
    for chosen in halves:
        half(samples_of(outputs, chosen), targets[chosen])
    mean = torch.stack(counts).mean(0)
    half.normaliser = lambda own: mean
    totals, parts = [], []
    for chosen in halves:
        own = samples_of(outputs, chosen)
        result = half(own, targets[chosen])
        result.total.backward()
        totals.append(result.total.detach())
        parts.append(_gradients(own))
    torch.testing.assert_close(torch.stack(totals).mean(), expected.total.detach())
    for name, gradient in _gradients(outputs).items():
        together = torch.cat([part[name] for part in parts], dim=1 if "_LB" in name else 0) / 2
        torch.testing.assert_close(together, gradient, msg=name)
    for ours, theirs in zip(half.parameters(), whole.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad / 2, theirs.grad)


def test_counts_that_are_zero_everywhere_are_replaced_alike_on_every_process() -> None:
    outputs, targets = make_outputs(2), [make_targets(0, 0, 1), make_targets(0, 0, 2)]
    criterion = _criterion()
    whole = criterion(outputs, targets).total
    parts = [criterion(samples_of(outputs, slice(i, i + 1)), targets[i : i + 1]).total for i in range(2)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_losses_are_computed_in_float32_under_autocast() -> None:
    targets = [make_targets()]
    criterion = _criterion(LossSettings())
    expected = criterion(make_outputs(), targets)
    with torch.autocast("cpu", torch.bfloat16):
        got = criterion(make_outputs(), targets)
    assert got.total.dtype == torch.float32 and torch.equal(got.total, expected.total)
    halved = replace(
        make_outputs(), **{f.name: getattr(make_outputs(), f.name).bfloat16() for f in fields(DriverOutputs)}
    )
    with torch.autocast("cpu", torch.bfloat16):
        low = _criterion()(halved, targets).total
    assert low.dtype == torch.float32 and low.isfinite()


def test_stages_switch_the_plan_off_and_scale_perception() -> None:
    outputs, targets, criterion = make_outputs(), [make_targets()], _criterion()
    full = criterion(outputs, targets).terms
    perception = criterion(outputs, targets, plan=False).terms
    assert perception == {name: value for name, value in full.items() if not name.startswith("plan")}
    less = criterion(outputs, targets, perception_weight=0.4).terms
    for name, value in full.items():
        torch.testing.assert_close(less[name], value if name.startswith("plan") else 0.4 * value)


def test_constraints_move_the_plan_and_not_what_it_keeps_away_from() -> None:
    target = make_targets(0, 0)
    outputs = make_outputs()
    with torch.no_grad():
        outputs.agent_logits_LBQC.fill_(-9.0)
        outputs.agent_logits_LBQC[..., 0] = 3.0
        outputs.agent_boxes_LBQ10[..., :2] = torch.tensor([0.3, 4.0])
        outputs.agent_forecasts_BQMT2.zero_()
        outputs.map_logits_LBVC.fill_(3.0)
        outputs.plan_offsets_B3T2[:] = torch.tensor([0.1, 1.0])
        y = torch.linspace(0, 1, 6)
        outputs.map_points_LBVP2[:] = torch.stack([torch.full_like(y, 0.5 + 1.2 / 30), y], dim=-1)
    only = LossSettings(agent_class=0, agent_heatmap=0, map_class=0, forecast_mode=0, plan=0)
    outputs = leaves(outputs)
    result = Criterion(CONFIG, only)(outputs, [target])
    for name in ("plan_boundary", "plan_collision", "plan_direction"):
        assert result.terms[name] > 0, name
    result.total.backward()
    gradients = _gradients(outputs)
    assert gradients["plan_offsets_B3T2"].abs().sum() > 0
    for name in ("agent_boxes_LBQ10", "agent_forecasts_BQMT2", "map_points_LBVP2"):
        assert (gradients[name] == 0).all(), name


@pytest.mark.parametrize("released", [False, True])
def test_nothing_is_written_into_predictions_or_targets(released: bool) -> None:
    outputs, target = make_outputs(), make_targets()
    items = (*_tensors(outputs).values(), *_tensors(target).values())
    copies = [value.clone() for value in items]
    _criterion(replace(LOSSES, released=released))(outputs, [target]).total.backward()
    assert len(items) > 20
    assert all(torch.equal(value, copy) for value, copy in zip(items, copies, strict=True))


def test_the_head_belongs_to_the_training_and_not_to_the_driver() -> None:
    assert not list(_criterion(LossSettings()).parameters())
    criterion = _criterion()
    outputs = make_outputs()
    criterion(outputs, [make_targets()]).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in criterion.parameters())
    assert outputs.bev_BRSD.grad is not None and outputs.bev_BRSD.grad.abs().sum() > 0
    assert not any("raster" in key for key in DriverNetwork(CONFIG, load_pretrained=False).state_dict())


def test_a_constraint_without_its_map_class_is_refused() -> None:
    config = with_overrides(CONFIG, {"map.classes": ["boundary"]})
    with pytest.raises(ConfigError, match=r"plan_direction.*divider"):
        Criterion(config, LossSettings())
    assert Criterion(config, LossSettings(plan_direction=0)).losses.plan_direction == 0


@pytest.mark.slow
def test_gradient_descent_on_the_outputs_reaches_the_targets() -> None:
    targets = [make_targets(4, 3, seed=1), make_targets(2, 2, seed=2)]
    outputs, criterion = make_outputs(2), _criterion(LossSettings(map_direction=0.05))
    run = partial(criterion, outputs, targets)
    before = run().terms
    learnt = [value for f in fields(outputs) if (value := getattr(outputs, f.name)).requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=0.5)
    for step in range(80):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * (1 - step / 80)
        optimizer.zero_grad()
        run().total.backward()
        optimizer.step()
    after = run().terms
    for name in ("agent_class", "agent_box", "forecast", "forecast_mode", "map_class", "map_points", "agent_heatmap"):
        assert float(after[name]) < 0.1 * float(before[name]), name
