"""`aln-p3 draw`: look at a data set."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_folder

_EPILOG = """
\b
Examples
  aln-p3 draw data/nuscenes --version v1.0-mini
  aln-p3 draw out/track --all --out out/pictures
"""


@click.command("draw", epilog=_EPILOG)
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--sample", "tokens", multiple=True, help="Sample token; may be repeated [default: the first].")
@click.option("--all", "every", is_flag=True, help="Every sample of the root.")
@click.option("--version", help="Table folder, for example v1.0-mini [default: the only one there is].")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              default=Path("out/draw"), show_default=True, help="Folder of the pictures.")  # fmt: skip
@click.option("--width", type=click.IntRange(400, 8000), default=1600, show_default=True, help="Of the mosaic, pixels.")
def command(root: Path, tokens: tuple[str, ...], every: bool, version: str | None, out: Path, width: int) -> None:
    """Draws the ground truth of a nuScenes-schema data set: what it holds, as the driver should see it.

    Writes two pictures a sample: the cameras with boxes, map lines and the way that was driven projected into
    them, and the same from above. Wrong axes or a swapped camera show at once.
    """
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.drawing.bev import draw_bev
    from aln_p3_core.drawing.images import save_image
    from aln_p3_core.drawing.mosaic import draw_mosaic

    dataset = NuScenesDataset(root, version)
    chosen = dataset.tokens if every else tokens or dataset.tokens[:1]
    for token in chosen:
        frame, targets = dataset.frame(token), dataset.targets(token)
        mosaic = draw_mosaic(frame, targets=targets, width=width)
        lidar = dataset.lidar_in_model(token)
        bev = draw_bev(targets=targets, T_ego_model=frame.T_ego_model, lidar_model=lidar, height=width // 2)
        click.echo(save_image(out / f"{token}_mosaic.png", mosaic))
        click.echo(save_image(out / f"{token}_bev.png", bev))
