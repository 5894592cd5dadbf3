"""`aln-p3 world film`: films of a route that was driven, now or long ago."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.commands.options import NumberRange
from aln_p3_core.commands.outputs import output_folder
from aln_p3_core.whole_files import write_problem

if TYPE_CHECKING:
    from aln_p3_core.world.closed_loop.route_task import RouteTask
    from aln_p3_core.world.closed_loop.trace import Trace


@click.command("film")
@click.argument("route", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="ROUTE.json")
@click.option("--view", type=click.Choice(["bev", "cameras", "both"]), default="both", show_default=True)
@click.option("--format", "film_format", type=click.Choice(["gif", "mp4"]), default="gif", show_default=True)
@click.option("--fps", type=NumberRange(0.1, 10.0), default=5.0, show_default=True, help="Pictures a second, up to 10.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    help="Folder for the films [default: the route's].",
)
def command(route: Path, view: str, film_format: str, fps: float, out: Path | None) -> None:
    """Films a route that `aln-p3 world drive --report` wrote: from above, and through the six cameras.

    The route's trace (ROUTE.npz, kept with --traces) says what happened; without one the route is driven again, which
    gives the same. The cameras are rendered anew, in the drive's weather, also where it was driven without them.

    \b
    Example
      aln-p3 world film out/table/routes/expert/cut_in-iris-bridge-4-day-0.json --view cameras --format mp4
    """
    from aln_p3_core.world.closed_loop.drives import find_drive
    from aln_p3_core.world.closed_loop.route_task import (
        AUTO,
        Filming,
        PlannerChoice,
        RouteTask,
        closed_stage,
        make_films,
        read_report,
    )
    from aln_p3_core.world.closed_loop.settings import DriveSettings
    from aln_p3_core.world.closed_loop.trace import Trace

    folder = out or route.parent
    if problem := write_problem(folder):
        raise click.UsageError(f"{problem}: name another folder with --out")
    report = read_report(route)
    task = RouteTask(
        what=find_drive(report["episode"]),
        planner=PlannerChoice(report["planner"], report["planner_name"], report["checkpoint_hash"]),
        settings=DriveSettings.from_json(report["settings"]),
        folder=folder,
        films=Filming(("bev", "cameras") if view == "both" else (view,), film_format, fps, fps),
        threads=report["threads"],
        precision=report.get("precision") or AUTO,
    )
    stored = route.with_suffix(".npz")
    trace = Trace.load(stored) if stored.exists() else _drive_again(task, report)
    task.folder.mkdir(parents=True, exist_ok=True)
    make_films(report, trace, closed_stage(task.what), task)
    for name in task.films.views:
        click.echo(f"wrote {task.film_path(name)}")


def _drive_again(task: RouteTask, report: dict[str, Any]) -> Trace:
    from aln_p3_core.world.closed_loop.drives import open_drive
    from aln_p3_core.world.closed_loop.route_task import drive_opened

    result = drive_opened(task, open_drive(task.what), task.settings)
    if result.measures.to_json() != report["measures"]:
        click.echo("the route went otherwise this time: it was driven with other code or another checkpoint", err=True)
        report["measures"] = result.measures.to_json()
    assert result.trace is not None
    return result.trace
