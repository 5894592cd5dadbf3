"""What a training begins with: weights of a driver that was trained before, and parts that start anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.checkpoint import expected_state, read_header
from aln_p3_core.driver.fit import require_fit
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.training.settings import PARTS, TrainingConfig
from aln_p3_core.weights import SHIPPED

# Entries that differ which a message names: of another recipe, hundreds do.
_TOLD = 3


def check_begin(driver: DriverConfig, config: TrainingConfig, init: str | Path | None, fresh: Sequence[str]) -> None:
    """
    Args:
        driver, config: of a training that begins.
        init: checkpoint that it begins with, or None.
        fresh: parts that it does not take from there.

    Raises:
        ConfigError: when parts are kept as they are that nobody has trained: those that the first stage freezes, and
            the backbone's own frozen part. When the backbone's weights are named twice.
    """
    fresh = PARTS if init is None else fresh
    untrained = [part for part in config.stages[0].frozen if part in fresh and part != "backbone"]
    if untrained:
        raise ConfigError(
            f"the first stage ({config.stages[0].name}) keeps {', '.join(untrained)} as they are, and nobody has "
            f"trained them: begin with a trained driver ({trained_driver(driver)}), without them in --fresh"
        )
    if "backbone" not in fresh:
        if config.run.backbone_weights:
            raise ConfigError(
                f"run.backbone_weights and --init {init} both say what the backbone begins with: leave one out, or add "
                "--fresh backbone"
            )
        return
    frozen = driver.backbone.partly_frozen or "backbone" in config.stages[0].frozen
    if frozen and not driver.backbone.pretrained:
        raise ConfigError(
            f"the backbone ({driver.backbone.kind}) is not trained as a whole, and what stays as it is would stay at "
            f"random: begin with ImageNet's weights (driver.backbone.pretrained=true) or a trained driver "
            f"({trained_driver(driver)})"
        )


def trained_driver(driver: DriverConfig) -> str:
    """Where a trained driver of a recipe comes from, for messages."""
    if driver.name in SHIPPED:
        return f"--init {driver.name}, or its file"
    return (
        f"--init FILE of the recipe {driver.name}: aln-p3 train {driver.name} makes one, "
        "aln-p3 import-vad converts a released one"
    )


def begins_pretrained(driver: DriverConfig, init: str | Path | None, fresh: Sequence[str]) -> bool:
    """Whether a training that begins loads the backbone's ImageNet weights."""
    return driver.backbone.pretrained and (init is None or "backbone" in fresh)


def taken_over(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], fresh: Sequence[str], init: str | Path, recipe: str
) -> dict[str, Tensor]:
    """State that a network begins with: a checkpoint's, but its own in the parts that start anew.

    Args:
        weights: entries of the checkpoint.
        own: entries of the network.
        fresh: parts that start anew; in these the checkpoint's recipe may differ.
        init, recipe: name the checkpoint and the recipe, for the error.

    Raises:
        CheckpointError: listing what does not fit.
    """
    anew = tuple(f"{part}." for part in fresh)
    state = {name: value for name, value in weights.items() if not name.startswith(anew)}
    state |= {name: value for name, value in own.items() if name.startswith(anew)}
    require_fit(state, own, f"{init} does not fit the recipe {recipe}")
    return state


def check_init(driver: DriverConfig, init: str | Path, fresh: Sequence[str]) -> None:
    """Whether a checkpoint can be begun with, by names and shapes alone.

    Raises:
        CheckpointError: when the file is missing or of another format; when it does not fit, with its recipe's name
            and the first entries that differ.
    """
    given, metadata = read_header(init)
    try:
        taken_over(given, expected_state(driver), fresh, init, driver.name)
    except CheckpointError as error:
        what, *lines = str(error).splitlines()
        told = ", ".join(line.strip() for line in lines[:_TOLD])
        more = f", and {len(lines) - _TOLD} more" if len(lines) > _TOLD else ""
        own = json.loads(metadata.get("recipe", "{}")).get("name", "unknown")
        raise CheckpointError(f"{what} it is of the recipe {own} ({told}{more})") from error
