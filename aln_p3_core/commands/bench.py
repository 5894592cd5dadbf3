"""`aln-p3 bench`: per-stage latency."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aln_p3_core.commands.options import driver_options, make_driver, parse_size
from aln_p3_core.commands.outputs import output_file
from aln_p3_core.whole_files import write_json

if TYPE_CHECKING:
    from aln_p3_core.driver.frame_driver import FrameDriver

_RUNTIMES = ("eager", "compiled", "onnx")
_EPILOG = """
\b
Examples
  aln-p3 bench --frames 100 --threads 2 --json out/bench.json
  aln-p3 bench --checkpoint nano --runtime eager,onnx --data data/world
"""


@click.command("bench", epilog=_EPILOG)
@driver_options
@click.option(
    "--runtime",
    "runtimes",
    help="What runs the network: eager, compiled, onnx, or several to compare, such as eager,onnx. "
    "[default: eager, or what the checkpoint is for]",
)
@click.option(
    "--data",
    "--root",
    "root",
    type=click.Path(exists=True, file_okay=False),
    help="Pictures of a nuScenes-schema root.",
)
@click.option("--image-size", default="1600x900", show_default=True, help="Size of painted pictures (no --data).")
@click.option("--frames", default=50, type=click.IntRange(min=1), show_default=True, help="Measured frames.")
@click.option(
    "--warm-up", default=5, type=click.IntRange(min=0), show_default=True, help="Frames before measuring starts."
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=output_file,
    help="Also write the figures here.",
)
def command(
    runtimes: str | None,
    root: str | None,
    image_size: str,
    frames: int,
    warm_up: int,
    json_path: Path | None,
    **driver_settings: Any,
) -> None:
    """Times the driver stage by stage, from six JPEG pictures to the decoded plan.

    Prints medians, 90th and 99th percentiles, and what they were measured with. Pictures come from --data, or
    are painted with camera noise so that decoding costs what it costs for real ones. Several runtimes are timed in
    turns, frame by frame. For onnx the driver is exported first, unless --checkpoint is an .onnx file.
    """
    from tqdm import tqdm

    from aln_p3_core.runtime.allocator import keep_freed_memory
    from aln_p3_core.runtime.benchmark import comparison_table, run_benchmarks

    names, size = _runtime_names(runtimes), parse_size(image_size)
    keep_freed_memory()
    source = _frames_of_root(root) if root else _painted_frames(size)
    drivers = {name: _driver(name, driver_settings) for name in names}
    first = next(iter(drivers.values()))
    with tqdm(total=(frames + warm_up) * len(drivers), desc=f"bench {first.config.name}", unit="frame") as bar:
        results = run_benchmarks(
            drivers, source, count=frames, warm_up=warm_up, seed=driver_settings["seed"], on_frame=bar.update
        )
    card = next(iter(results.values())).card
    only = next(iter(results.values())) if len(results) == 1 else None
    click.echo(only.table() if only else comparison_table(results))
    click.echo(
        f"{card['recipe']}, {'/'.join(result.card['precision'] for result in results.values())}, "
        f"{card['cameras']} x {card['camera_image']} -> {card['network_input']}, "
        f"batch 1, seed {card['seed']}, {card['threads']} threads on {card['cores']} cores of {card['cpu']}, "
        f"{card['device']}, torch {card['torch']}, commit {card['commit']}"
    )
    click.echo(f"weights: {card['weights']}")
    if json_path:
        figures = only.to_json() if only else {name: result.to_json() for name, result in results.items()}
        write_json(json_path, figures)


def _runtime_names(text: str | None) -> list[str]:
    names = ["" if text is None else name.strip() for name in (text or "").split(",")]
    unknown = [name for name in names if name not in ("", *_RUNTIMES)]
    if unknown or (text is not None and "" in names) or len(set(names)) < len(names):
        raise click.UsageError(f"--runtime takes {', '.join(_RUNTIMES)}, each at most once, got {text!r}")
    return names


def _driver(runtime: str, settings: Mapping[str, Any]) -> FrameDriver:
    """The driver of the options in one runtime; "" takes what the checkpoint is for."""
    is_graph = Path(settings["checkpoint"] or "").suffix in (".onnx", ".pt2")
    if runtime == "" or (runtime == "onnx" and is_graph):
        return make_driver(**settings)
    if is_graph:
        raise click.UsageError(f"--runtime {runtime} needs a recipe or a .safetensors checkpoint")
    if runtime == "eager":
        return make_driver(**{**settings, "compile_mode": "off"})
    if runtime == "compiled":
        mode = settings["compile_mode"]
        return make_driver(**{**settings, "compile_mode": "default" if mode == "off" else mode})
    return _exported(make_driver(**{**settings, "device": "cpu", "precision": "fp32", "compile_mode": "off"}), settings)


def _exported(driver: FrameDriver, settings: Mapping[str, Any]) -> FrameDriver:
    from aln_p3_core.driver.driver import Driver
    from aln_p3_core.runtime.export import export_driver
    from aln_p3_core.runtime.onnx_session import OnnxDriver

    assert isinstance(driver, Driver)
    click.echo("exporting for onnx")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "driver.onnx"
        export_driver(driver.network, path, "onnx", description=driver.description, weights_hash=driver.checkpoint_hash)
        return OnnxDriver(path, device=settings["device"])


def _frames_of_root(root: str) -> list[Any]:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

    dataset = NuScenesDataset(root)
    return [dataset.frame(token) for token in dataset.tokens[:20]]


def _painted_frames(size: tuple[int, int]) -> list[Any]:
    from aln_p3_core.synthetic.frames import track_frames

    return track_frames(8, rate_hz=2.0, size=size, noise=2.5)
