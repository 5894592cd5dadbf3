"""`aln-p3 track`: data to try everything with."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.options import NumberRange, parse_size
from aln_p3_core.commands.outputs import output_folder

_EPILOG = """
\b
Example
  aln-p3 track out/track --seconds 10 --size 1600x900
"""


@click.command("track", epilog=_EPILOG)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path), callback=output_folder)
@click.option(
    "--seconds",
    type=NumberRange(0.1, 3600.0),
    default=6.0,
    show_default=True,
    help="Length of the drive; key frames come at 2 Hz.",
)
@click.option("--size", default="800x450", show_default=True, help="WIDTHxHEIGHT of the pictures.")
def command(out: Path, seconds: float, size: str) -> None:
    """Paints a test track into the new folder OUT, as a nuScenes-schema root.

    Six cameras, LiDAR, boxes and tracks with exactly known geometry: enough to try every command without
    downloading anything. Nothing can be learned from it.
    """
    from aln_p3_core.synthetic.root import write_root

    tables = write_root(out, seconds, parse_size(size), progress=True)
    click.echo(f"{out}: {len(tables['sample'])} key frames, {len(tables['sample_data'])} files")
    click.echo(f"look at it: aln-p3 draw {out}    drive on it: aln-p3 plan {out} --json out/plan.json")
