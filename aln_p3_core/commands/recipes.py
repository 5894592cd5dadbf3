"""`aln-p3 recipes`: what can be built, and how large it is."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the recipes with their sizes, or print every setting of one."""
    import json

    from aln_p3_core.config import RECIPES, get_recipe, to_dict

    if name is not None:
        click.echo(json.dumps(to_dict(get_recipe(name)), indent=2))
        return
    from aln_p3_core.driver.checkpoint import parameter_count

    header = ("recipe", "images", "backbone", "BEV", "width", "agents", "map", "ego status", "parameters")
    rows = [header]
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
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
