"""`aln-p3 recipes`: what can be built, and how large it is."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """
\b
Examples
  aln-p3 recipes
  aln-p3 recipes nano
  aln-p3 recipes nano_speak
"""


@click.command("recipes", epilog=_EPILOG)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the recipes with their sizes, and the trainings; or print every setting of one.

    Of a driver its settings are printed as JSON, of a training that is named otherwise (nano_planner, nano_speak, ...)
    those of its driver and its own. `aln-p3 train NAME --settings` tells what each means.
    """
    import json

    from aln_p3_core.config import RECIPES, to_dict

    if name is not None:
        click.echo(json.dumps(to_dict(RECIPES[name]) if name in RECIPES else _training(name), indent=2))
        return
    from aln_p3_core.driver.checkpoint import parameter_count

    header = ("recipe", "images", "backbone", "BEV", "width", "agents", "map", "ego status", "parameters")
    rows: list[tuple[str, ...]] = [header]
    for config in RECIPES.values():
        rows.append(
            (
                config.name,
                f"{len(config.cameras)} x {config.image.height}x{config.image.width}",
                config.backbone.kind,
                f"{config.bev.rows}x{config.bev.columns}, {config.bev.layers} layers",
                str(config.embed_dims),
                f"{config.agents.queries}",
                f"{config.map.instances}x{config.map.points_per_line}",
                config.ego_status,
                f"{parameter_count(config) / 1e6:.1f} M",
            )
        )
    _print(rows)
    click.echo()
    _print(_trainings())


def _training(name: str) -> dict[str, Any]:
    """Settings of a training and of its driver, JSON-ready. Raises ConfigError naming all recipes."""
    import dataclasses

    from aln_p3_core.config import RECIPES, to_dict
    from aln_p3_core.errors import ConfigError
    from aln_p3_core.training.recipes import TRAINING_RECIPES, training_recipe

    if name not in TRAINING_RECIPES:
        known = ", ".join(dict.fromkeys([*RECIPES, *TRAINING_RECIPES]))
        raise ConfigError(f"no recipe is named {name!r}; there are {known}")
    driver, config = training_recipe(name)
    return {"driver": to_dict(driver), "training": dataclasses.asdict(config)}


def _trainings() -> list[tuple[str, ...]]:
    """What `aln-p3 train` knows, a row each behind a header."""
    from aln_p3_core.training.recipes import TRAINING_RECIPES, training_recipe

    rows: list[tuple[str, ...]] = [("training", "driver", "with words", "batch", "stages")]
    for name in TRAINING_RECIPES:
        driver, config = training_recipe(name)
        stages = ", ".join(f"{stage.name} {stage.steps}" for stage in config.stages)
        rows.append((name, driver.name, "yes" if config.explainer else "no", str(config.run.batch_size), stages))
    return rows


def _print(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
