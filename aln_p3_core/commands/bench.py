"""`aln-p3 bench`: per-stage latency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from aln_p3_core.commands.options import driver_options, make_driver, parse_size


@click.command("bench")
@driver_options
@click.option("--root", type=click.Path(exists=True, file_okay=False), help="Pictures of a nuScenes-schema root.")
@click.option("--image-size", default="1600x900", show_default=True, help="Size of painted pictures (no --root).")
@click.option("--frames", default=50, show_default=True, help="Measured frames.")
@click.option("--warm-up", default=5, show_default=True, help="Frames before measuring starts.")
@click.option("--threads", type=int, help="CPU threads [default: all cores].")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Also write the figures here.")
def command(
    root: str | None,
    image_size: str,
    frames: int,
    warm_up: int,
    threads: int | None,
    json_path: str | None,
    **driver_settings: Any,
) -> None:
    """Times the driver stage by stage, from six JPEG pictures to the decoded plan.

    Prints medians, 90th and 99th percentiles, and what they were measured with. Pictures come from --root, or
    are painted with camera noise so that decoding costs what it costs for real ones.
    """
    import torch
    from tqdm import tqdm

    from aln_p3_core.runtime.allocator import keep_freed_memory
    from aln_p3_core.runtime.benchmark import run_benchmark

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    driver = make_driver(**driver_settings)
    source = _frames_of_root(root) if root else _painted_frames(image_size)
    with tqdm(total=frames + warm_up, desc=f"bench {driver.config.name}", unit="frame") as bar:
        result = run_benchmark(
            driver, source, count=frames, warm_up=warm_up, seed=driver_settings["seed"], on_frame=bar.update
        )
    click.echo(result.table())
    card = result.card
    click.echo(
        f"{card['recipe']}, {card['precision']}, "
        f"{card['cameras']} x {card['camera_image']} -> {card['network_input']}, "
        f"batch 1, seed {card['seed']}, {card['threads']} threads on {card['cores']} cores of {card['cpu']}, "
        f"{card['device']}, torch {card['torch']}, commit {card['commit']}"
    )
    click.echo(f"weights: {card['weights']}")
    if json_path:
        Path(json_path).parent.mkdir(parents=True, exist_ok=True)
        Path(json_path).write_text(json.dumps(result.to_json(), indent=1) + "\n")


def _frames_of_root(root: str) -> list[Any]:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

    dataset = NuScenesDataset(root)
    return [dataset.frame(token) for token in dataset.tokens[:20]]


def _painted_frames(image_size: str) -> list[Any]:
    from aln_p3_core.synthetic.frames import track_frames

    return track_frames(8, rate_hz=2.0, size=parse_size(image_size), noise=2.5)
