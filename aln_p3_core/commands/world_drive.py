"""`aln-p3 world drive`: planners in closed loop, on sets of routes, single episodes or recorded logs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aln_p3_core.commands.options import SEEDS, NumberRange, parse_size
from aln_p3_core.commands.outputs import output_folder
from aln_p3_core.world.weather import Condition

if TYPE_CHECKING:
    from aln_p3_core.world.closed_loop.campaign import CampaignRoute
    from aln_p3_core.world.closed_loop.reported_campaign import CampaignPlan
    from aln_p3_core.world.closed_loop.route_task import RouteDriver
    from aln_p3_core.world.closed_loop.settings import DriveSettings

_EPILOG = """
\b
Examples
  # The expert and a planner that sees nobody, 20 routes with 3 seeds each:
  aln-p3 world drive --planner expert --planner route_blind --routes all --seeds 3 --report out/table
\b
  # Every baseline, in two processes, with a film from above of each route:
  aln-p3 world drive --planner baselines --routes scenarios --jobs 2 --film bev --report out/baselines
\b
  # The driver that ships with the package:
  aln-p3 world drive --planner nano --routes quick --film both --report out/nano
\b
  # A trained driver on cities that nothing was chosen by, cameras and plans at 10 Hz:
  aln-p3 world drive --planner out/nano/driver.safetensors --split heldout --rate 10 --report out/final
\b
  # One episode, looked at:
  aln-p3 world drive --planner expert --scenario cut_in --city iris-bridge --seed 4 --film both --report out/one
\b
  # A recorded log: against the human who drove it, others answering a car that departs from the recording:
  aln-p3 world drive --planner expert --log scene.npz --log-mode react --report out/log
\b
  # States that a driver reaches, labelled with what the expert would do there, to train on:
  aln-p3 world drive --planner out/planner/driver.safetensors --routes all --split train --relabel expert \\
      --out out/dagger
\b
A route that is in the report already (same planner, settings, commit) is not driven again, so a campaign that was
interrupted goes on where it stopped: call it again. docs/closed_loop.md defines every measure.
"""


def make_command(ros_drive: RouteDriver | None = None) -> click.Command:
    """The command `drive`.

    Args:
        ros_drive: drives one route through ROS topics, for `--ros`; None says where that is to be had.
    """

    @click.command("drive", epilog=_EPILOG)
    @click.option(
        "--planner",
        "planners",
        multiple=True,
        required=True,
        metavar="NAME|CHECKPOINT",
        help="Who drives; repeatable: stand_still, constant_velocity, constant_curvature, route_blind, expert, "
        "nano (the driver that ships), untrained:RECIPE, a checkpoint (or a folder that holds nothing else; "
        "unguarded: before it drives it without its guard), or `baselines` for all that have names.",
    )
    @click.option("--routes", metavar="SET", help="quick, free, scenarios or all [default: quick].")
    @click.option(
        "--seeds", type=click.IntRange(1), default=1, show_default=True, help="Repetitions of the set with other seeds."
    )
    @click.option("--split", default="val", show_default=True, help="Of the cities; choose on val, publish on heldout.")
    @click.option(
        "--report",
        "out",
        type=click.Path(file_okay=False, path_type=Path),
        callback=output_folder,
        help="Folder for JSON files, table, plot, page and films. Required, unless --relabel records instead.",
    )
    @click.option("--rate", "rate_hz", default=2, show_default=True, help="Plans a second: 1, 2, 4, 5, 10 or 20.")
    @click.option("--size", default="400x225", show_default=True, help="Of the cameras: 400x225, 800x450, 1600x900.")
    @click.option("--images/--no-images", default=None, help="Render the cameras [default: if the planner looks].")
    @click.option(
        "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes. They never change a result."
    )
    @click.option(
        "--threads",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="CPU threads of a network in each process.",
    )
    @click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Of a network; auto is what this machine computes fastest in. Every route's JSON says which it was.",
    )
    @click.option("--film", type=click.Choice(["none", "bev", "cameras", "both"]), default="none", show_default=True)
    @click.option("--film-format", type=click.Choice(["gif", "mp4"]), default="gif", show_default=True)
    @click.option("--traces", is_flag=True, help="Keep every drive's trace, for `aln-p3 world film` afterwards.")
    @click.option("--scenario", metavar="NAME", help="One episode in place of a set.")
    @click.option("--city", metavar="NAME", help="Of that episode [default: the first of the split].")
    @click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of that episode.")
    @click.option("--condition", type=click.Choice([c.value for c in Condition]), help="Of an episode or log.")
    @click.option(
        "--log",
        "logs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE.npz",
        help="A recorded log in place of a set; repeatable. The human driver gets a row too.",
    )
    @click.option(
        "--log-mode",
        type=click.Choice(["replay", "react"]),
        default="replay",
        show_default=True,
        help="Others move as recorded, or react once the car departs from the recording.",
    )
    @click.option(
        "--time-limit",
        "time_limit_s",
        type=NumberRange(0.0, min_open=True),
        help="Of every drive, s [default: the episode's own].",
    )
    @click.option(
        "--relabel",
        type=click.Choice(["expert"]),
        help="Record the states that the planner reaches into the data set --out, with what this teacher would do "
        "there as the target (DAgger), instead of measuring.",
    )
    @click.option(
        "--out",
        "root",
        type=click.Path(file_okay=False, path_type=Path),
        callback=output_folder,
        help="Data set of --relabel.",
    )
    @click.option(
        "--ros", is_flag=True, help="Drive through ROS topics, in lock-step: the same result. Not unguarded:."
    )
    @click.option("--fresh", is_flag=True, help="Drive again what is in the report already.")
    def command(
        planners: tuple[str, ...],
        routes: str | None,
        seeds: int,
        split: str,
        out: Path | None,
        rate_hz: int,
        size: str,
        images: bool | None,
        jobs: int,
        threads: int,
        precision: str,
        film: str,
        film_format: str,
        traces: bool,
        scenario: str | None,
        city: str | None,
        seed: int,
        condition: str | None,
        logs: tuple[Path, ...],
        log_mode: str,
        time_limit_s: float | None,
        relabel: str | None,
        root: Path | None,
        ros: bool,
        fresh: bool,
    ) -> None:
        """Drives in closed loop and measures it.

        Every planner drives every route in lock-step: the world waits for its plan, follows it, and everybody else
        reacts. What comes out is one JSON file a route, a table with driving score, success rate and every
        infraction, a plot and a page (index.html) that shows them.
        """
        from aln_p3_core.world.closed_loop.reported_campaign import CampaignPlan
        from aln_p3_core.world.closed_loop.route_task import Filming
        from aln_p3_core.world.closed_loop.settings import DriveSettings

        if ros and ros_drive is None:
            raise click.UsageError(
                "--ros needs the command line of the ROS package: call `aln-p3` where aln_p3_ros is installed, "
                "not `python -m aln_p3_core`; without --ros the result is the same"
            )
        if sum((routes is not None, scenario is not None, bool(logs))) > 1:
            raise click.UsageError("choose one of --routes, --scenario and --log")
        settings = DriveSettings(rate_hz, parse_size(size), images, time_limit_s)
        views = {"none": (), "both": ("bev", "cameras")}.get(film, (film,))
        chosen, said = _routes(routes, seeds, split, scenario, city, seed, condition, logs, log_mode)
        if relabel:
            _relabel(planners, chosen, settings, split, root, jobs, precision)
            return
        if out is None:
            raise click.UsageError("say where the report goes: --report DIR")
        plan = CampaignPlan(
            planners=[*planners, *(["human"] if logs else [])],
            routes=chosen,
            said=said,
            seeds=seeds if not (scenario or logs) else 1,
            split=split,
            settings=settings,
            command=shlex.join(["aln-p3", *sys.argv[1:]]),
            films=Filming(views, film_format),
            jobs=jobs,
            threads=threads,
            precision=precision,
            fresh=fresh,
            options={"keep_trace": traces, "through": "ros" if ros else "python"},
        )
        _drive(plan, out, ros_drive if ros else None)

    return command


def _routes(
    routes: str | None,
    seeds: int,
    split: str,
    scenario: str | None,
    city: str | None,
    seed: int,
    condition: str | None,
    logs: tuple[Path, ...],
    log_mode: str,
) -> tuple[list[CampaignRoute], str]:
    """What is driven, and that in words."""
    from aln_p3_core.world.closed_loop.campaign import CampaignRoute, seeded_routes
    from aln_p3_core.world.closed_loop.drives import LogDrive
    from aln_p3_core.world.scenarios import make_episode
    from aln_p3_core.world.traffic.recorded_log import RecordedLog
    from aln_p3_core.world.weather import Weather, draw_weather

    if logs:
        weather = Weather(Condition(condition or "day"))
        found = [CampaignRoute(LogDrive(path, log_mode, weather)) for path in logs]
        for path in logs:
            RecordedLog.load(path)  # one that is none is told before anything is driven
        return found, f"{len(logs)} logs, {log_mode}"
    if scenario:
        from aln_p3_core.world.city.cities import cities_of

        weather = draw_weather(seed, Condition(condition) if condition else None)
        episode = make_episode(scenario, city or cities_of(split)[0], seed, weather=weather)
        return [CampaignRoute(episode)], episode.name
    if condition:
        raise click.UsageError("--condition goes with --scenario or --log; a set of routes brings its own weather")
    name = routes or "quick"
    found = seeded_routes(name, seeds, split=split)
    return found, f"{name} routes, {seeds} seed{'s' if seeds > 1 else ''}, split {split}"


def _drive(plan: CampaignPlan, out: Path, via: RouteDriver | None) -> None:
    from aln_p3_core.world.closed_loop.reported_campaign import drive_and_report

    outcome, files = drive_and_report(plan, out, via=via)
    click.echo(files["table"].read_text(encoding="utf-8"))
    if outcome.reused:
        drives = len(outcome.reports) + len(outcome.errors)
        click.echo(f"{outcome.reused} of {drives} drives were in the report already (--fresh drives them again)")
    click.echo(f"wrote {files['page']}")
    if outcome.errors:
        raise click.ClickException(f"{len(outcome.errors)} routes could not be driven; see {files['page']}")


def _relabel(
    planners: tuple[str, ...],
    routes: list[CampaignRoute],
    settings: DriveSettings,
    split: str,
    root: Path | None,
    jobs: int,
    precision: str,
) -> None:
    from aln_p3_core.commands.world_record import report
    from aln_p3_core.world.episode import Episode
    from aln_p3_core.world.planners.registry import PLANNERS
    from aln_p3_core.world.recorder.relabel import record_driven
    from aln_p3_core.world.recorder.settings import SCENE_S, RecordSettings

    episodes = [route.what for route in routes if isinstance(route.what, Episode)]
    if root is None or len(planners) != 1 or len(episodes) < len(routes):
        raise click.UsageError("--relabel records one planner on routes or an episode (no --log) into --out ROOT")
    seconds = settings.time_limit_s or SCENE_S
    recording = RecordSettings(size=settings.size, rate_hz=settings.rate_hz, duration_s=seconds)
    options = {} if planners[0] in PLANNERS else {"precision": precision}
    done = record_driven(
        root, planners[0], episodes, split=split, settings=recording, options=options, jobs=jobs, progress=True
    )
    report(root, done)


command = make_command()
