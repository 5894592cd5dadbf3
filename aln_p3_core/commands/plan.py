"""`aln-p3 plan`: one frame, without ROS."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.commands.options import SCORES, driver_options, frame_options, make_driver
from aln_p3_core.commands.outputs import output_file
from aln_p3_core.whole_files import write_json

if TYPE_CHECKING:
    from aln_p3_core.frame import DrivingFrame


@click.command("plan")
@click.argument("root", type=click.Path(exists=True, file_okay=False))
@click.option("--sample", help="Token of the key frame [default: the first one].")
@driver_options
@frame_options(history=0)
@click.option(
    "--min-score",
    type=SCORES,
    default=0.3,
    show_default=True,
    help="Agents and lines below it are left out.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="Write plan, scene and hashes here.",
)
@click.option(
    "--picture",
    "picture_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="PNG to write [default: beside the JSON].",
)
def command(
    root: str,
    sample: str | None,
    route: str | None,
    history: int,
    min_score: float,
    json_path: Path | None,
    picture_path: Path | None,
    **driver_settings: Any,
) -> None:
    """Plans one frame of a nuScenes-schema ROOT and writes the plan, a picture and output hashes.

    \b
    Example
      aln-p3 plan data/world --history 2 --json out/plan.json

    The same through Python:

    \b
        from aln_p3_core.datasets.nuscenes import NuScenesDataset
        from aln_p3_core.driver import Driver
        dataset = NuScenesDataset("data/nuscenes")
        scene = Driver.from_checkpoint("nano").plan(dataset.frame(dataset.tokens[0]))
    """
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.runtime.plan_report import plan_report

    picture_path = picture_path or (json_path.with_suffix(".png") if json_path else None)
    if json_path is not None and json_path == picture_path:
        raise click.UsageError(f"{json_path} cannot be plan and picture: give --json another ending, such as .json")
    dataset = NuScenesDataset(root)
    token = sample or dataset.tokens[0]
    frames = [with_command(dataset, t, route) for t in tokens_until(dataset, token, history)]
    driver = make_driver(**driver_settings)
    driver.warm_up()
    for frame in frames[:-1]:
        driver.infer(frame)
    inference = driver.infer(frames[-1])
    scene = driver.guard(driver.scene(inference), frames[-1])
    report = plan_report(driver, inference, scene, min_score=min_score)

    click.echo(f"sample {token}, {driver.description}, {driver.precision} on {driver.device}")
    click.echo(f"command {report['command']['value']} ({report['command']['provenance']})")
    click.echo(" time s   x forward m   y left m   heading deg")
    for time_s, (x, y), heading in zip(
        report["plan"]["times_s"], report["plan"]["points_ego"], report["plan"]["headings_ego_rad"], strict=True
    ):
        click.echo(f"{time_s:7.1f} {x:13.2f} {y:10.2f} {heading * 57.2958:13.1f}")
    if scene.guard:
        click.echo(f"guard: {scene.guard}")
    click.echo(f"{len(report['agents'])} agents and {len(report['map'])} map lines at score {min_score} or better")
    if json_path:
        write_json(json_path, report)
        click.echo(f"wrote {json_path}")
    if picture_path:
        from aln_p3_core.drawing.images import save_image
        from aln_p3_core.drawing.overview import draw_overview

        targets = dataset.targets(token)
        picture = draw_overview(
            frames[-1],
            scene,
            targets,
            lidar_model=dataset.lidar_in_model(token),
            min_score=min_score,
            banner=driver.description,
        )
        save_image(picture_path, picture)
        click.echo(f"wrote {picture_path}")


def tokens_until(dataset: Any, token: str, history: int) -> list[str]:
    """A key frame's token behind those of so many key frames before it."""
    index = dataset.index_of(token)
    return dataset.tokens[max(0, index - history) : index + 1]


def with_command(dataset: Any, token: str, route: str | None) -> DrivingFrame:
    """A key frame with the route command of `--command`; with its own where that is None."""
    from aln_p3_core.datasets.targets import ground_truth_command
    from aln_p3_core.frame import Command, CommandProvenance, RouteCommand

    frame: DrivingFrame = dataset.frame(token)
    if route is None:
        return frame
    if route == "ground-truth":
        given = ground_truth_command(dataset, token)
    else:
        given = RouteCommand(Command[route.upper()], CommandProvenance.GIVEN)
    return dataclasses.replace(frame, command=given)
