"""Planners by name: the baselines, the expert, drivers that ship with the package, by recipe or by checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.weights import SHIPPED, resolve_checkpoint
from aln_p3_core.world.planners.baselines import ConstantCurvature, ConstantVelocity, StandStill
from aln_p3_core.world.planners.expert import Expert
from aln_p3_core.world.planners.planner import Planner
from aln_p3_core.world.planners.route_blind import RouteBlind

_BY_NAME: Mapping[str, Callable[[], Planner]] = {
    "stand_still": StandStill,
    "constant_velocity": ConstantVelocity,
    "constant_curvature": ConstantCurvature,
    "route_blind": RouteBlind,
    "expert": Expert,
}

#: Names that `make_planner` knows beside recipes and checkpoints.
PLANNERS: tuple[str, ...] = tuple(_BY_NAME)
#: "untrained:nano" is the recipe nano with untrained heads.
UNTRAINED = "untrained:"
#: "unguarded:nano" is the driver nano with the network's own plans (`driver.plan_guard`).
UNGUARDED = "unguarded:"


def make_planner(name_or_checkpoint: str, **options: Any) -> Planner:
    """A planner by name.

    Args:
        name_or_checkpoint: one of `PLANNERS`, a driver that ships with the package (`weights.SHIPPED`),
            "untrained:<recipe>", a checkpoint file or an exported driver (.onnx, .pt2), or a folder that holds exactly
            one checkpoint (*.safetensors); "unguarded:" may stand before what is trained.
        options: of a driver: device, precision, compile_mode; seed and overrides too where it is untrained.

    Raises:
        ConfigError: for an unknown name, and for options that the planner does not have.
        CheckpointError: for a checkpoint that cannot be read.
    """
    if name_or_checkpoint in _BY_NAME:
        if options:
            raise ConfigError(f"planner {name_or_checkpoint!r} has no options, got {sorted(options)}")
        return _BY_NAME[name_or_checkpoint]()
    if name_or_checkpoint.startswith(UNTRAINED):
        return _untrained(name_or_checkpoint, options)
    return _trained(name_or_checkpoint, options)


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint file of a shipped driver's name, of a path, or of the folder that holds it alone.

    Raises:
        ConfigError: when there is none; the message lists the planners that have names.
    """
    found = resolve_checkpoint(str(path).removeprefix(UNGUARDED))
    if found.exists():
        return _only_checkpoint(found) if found.is_dir() else found
    raise ConfigError(
        f"no planner {str(path)!r}; choices: {', '.join((*PLANNERS, *SHIPPED))}, {UNTRAINED}<recipe>, "
        "or the path of a checkpoint (this path does not exist)"
    )


def _untrained(name: str, options: Mapping[str, Any]) -> Planner:
    from aln_p3_core.driver import Driver
    from aln_p3_core.world.planners.model_planner import ModelPlanner

    _require_known(name, options, ("device", "precision", "compile_mode", "seed", "overrides"))
    return ModelPlanner(Driver.from_recipe(name.removeprefix(UNTRAINED), **options), name)


def _trained(path: str, options: Mapping[str, Any]) -> Planner:
    from aln_p3_core.runtime.loading import load_driver
    from aln_p3_core.world.planners.model_planner import ModelPlanner

    file = find_checkpoint(path)
    _require_known(path, options, ("device", "precision", "compile_mode"))
    driver = load_driver(file, **options)
    driver.guarded = driver.guarded and not path.startswith(UNGUARDED)
    name = Path(path.removeprefix(UNGUARDED)).stem
    return ModelPlanner(driver, f"{UNGUARDED}{name}" if path.startswith(UNGUARDED) else name)


def _only_checkpoint(folder: Path) -> Path:
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ConfigError(f"{folder} must hold exactly one checkpoint (*.safetensors), found {found}; name the file")
    return files[0]


def _require_known(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    strangers = sorted(set(options) - set(known))
    if strangers:
        raise ConfigError(f"planner {name!r} has no options {strangers}; it has {', '.join(known)}")
