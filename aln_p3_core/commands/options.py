"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.weights import resolve_checkpoint, resolve_explainer, shipped_checkpoint

if TYPE_CHECKING:
    from aln_p3_core.driver.frame_driver import FrameDriver

#: What every `--seed` takes: what torch and NumPy both do.
SEEDS = click.IntRange(0, 2**32 - 1)


class NumberRange(click.FloatRange):
    """`click.FloatRange` without "nan", which no bound of its own leaves out."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


#: What every `--min-score` takes.
SCORES = NumberRange(0.0, 1.0)


def checkpoint_file(_context: click.Context, parameter: click.Parameter, text: str | None) -> Path | None:
    """Callback of an option that names a checkpoint: the file, of a shipped driver's name too."""
    return _named_file(parameter, text, resolve_checkpoint, "driver")


def explainer_file(_context: click.Context, parameter: click.Parameter, text: str | None) -> Path | None:
    """As `checkpoint_file`, of an option that names an explainer."""
    return _named_file(parameter, text, resolve_explainer, "explainer")


def explainer_files(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """As `explainer_file`, of an option that may be repeated; the names stay as they are."""
    for name in names:
        explainer_file(context, parameter, name)
    return names


def _named_file(parameter: click.Parameter, text: str | None, resolve: Callable[[str], Path], what: str) -> Path | None:
    if text is None:
        return None
    path = resolve(text)
    if not path.is_file():
        raise click.BadParameter(f"there is no file {text!r} and no shipped {what} of that name", param=parameter)
    return path


_OPTIONS = (
    click.option("--recipe", default=None, help="Untrained, by its configuration: nano, tiny or base."),
    click.option(
        "--checkpoint",
        callback=checkpoint_file,
        metavar="NAME|FILE",
        help="Weights and recipe from a .safetensors, an exported .onnx or .pt2, or the shipped driver nano "
        "[default: that one, unless --recipe or --set is given].",
    ),
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting of the recipe (JSON value)."
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:n."),
    click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True),
    click.option(
        "--compile",
        "compile_mode",
        type=click.Choice(["off", "default", "reduce-overhead", "max-autotune"]),
        default="off",
        show_default=True,
        help="torch.compile mode; reduce-overhead uses CUDA graphs.",
    ),
    click.option("--seed", type=SEEDS, default=0, show_default=True, help="Seed of untrained weights."),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all cores]."),
)


def driver_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which driver runs, where and how; `make_driver` takes them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def frame_options(history: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options that say how a single frame of a data set is driven.

    Args:
        history: default of `--history`.
    """
    route = click.option(
        "--command",
        "route",
        type=click.Choice(["right", "left", "straight", "ground-truth"]),
        help="Route command [default: the data set's own, else straight, marked as a default].",
    )
    earlier = click.option(
        "--history",
        default=history,
        type=click.IntRange(min=0),
        show_default=True,
        help="Earlier key frames to drive first, for the memory.",
    )
    return lambda function: route(earlier(function))


def make_driver(
    recipe: str | None,
    checkpoint: Path | None,
    overrides: tuple[str, ...],
    device: str,
    precision: str,
    compile_mode: Any,
    seed: int,
    threads: int | None = None,
) -> FrameDriver:
    """The driver that the options of `driver_options` describe; torch computes with that many threads from here on."""
    if checkpoint is not None and overrides:
        raise click.UsageError("--set changes a recipe; a checkpoint brings its own settings")
    if threads:
        import torch

        torch.set_num_threads(threads)
    from aln_p3_core.driver.driver import Driver
    from aln_p3_core.runtime.loading import load_driver

    if checkpoint is None and recipe is None and not overrides:
        checkpoint = shipped_checkpoint()
    if checkpoint is None:
        return Driver.from_recipe(
            recipe or "nano",
            overrides=parse_overrides(overrides),
            seed=seed,
            device=device,
            precision=precision,
            compile_mode=compile_mode,
        )
    return load_driver(checkpoint, recipe=recipe, device=device, precision=precision, compile_mode=compile_mode)


def parse_overrides(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`("bev.rows=50", "ego_status=planner")` -> `{"bev.rows": 50, "ego_status": "planner"}`."""
    import json

    result: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--set takes KEY=VALUE, got {pair!r}")
        try:
            result[key] = json.loads(text)
        except json.JSONDecodeError:
            result[key] = text
    return result


#: Pixels along a side of a painted picture.
_SIDES = range(16, 8193)


def parse_size(text: str) -> tuple[int, int]:
    """`"800x450"` -> (800, 450)."""
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError as error:
        raise click.UsageError(f"a size is written WIDTHxHEIGHT, got {text!r}") from error
    if width not in _SIDES or height not in _SIDES:
        raise click.UsageError(f"width and height are {_SIDES[0]} to {_SIDES[-1]} pixels, got {text!r}")
    return width, height
