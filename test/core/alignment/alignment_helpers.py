"""Made-up pairs: what the driver and what the language model would say of one hidden cause."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch.nn import functional

from aln_p3_core.alignment.alignment import Alignment
from aln_p3_core.alignment.io import AlignmentInputs, AlignmentWidths
from aln_p3_core.alignment.settings import AlignmentSettings
from aln_p3_core.training.settings_tree import with_settings

WIDTHS = AlignmentWidths(instance=12, motion=16, ego=16, forecast_steps=4, plan_steps=3, language=20, text=24)
SMALL = {"p1a.hidden": 32, "p2a.hidden": 32, "p3a.hidden": 32, "pool.prompts": 16, "pool.width": 32}
MODES = 2


def built(seed: int = 0, **changes: Any) -> Alignment:
    """Dots in names as two underscores."""
    torch.manual_seed(seed)
    settings = with_settings(AlignmentSettings(), SMALL | {k.replace("__", "."): v for k, v in changes.items()})
    return Alignment(settings, WIDTHS)


def only(term: str, **changes: Any) -> Alignment:
    """One term alone, with weight 1."""
    weights = {f"{name}__weight": float(name == term) for name in ("p1a", "p2a", "p3a")}
    return built(**{**weights, **{f"{term}__{name}": value for name, value in changes.items()}})


def made_up(pairs: int, frames: int, seed: int = 0) -> AlignmentInputs:
    """Inputs with all fields, whose two sides tell of the same hidden numbers. `seed` draws the pairs; how a hidden
    number becomes a feature is always the same."""
    law = torch.Generator().manual_seed(7)
    drawn = torch.Generator().manual_seed(seed)
    agents, plans = torch.randn(pairs, 4, generator=drawn), torch.randn(frames, 4, generator=drawn)

    def seen(hidden: torch.Tensor, width: int) -> torch.Tensor:
        first, second = torch.randn(4, 32, generator=law), torch.randn(32, width, generator=law)
        noise = 0.1 * torch.randn(len(hidden), width, generator=drawn)
        # Features have much in common, whatever they tell.
        return torch.tanh(hidden @ first) @ second / 4 + torch.randn(width, generator=law) + noise

    def path(hidden: torch.Tensor, steps: int) -> torch.Tensor:
        return 3 * hidden[:, None, :2] * torch.arange(1, steps + 1)[:, None]

    return AlignmentInputs(
        scene_of_pair_P=torch.arange(pairs) % frames,
        instances_PD=seen(agents, WIDTHS.instance),
        caption_embeddings_PW=functional.normalize(seen(agents, WIDTHS.text), dim=-1),
        caption_valid_P=torch.ones(pairs, dtype=torch.bool),
        motion_PM2D=torch.stack([seen(agents, WIDTHS.motion) for _ in range(MODES)], dim=1),
        mode_logits_PM=torch.randn(pairs, MODES, generator=drawn),
        trajectories_PMT2=path(agents, WIDTHS.forecast_steps)[:, None].repeat(1, MODES, 1, 1),
        motion_states_PE=seen(agents, WIDTHS.language),
        motion_embeddings_PW=functional.normalize(agents @ torch.randn(4, WIDTHS.text, generator=law), dim=-1),
        motion_valid_P=torch.ones(pairs, dtype=torch.bool),
        ego_B2D=seen(plans, WIDTHS.ego),
        plan_BT2=path(plans, WIDTHS.plan_steps),
        explanation_states_BE=seen(plans, WIDTHS.language),
        explanation_embeddings_BW=functional.normalize(plans @ torch.randn(4, WIDTHS.text, generator=law), dim=-1),
        explanation_valid_B=torch.ones(frames, dtype=torch.bool),
    )


FLOATS = tuple(
    field.name
    for field in dataclasses.fields(AlignmentInputs)
    if "valid" not in field.name and "scene" not in field.name
)


def with_gradients(inputs: AlignmentInputs) -> AlignmentInputs:
    """The same numbers as leaves that gradients reach."""
    leaves = {name: getattr(inputs, name).clone().requires_grad_() for name in FLOATS}
    return dataclasses.replace(inputs, **leaves)


def of_frames(name: str) -> bool:
    """Whether a field has a row for each frame, and not for each pair."""
    return name.rstrip("2DTEW").endswith("_B")


def part(inputs: AlignmentInputs, pairs: slice, frames: slice) -> AlignmentInputs:
    """Some pairs and some frames; pairs keep the numbers of their frames."""
    rows = {
        field.name: getattr(inputs, field.name)[frames if of_frames(field.name) else pairs]
        for field in dataclasses.fields(inputs)
    }
    return AlignmentInputs(**rows)
