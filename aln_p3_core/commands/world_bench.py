"""`aln-p3 world bench`: how fast the world is in closed loop."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.commands.options import SEEDS, NumberRange, parse_size
from aln_p3_core.commands.outputs import output_file
from aln_p3_core.whole_files import write_json
from aln_p3_core.world.weather import Condition, Weather


@click.command("bench")
@click.option(
    "--rate", "rates", multiple=True, type=click.IntRange(1), default=(2, 10), show_default=True, help="Repeatable."
)
@click.option("--size", "sizes", multiple=True, default=("400x225",), show_default=True, help="Repeatable.")
@click.option("--images/--no-images", default=True, show_default=True, help="Render the six cameras.")
@click.option("--seconds", type=NumberRange(0.5, 200.0), default=20.0, show_default=True, help="Of each drive.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Drives with each setting.")
@click.option("--city", default="iris-bridge", show_default=True)
@click.option("--condition", type=click.Choice([c.value for c in Condition]), default="day", show_default=True)
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of everything drawn by lot.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="Also write the figures here.",
)
def command(
    rates: tuple[int, ...],
    sizes: tuple[str, ...],
    images: bool,
    seconds: float,
    runs: int,
    city: str,
    condition: str,
    seed: int,
    json_path: Path | None,
) -> None:
    """Times the world in closed loop: traffic, car, cameras and measures; the planner's own time is not counted.

    Free driving through one city with a planner that follows its route. Prints how many times faster than real time
    the world is, the milliseconds of its parts, and what they were measured with.

    \b
    Examples
      aln-p3 world bench
      aln-p3 world bench --rate 2 --size 400x225 --size 800x450 --runs 5 --json out/world_speed.json
    """
    import torch
    from tqdm import tqdm

    from aln_p3_core.device import hardware_card
    from aln_p3_core.world.closed_loop.settings import DriveSettings
    from aln_p3_core.world.closed_loop.speed import measure_speed, speed_table
    from aln_p3_core.world.scenarios import make_episode

    settings = [DriveSettings(rate, parse_size(size), images, seconds, trace=False) for size in sizes for rate in rates]
    episode = make_episode("free_driving", city, seed, weather=Weather(Condition(condition), seed))
    with tqdm(total=runs * len(settings), desc="world bench", unit="drive") as bar:
        results = measure_speed(episode, settings, runs=runs, on_run=bar.update)
    card = {
        name: value for name, value in hardware_card(torch.device("cpu")).items() if name not in ("device", "torch")
    }
    click.echo(speed_table(results))
    click.echo(
        f"free driving, {city}, {condition}, seed {seed}, {seconds:g} s, median of {runs} runs; "
        f"{card['cores']} cores of {card['cpu']}, commit {card['commit']}"
    )
    if json_path:
        report = {"results": [result.to_json() for result in results], "episode": episode.name, "condition": condition}
        write_json(json_path, report | card)
