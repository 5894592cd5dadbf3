"""`aln-p3 demo`: the whole road, driven in the embedded world or on recorded images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.options import NumberRange
from aln_p3_core.commands.outputs import output_folder
from aln_p3_core.whole_files import write_text

if TYPE_CHECKING:
    from aln_p3_ros.bringup.demo import DemoFiles
    from aln_p3_ros.bringup.demo_drive import DemoDriver

#: Driver that looks at the clip where the driver asked for cannot.
_FALLBACK = "nano"
_ABOVE_0 = NumberRange(min=0.0, min_open=True)


@click.command("demo")
@click.option(
    "--driver",
    default="nano",
    show_default=True,
    help="Who drives: nano (the trained driver that ships), expert (or another planner), a checkpoint's file, or "
    "untrained:RECIPE.",
)
@click.option(
    "--explainer",
    default="auto",
    show_default=True,
    metavar="auto|off|NAME|FILE",
    help="Who says what the driver does and why: the explainer that ships with the driver, where one does; nobody; an "
    "explainer's file.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Replay this nuScenes-schema root instead of driving.")
@click.option(
    "--out",
    default="out/demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    help="Folder for everything that is left behind.",
)
@click.option(
    "--rate", type=_ABOVE_0, help="Of a replay: recorded seconds per second [default: 1, slower if very short]."
)
@click.option("--seconds", type=_ABOVE_0, help="How long: simulated seconds of a drive [60], seconds of a replay [20].")
@click.option(
    "--timeout", "timeout_s", type=_ABOVE_0, default=900.0, show_default=True, help="Longest wait for the result, s."
)
def command(
    driver: str,
    explainer: str,
    data: Path | None,
    out: Path,
    rate: float | None,
    seconds: float | None,
    timeout_s: float,
) -> None:
    """Drives a minute in the embedded world through ROS 2; leaves films, pictures, an MCAP bag and tables.

    Where the world's cameras cannot be rendered, and with --data, recorded images are replayed to the driver instead.
    Ctrl-C ends all nodes; the bag is then whole as far as it goes.

    \b
    Examples
      aln-p3 demo
      aln-p3 demo --driver out/nano/driver.safetensors --explainer off --seconds 20 --out out/mine
      aln-p3 demo --data data/nuscenes --seconds 30
    """
    from aln_p3_core.world.render.available import rendering_problem
    from aln_p3_ros.bringup.demo_drive import demo_driver, demo_explainer

    who = demo_driver(driver)
    speaker = demo_explainer(who, explainer)
    out.mkdir(parents=True, exist_ok=True)
    problem = None if data is not None else rendering_problem()
    if data is None and problem is None:
        _drive(who, speaker, out, 60.0 if seconds is None else seconds, timeout_s)
        return
    if problem is not None:
        click.echo(f"The world's cameras cannot be rendered on this machine: {problem}")
        click.echo("Until then a recorded clip of the world is replayed, whose images do not answer to the plan.")
        if who.is_autopilot:
            click.echo(
                f"The planner {driver!r} drives by the world's ground truth, so {_FALLBACK!r} looks at the clip."
            )
            who = demo_driver(_FALLBACK)
            speaker = demo_explainer(who, explainer)
    if who.is_autopilot:
        raise click.UsageError(f"a replay needs a driver that looks at images, not the planner {driver!r}")
    _replay(data, who, speaker, out, rate, 20.0 if seconds is None else seconds, timeout_s)


def _drive(who: DemoDriver, speaker: str, out: Path, seconds: float, timeout_s: float) -> None:
    from aln_p3_ros.bringup.demo_drive import run_drive_demo
    from aln_p3_ros.bringup.demo_films import make_demo_films
    from aln_p3_ros.bringup.demo_summary import drive_table, summarise_run

    click.echo(f"who drives: {who.said}")
    demo = run_drive_demo(who, out, seconds=seconds, timeout_s=timeout_s, say=click.echo, explainer=speaker)
    parts = [f"who drives: {who.said}\n", drive_table(demo.report, demo.wall_s)]
    if not who.is_autopilot:
        parts.append(summarise_run(demo.files.bag, lockstep=True).markdown())
    click.echo("making the films")
    films = make_demo_films(demo, out)
    _finish(demo.files, out, "\n".join(parts), say=click.echo)
    for film in films:
        click.echo(f"film      {film}")
    click.echo(f"drive     {demo.trace.parent}/   (result and trace)")


def _replay(
    data: Path | None,
    who: DemoDriver,
    speaker: str,
    out: Path,
    rate: float | None,
    seconds: float,
    timeout_s: float,
) -> None:
    from aln_p3_core.world.clip import unpack_clip
    from aln_p3_ros.bringup.demo import run_replay_demo
    from aln_p3_ros.bringup.demo_summary import summarise_run

    root = data if data is not None else unpack_clip(out / "clip")
    click.echo(f"who drives: {who.said}")
    files = run_replay_demo(
        root,
        out,
        rate=rate,
        seconds=seconds,
        timeout_s=timeout_s,
        driver_arguments=who.arguments,
        note=who.note,
        say=click.echo,
        explainer=speaker,
    )
    _finish(files, out, summarise_run(files.bag, files.rate).markdown(), say=click.echo)


def _finish(files: DemoFiles, out: Path, summary: str, say: Callable[[str], None]) -> None:
    write_text(out / "summary.md", summary)
    say("\n" + summary)
    for name in ("mosaic", "bev"):
        newest = max(files.pictures.glob(f"*{name}*.png"), default=None)
        if newest is not None:
            shutil.copy(newest, out / f"{name}.png")
            say(f"picture   {out / name}.png")
    say(f"all       {files.pictures}/")
    say(f"bag       {files.bag}/   (aln-p3 bag info {files.bag})")
    say(f"table     {out / 'summary.md'}")
    say(f"log       {files.log}")
