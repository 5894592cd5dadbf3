"""Optimiser and learning rate of one stage: AdamW, linear warm-up, cosine decay (method: VAD, section 6.6)."""

from __future__ import annotations

import math

import torch
from torch import nn

from aln_p3_core.errors import ConfigError
from aln_p3_core.training.settings import OptimizerSettings, StageSettings

# The warm-up starts at this share of the peak.
_WARM_UP_FROM = 1 / 3
_DRIVER, _BACKBONE = "network.", "network.backbone."


def make_optimizer(
    module: nn.Module, settings: OptimizerSettings, rate: float, driver_rate: float = 1.0
) -> torch.optim.AdamW:
    """AdamW over what is trained now: the driver and its backbone at rates of their own, no decay of vectors (norms,
    biases, embeddings).

    Raises:
        ConfigError: when nothing is left to train.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name.endswith("weight")
            share = driver_rate if name.startswith(_DRIVER) else 1.0
            share *= settings.backbone_rate if name.startswith(_BACKBONE) else 1.0
            groups.setdefault((share, decays), []).append(parameter)
    if not groups:
        raise ConfigError("this stage freezes everything: take a part out of stages.N.frozen")
    peak = settings.learning_rate * rate
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": peak * share,
                "weight_decay": settings.weight_decay if decays else 0.0,
            }
            for (share, decays), parameters in groups.items()
        ]
    )


def make_scheduler(
    optimizer: torch.optim.Optimizer, settings: OptimizerSettings, stage: StageSettings
) -> torch.optim.lr_scheduler.LambdaLR:
    """The stage's learning rate, one `step` for each optimiser step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_share(step, settings, stage.steps))


def rate_share(step: int, settings: OptimizerSettings, steps: int) -> float:
    """Share of the peak learning rate at a step of a stage of `steps`."""
    decayed = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    share = settings.final_rate + (1 - settings.final_rate) * decayed
    if step < settings.warm_up_steps:
        share *= _WARM_UP_FROM + (1 - _WARM_UP_FROM) * step / settings.warm_up_steps
    return share
