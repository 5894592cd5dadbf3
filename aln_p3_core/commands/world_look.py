"""`aln-p3 world look`: pictures of an instant of the embedded world."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.options import SEEDS, NumberRange, parse_size
from aln_p3_core.commands.outputs import output_folder
from aln_p3_core.world.weather import Condition


@click.command("look")
@click.option("--scenario", metavar="NAME", help="What happens [default: free_driving].")
@click.option("--city", metavar="NAME", help="Where [default: poplar-green]; random-N is drawn from the number N.")
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of everything drawn by lot.")
@click.option(
    "--log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    help="A recorded log in place of an episode, driven as its human did.",
)
@click.option("--condition", type=click.Choice([c.value for c in Condition]), help="[default: by lot of the seed]")
@click.option("--size", default="800x450", show_default=True, help="Of each camera: 400x225, 800x450 or 1600x900.")
@click.option(
    "--samples", type=click.Choice(["0", "4"]), default="4", show_default=True, help="A pixel; 4 smooth the edges."
)
@click.option("--time", "time_s", type=NumberRange(0), default=5.0, show_default=True, help="The instant, s.")
@click.option("--planner", metavar="NAME|CHECKPOINT", help="Who drives [default: expert; a log: its human].")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    callback=output_folder,
    required=True,
    help="Folder for the pictures.",
)
def command(
    scenario: str | None,
    city: str | None,
    seed: int,
    log: Path | None,
    condition: str | None,
    size: str,
    samples: str,
    time_s: float,
    planner: str | None,
    out: Path,
) -> None:
    """Drives to an instant of the embedded world and shows it.

    \b
    Four pictures:
      cameras.png  the six cameras, pixel for pixel
      boxes.png    the same with the boxes of all that they see
      truth.png    which pixel shows whom, and depth (near is bright)
      above.png    streets, traffic, route and plan from above

    \b
    Examples
      aln-p3 world look --out out/look
      aln-p3 world look --scenario crossing_cyclist --seed 3 --condition rain --time 6 --out out/rain
      aln-p3 world look --city random-7 --condition night --size 1600x900 --out out/night
      aln-p3 world look --log scene-0061.npz --condition day --time 8 --out out/log

    The same options give the same pictures, byte for byte. What goes on between two instants is a film:
    `aln-p3 world drive --film both`.
    """
    from aln_p3_core.world.closed_loop.drives import Drive, LogDrive
    from aln_p3_core.world.look import look_at, write_pictures
    from aln_p3_core.world.planners.registry import make_planner
    from aln_p3_core.world.rig import world_rig
    from aln_p3_core.world.scenarios import make_episode
    from aln_p3_core.world.weather import draw_weather

    if log is not None and (scenario or city):
        raise click.UsageError("a log brings its own place and traffic: leave out --scenario and --city")
    width, height = parse_size(size)
    weather = draw_weather(seed, Condition(condition) if condition else None)
    what: Drive
    if log is not None:
        what = LogDrive(log, weather=weather)
    else:
        what = make_episode(scenario or "free_driving", city or "poplar-green", seed, weather=weather)
    driver = None if log is not None and planner is None else make_planner(planner or "expert")
    look = look_at(what, time_s, driver, rig=world_rig(width, height), samples=int(samples))
    for path in write_pictures(look, out, width=max(1600, min(3 * width, 2400))):
        click.echo(f"wrote {path}")
