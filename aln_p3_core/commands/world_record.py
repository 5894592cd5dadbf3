"""`aln-p3 world record`: the embedded world as a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.options import SEEDS, NumberRange, parse_size
from aln_p3_core.commands.outputs import output_folder

if TYPE_CHECKING:
    from aln_p3_core.world.recorder.recording import Recorded

_CONDITIONS = ("day", "dusk", "night", "rain")
_SPLITS = ("train", "val", "heldout", "mini")


@click.command("record")
@click.option(
    "--out",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    required=True,
    help="The data set.",
)
@click.option("--scenes", type=click.IntRange(1), default=4, show_default=True, help="Scenes of the split, in all.")
@click.option("--split", type=click.Choice(_SPLITS), default="train", show_default=True)
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of everything drawn by lot.")
@click.option("--size", help="Pictures: 400x225, 800x450 or 1600x900 [default: 400x225, or as --calibration has them].")
@click.option(
    "--jobs", type=click.IntRange(1), help="Processes; each holds about 0.5 GB [default: one a CPU core, 8 at most]."
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play back this recorded drive (.npz) instead of episodes; may be repeated.",
)
@click.option("--condition", type=click.Choice(_CONDITIONS), help="Of every scene [default: drawn by lot].")
@click.option("--sweeps", is_flag=True, help="Pictures and LiDAR at 10 Hz: five times the rendering.")
@click.option("--no-language", is_flag=True, help="Without narration, captions and questions.")
@click.option(
    "--wording",
    type=click.Choice(_SPLITS),
    help="Split whose words are used, so that scores of texts measure content and not vocabulary [default: each "
    "split has words of its own].",
)
@click.option("--no-perturb", is_flag=True, help="Never push the expert off its way.")
@click.option("--halts", is_flag=True, help="Also bring it to a stand now and then, so that it shows how to start.")
@click.option("--antialias", is_flag=True, help="Four samples a pixel.")
@click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Cameras of this .json or .yaml instead of the world's own; --size WIDTHxHEIGHT scales them to that width.",
)
@click.option("--seconds", type=NumberRange(0.5, 200.0), default=20.0, show_default=True, help="Length of a scene.")
@click.option("--quality", type=click.IntRange(1, 100), default=90, show_default=True, help="Of the JPEG files.")
def command(
    root: Path,
    scenes: int,
    split: str,
    seed: int,
    size: str | None,
    jobs: int | None,
    logs: tuple[Path, ...],
    condition: str | None,
    sweeps: bool,
    no_language: bool,
    wording: str | None,
    no_perturb: bool,
    halts: bool,
    antialias: bool,
    calibration: Path | None,
    seconds: float,
    quality: int,
) -> None:
    """Records drives through the embedded world as a data set in nuScenes schema.

    Scenes of 20 s with key frames at 2 Hz: six cameras, LIDAR_TOP, boxes with tracks and visibility, ego poses, CAN
    bus, map expansion, the expert's plan and the route's command at every key frame, and language annotations. The
    expert drives; now and then it is pushed off its way and comes back. The devkit loads the root as version
    v1.0-world.

    \b
    A first look, and pictures and figures of it:
      aln-p3 world record --out out/world --scenes 2 --split mini
      aln-p3 draw out/world
      aln-p3 world stats out/world
    To learn from and to choose by (a root may hold several splits):
      aln-p3 world record --out out/world --scenes 200 --split train --jobs 8
      aln-p3 world record --out out/world --scenes 40 --split val --jobs 8
    Real traffic and a human driver, in rendered pictures:
      aln-p3 world record --out out/log --log scene-0061.npz

    Killed or interrupted, the same command goes on where it stopped and ends with the same bytes. More --scenes add
    scenes. Other settings are refused: a root holds one kind of data.
    """
    from aln_p3_core.world.recorder.record_log import log_tasks, read_logs
    from aln_p3_core.world.recorder.recording import record_root
    from aln_p3_core.world.recorder.settings import RecordSettings, read_rig
    from aln_p3_core.world.recorder.take import SceneTask

    width, height = parse_size(size) if size else (400, 225)
    rig = read_rig(calibration, width if size else None) if calibration else None
    settings = RecordSettings(
        driver="human" if logs else "expert",
        seed=seed,
        size=(400, 225) if rig else (width, height),
        duration_s=seconds,
        condition=condition or "",
        perturb=not (no_perturb or logs),
        halts=halts,
        sweeps=sweeps,
        language=not no_language,
        wording=wording or "",
        quality=quality,
        antialias=antialias,
    )
    # A log that is none is told before the root is made.
    read_logs(logs)
    recorded = record_root(
        root,
        settings,
        (lambda: log_tasks(root, split, logs)) if logs else [SceneTask(split, index) for index in range(scenes)],
        rig=rig,
        jobs=jobs or min(8, len(os.sched_getaffinity(0))),
        progress=True,
    )
    report(root, recorded)


def report(root: Path, recorded: Recorded) -> None:
    """Says what a recording came to; ends with exit code 1 when a scene failed."""
    rate = recorded.key_frames / max(recorded.seconds, 1e-9)
    if recorded.new:
        click.echo(
            f"{root}: {_scenes(len(recorded.new))}, {recorded.key_frames} key frames in {recorded.seconds:.1f} s "
            f"({rate:.1f} key frames a second); {_scenes(len(recorded.scenes))} in all"
        )
    elif not recorded.failed:
        click.echo(f"{root}: nothing was missing; {_scenes(len(recorded.scenes))} in all")
    if recorded.failed:
        for scene, problem in recorded.failed.items():
            click.echo(f"\n{scene}:\n{problem.rstrip()}", err=True)
        raise click.ClickException(f"{_scenes(len(recorded.failed))} failed, see above; the same command tries again")


def _scenes(count: int) -> str:
    return f"{count} scene{'' if count == 1 else 's'}"
