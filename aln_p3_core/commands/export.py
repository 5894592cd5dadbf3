"""`aln-p3 export`: the deployed graph of a driver, for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.options import SEEDS, parse_overrides
from aln_p3_core.commands.outputs import output_file, refuse_own_source
from aln_p3_core.weights import SHIPPED, resolve_checkpoint
from aln_p3_core.whole_files import write_problem

if TYPE_CHECKING:
    from aln_p3_core.driver import Driver
    from aln_p3_core.frame import DrivingFrame
    from aln_p3_core.runtime.export import ExportFormat

_EPILOG = """
\b
Examples
  # The driver that ships with the package, compared on three frames:
  aln-p3 export nano --out out/nano.onnx --check data/world
\b
  # One that was trained, as a torch program beside its checkpoint:
  aln-p3 export out/nano/driver.safetensors --format torch
"""


@click.command("export", epilog=_EPILOG)
@click.argument("driver", metavar="NAME|CHECKPOINT|RECIPE")
@click.option("--format", "kind", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="File to write, .onnx or .pt2 as --format says [default: beside the checkpoint].",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting of a recipe.")
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Seed of a recipe's untrained weights.")
@click.option(
    "--cameras-per-cell",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Most cameras that one BEV cell reads (docs/export.md).",
)
@click.option(
    "--check",
    "check_root",
    type=click.Path(exists=True, file_okay=False),
    help="Compare with the network on the first frames of this nuScenes-schema root.",
)
@click.option("--frames", default=3, type=click.IntRange(min=1), show_default=True, help="Frames to compare.")
def command(
    driver: str,
    kind: str,
    out: Path | None,
    overrides: tuple[str, ...],
    seed: int,
    cameras_per_cell: int,
    check_root: str | None,
    frames: int,
) -> None:
    """Writes the driver's network as one file that runs without this package: ONNX, or a torch program (.pt2).

    Pictures (uint8) and projections in, raw outputs out, float32, batch 1. With --check both drive the same frames;
    the exit code is 1 when any output differs by more than rounding.

    nano is the driver that ships with the package; untrained:nano (or --set) its recipe with untrained heads.
    """
    from aln_p3_core.driver import Driver
    from aln_p3_core.runtime.export import export_driver, require_onnx
    from aln_p3_core.world.planners.registry import UNTRAINED

    format: ExportFormat = "onnx" if kind == "onnx" else "torch"
    if format == "onnx":
        require_onnx()
    settings = parse_overrides(overrides)
    if Path(driver).is_file() and settings:
        raise click.UsageError("--set changes a recipe; a checkpoint brings its own settings")
    path = _target(driver, out, format)
    compared = _frames(check_root, frames) if check_root else []
    if Path(driver).is_file() or (driver in SHIPPED and not settings):
        eager = Driver.from_checkpoint(driver, device="cpu", precision="fp32")
    elif driver.startswith(UNTRAINED):
        recipe = driver.removeprefix(UNTRAINED)
        eager = Driver.from_recipe(recipe, overrides=settings, seed=seed, device="cpu", precision="fp32")
    elif Path(driver).suffix or "/" in driver:
        raise click.UsageError(f"no checkpoint at {driver}")
    else:
        eager = Driver.from_recipe(driver, overrides=settings, seed=seed, device="cpu", precision="fp32")
    click.echo(f"tracing {eager.description} (a minute or less for nano)")
    metadata = export_driver(
        eager.network,
        path,
        format,
        description=eager.description,
        weights_hash=eager.checkpoint_hash,
        cameras_per_cell=cameras_per_cell,
    )
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB), weights {metadata['sha256'][:12]}")
    if check_root:
        _check(eager, path, check_root, compared)


def _target(driver: str, out: Path | None, format: ExportFormat) -> Path:
    """The file to write. Raises UsageError for one that could not be loaded, or holds what is read."""
    from aln_p3_core.runtime.export import SUFFIXES

    if Path(driver).is_file() and Path(driver).suffix in SUFFIXES.values():
        raise click.UsageError(f"{driver} is exported already: name the checkpoint that it was made of")
    path = out or Path(driver.replace(":", "-")).with_suffix(SUFFIXES[format])
    refuse_own_source(path, resolve_checkpoint(driver))
    if path.suffix != SUFFIXES[format]:
        raise click.UsageError(f"--out must end in {SUFFIXES[format]}, by which it is loaded, got {path}")
    if problem := write_problem(path.parent):
        raise click.UsageError(f"{path} cannot be written: {problem}; name another file with --out")
    return path


def _frames(root: str, count: int) -> list[DrivingFrame]:
    """The first frames of a root."""
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

    dataset = NuScenesDataset(root)
    return [dataset.frame(token) for token in dataset.scene_tokens(dataset.scenes[0])[:count]]


def _check(eager: Driver, path: Path, root: str, frames: list[DrivingFrame]) -> None:
    from aln_p3_core.runtime.export_check import compare_drivers, error_table
    from aln_p3_core.runtime.exported_driver import ExportedDriver
    from aln_p3_core.runtime.loading import load_driver

    exported = load_driver(path)
    assert isinstance(exported, ExportedDriver)
    errors = compare_drivers(eager, exported, frames)
    click.echo(f"{exported.description}, {len(frames)} frames of {root}:")
    click.echo(error_table(errors))
    if exported.dropped_pairs:
        click.echo(f"{exported.dropped_pairs} (camera, cell) pairs left out: export with more --cameras-per-cell")
    failed = [error.name for error in errors if not error.passed]
    if failed:
        raise click.ClickException(f"not equal: {', '.join(failed)}")
    click.echo("equal within rounding")
