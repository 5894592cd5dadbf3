"""`aln-p3 demo`: the whole road on a recorded clip."""

from __future__ import annotations

import shutil
from pathlib import Path

import click


@click.command("demo")
@click.option(
    "--data", type=click.Path(path_type=Path), help="nuScenes-schema root [default: a recorded clip, else painted]."
)
@click.option("--out", default="out/demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--recipe", default="nano", show_default=True)
@click.option("--checkpoint", type=click.Path(exists=True, dir_okay=False), help="Weights; else untrained heads.")
@click.option("--rate", type=float, help="Recorded seconds per second [default: 1, slower for a very short clip].")
@click.option("--seconds", default=20.0, show_default=True, help="How long to drive.")
@click.option("--timeout", "timeout_s", default=240.0, show_default=True, help="Longest wait for the first picture, s.")
def command(
    data: Path | None,
    out: Path,
    recipe: str,
    checkpoint: str | None,
    rate: float | None,
    seconds: float,
    timeout_s: float,
) -> None:
    """Replays a clip through ROS 2 into the driver; leaves an MCAP bag, pictures and a table of latencies."""
    from aln_p3_ros.bringup.demo import find_data, run_demo
    from aln_p3_ros.bringup.demo_summary import summarise_run

    out.mkdir(parents=True, exist_ok=True)
    root = find_data(data, out, click.echo)
    arguments = {"checkpoint": checkpoint} if checkpoint else {"recipe": recipe}
    files = run_demo(
        root, out, rate=rate, seconds=seconds, timeout_s=timeout_s, driver_arguments=arguments, say=click.echo
    )
    summary = summarise_run(files.bag, files.rate)
    (out / "summary.md").write_text(summary.markdown())
    click.echo("\n" + summary.markdown())
    for name in ("mosaic", "bev"):
        newest = max(files.pictures.glob(f"*{name}*.png"), default=None)
        if newest is not None:
            shutil.copy(newest, out / f"{name}.png")
            click.echo(f"picture   {out / name}.png")
    click.echo(f"all       {files.pictures}/")
    click.echo(f"bag       {files.bag}/   (aln-p3 bag info {files.bag})")
    click.echo(f"table     {out / 'summary.md'}")
    click.echo(f"log       {files.log}")
