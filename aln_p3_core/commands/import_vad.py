"""`aln-p3 import-vad`: a released VAD checkpoint to one of ours."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.outputs import output_file, refuse_own_source

_EPILOG = """
\b
Example
  aln-p3 import-vad VAD_tiny.pth --recipe tiny --out out/vad_tiny.safetensors
"""


@click.command("import-vad", epilog=_EPILOG)
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--recipe", required=True, type=click.Choice(["tiny", "base"]), help="Which released model it is.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="File to write, *.safetensors.",
)
def command(checkpoint: Path, recipe: str, out: Path) -> None:
    """Convert a released VAD checkpoint (.pth) and refuse one that does not fit, listing what differs."""
    refuse_own_source(out, checkpoint)
    from aln_p3_core.config import get_recipe
    from aln_p3_core.driver.vad_import import import_vad

    digest = import_vad(checkpoint, get_recipe(recipe), out)
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.0f} MB, recipe {recipe}, sha256 {digest[:16]})")
