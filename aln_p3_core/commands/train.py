"""`aln-p3 train`: from recorded data to a driver."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.commands.options import checkpoint_file, explainer_file, parse_overrides
from aln_p3_core.commands.outputs import output_folder
from aln_p3_core.training.launch import Start

if TYPE_CHECKING:
    from aln_p3_core.config import DriverConfig
    from aln_p3_core.training.settings import TrainingConfig


@click.command("train")
@click.argument("recipe")
@click.option("--data", "roots", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="nuScenes-schema root; may be repeated.")  # fmt: skip
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              help="Folder of the run.")  # fmt: skip
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE",
              help="Change a setting: optimizer.learning_rate=1e-4, stages.0.steps=9, driver.bev.rows=40")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the run's newest checkpoint.")
@click.option("--init", callback=checkpoint_file, metavar="NAME|FILE",
              help="Checkpoint to take weights from, or the shipped driver nano.")  # fmt: skip
@click.option("--init-explainer", callback=explainer_file, metavar="NAME|FILE",
              help="Explainer to take weights from, in trainings with one, or the shipped one, nano.")  # fmt: skip
@click.option("--fresh", multiple=True, metavar="PART",
              help="Part that starts anew in spite of --init: planner, motion, ...; may be repeated.")  # fmt: skip
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), callback=output_folder,
              help="Folder of prepared frames and features [default: the user's cache].")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), help="Processes that prepare frames [default: one a core].")
@click.option("--settings", "list_settings", is_flag=True, help="List every setting with its meaning, and stop.")
@click.option(
    "--prepare", is_flag=True, help="Prepare the frames that the training will read, without a GPU, and stop."
)
@click.option("--dry-run", is_flag=True,
              help="Check data and settings, tell what the training would be and what is missing for it (exit code 1 "
              "then), and stop.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(
    recipe: str,
    roots: tuple[Path, ...],
    folder: Path | None,
    pairs: tuple[str, ...],
    resume: bool,
    init: Path | None,
    init_explainer: Path | None,
    fresh: tuple[str, ...],
    cache: Path | None,
    jobs: int | None,
    list_settings: bool,
    prepare: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Trains the driver of a RECIPE (nano, nano_planner, tiny, base) on recorded data, or
    driver and explainer together (nano_speak, nano_joint, aln_p3_base).

    \b
    Data first, then a training for two CPU cores:
      aln-p3 world record --out out/world --split train --scenes 300 --jobs 2
      aln-p3 world record --out out/world --split val --scenes 20 --jobs 2
      aln-p3 train nano --data out/world --out out/nano
    Broken off? The same command with --resume goes on as if nothing had happened.
    Several processes, each with a part of every batch:
      torchrun --nproc-per-node 2 -m aln_p3_core train nano --data out/world --out out/nano

    \b
    Words for a trained driver: the explainer alone; or first the explainer, then both, tied by the alignments P1A, P2A
    and P3A:
      aln-p3 train nano_speak --data out/world --out out/speak --init nano
      aln-p3 train nano_joint --data out/world --out out/joint --init nano

    The run's folder gets driver.safetensors (best on the validation split; drive with it by
    `aln-p3 world drive --planner out/nano/driver.safetensors`), last.safetensors, checkpoints,
    log.jsonl, losses.png, validation.png, time.png, pictures, TensorBoard files and run.json.
    """
    from aln_p3_core.training.recipes import training_recipe

    driver, config = training_recipe(recipe, parse_overrides(pairs))
    if list_settings:
        _list(driver, config)
        return
    if dry_run:
        _describe(
            Start(recipe, roots, folder, pairs, init, init_explainer, fresh, cache, jobs, resume, quiet), driver, config
        )
        return
    if not roots:
        raise click.UsageError("--data ROOT is missing: a recorded world, or nuScenes")
    jobs = jobs or len(os.sched_getaffinity(0))
    if prepare:
        from aln_p3_core.training.settings_check import check_settings
        from aln_p3_core.training.training_data import prepare_frames

        check_settings(driver, config)
        frames = prepare_frames(roots, driver, config, cache=cache, jobs=jobs, progress=not quiet)
        click.echo(f"{frames} frames are prepared")
        return
    if folder is None:
        raise click.UsageError("--out RUN is missing: the folder of the run")
    from aln_p3_core.device import slow_precision
    from aln_p3_core.training.trainer import Trainer

    options: dict[str, Any] = {"init": init, "fresh": fresh, "init_explainer": init_explainer}
    trainer = Trainer(driver, config, folder, resume=resume, **options)
    if trainer.accelerator.is_main_process and (
        note := slow_precision(config.run.precision, trainer.accelerator.device)
    ):
        click.echo(f"note: {note}", err=True)
    trainer.run(list(roots), cache=cache, jobs=jobs, progress=not quiet)
    main = trainer.accelerator.is_main_process
    if trainer.stopped:
        if main:
            click.echo(f"stopped at step {trainer.step} with a checkpoint: the same command with --resume goes on")
        raise SystemExit(128 + trainer.stop_signal)
    if not main:
        return
    if trainer.best:
        click.echo(f"best at step {trainer.best['step']:.0f}: {config.run.best_by} {trainer.best['measure']:.3f}")
    for name in ("driver", "explainer"):
        if (folder / f"{name}.safetensors").is_file():
            click.echo(f"{name}: {folder / name}.safetensors")


def _list(driver: DriverConfig, config: TrainingConfig) -> None:
    from aln_p3_core.training.recipes import DRIVER_PREFIX
    from aln_p3_core.training.settings_tree import flatten

    for tree, prefix in ((config, ""), (driver, DRIVER_PREFIX)):
        for name, value, meaning in flatten(tree, prefix):
            click.echo(click.style(f"{name} = {value!r}", bold=True))
            if meaning:
                click.echo(click.wrap_text(meaning, 100, "    ", "    "))


def _describe(start: Start, driver: DriverConfig, config: TrainingConfig) -> None:
    """What the training would be, and what is missing for it."""
    from aln_p3_core.training.dry_run import dry_run

    told = dry_run(start, driver, config)
    width = max(len(name) for name, _ in told.rows)
    for name, value in told.rows:
        click.echo(f"{name:<{width}}  {value}")
    for title, lines in (("worth knowing:", told.notes), ("missing before it can start:", told.missing)):
        if lines:
            click.echo(click.style(title, bold=True))
        for line in dict.fromkeys(lines):
            click.echo(f"  {line}")
    if told.missing:
        raise SystemExit(1)
