"""Writes the deployed graph of a driver: ONNX for other runtimes, or a torch program. docs/export.md describes both.

Both are self-contained: neither needs the code of this package, and the file itself tells recipe, weights' hash, class
names, normalisation, and the shape and type of every input.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from aln_p3_core import __version__
from aln_p3_core.driver.checkpoint import checkpoint_hash, recipe_metadata
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.portable import portable
from aln_p3_core.errors import ConfigError
from aln_p3_core.runtime.deployed_graph import OUTPUT_NAMES, DeployedGraph, example_inputs, graph_inputs
from aln_p3_core.whole_files import written_whole

ExportFormat = Literal["onnx", "torch"]
#: File name ending of every format.
SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "torch": ".pt2"}
#: Name of the metadata inside a torch program (`torch.export.load(..., extra_files=...)`).
PROGRAM_METADATA = "metadata.json"
#: Two cameras see a cell at most where neighbours overlap, as on nuScenes' rig.
CAMERAS_PER_CELL = 2
GRAPH_FORMAT = "aln_p3.deployed_driver"
GRAPH_FORMAT_VERSION = "1"
# The newest that TensorRT 10 and ONNX Runtime 1.18 both read in full; grid_sample needs 16, layer norm 17.
_OPSET = 18


def export_driver(
    network: DriverNetwork,
    out: Path,
    format: ExportFormat,
    *,
    description: str = "",
    weights_hash: str = "",
    cameras_per_cell: int = CAMERAS_PER_CELL,
) -> dict[str, str]:
    """Writes the deployed graph in float32; the file appears only when it is complete.

    Args:
        network: the driver; it is fused for inference in place, and cannot be trained or saved afterwards.
        out: the file, by custom with the ending of `SUFFIXES`.
        format: "onnx" or "torch".
        description: one line for people: what the weights are.
        weights_hash: the `checkpoint_hash` where it is known already; else it is computed.
        cameras_per_cell: most cameras that one BEV cell reads. More cost time in every frame; with fewer than the rig
            needs the file's `dropped_pairs_B` is not 0.

    Returns:
        The metadata that the file holds.

    Raises:
        ConfigError: for an unknown format, a number of cameras that the rig does not have, or when the packages that
            write ONNX are not installed.
    """
    config = network.config
    if format not in SUFFIXES:
        raise ConfigError(f"format {format!r} is unknown; use {' or '.join(SUFFIXES)}")
    if not 1 <= cameras_per_cell <= len(config.cameras):
        raise ConfigError(f"cameras_per_cell must be 1 to {len(config.cameras)}, got {cameras_per_cell}")
    if format == "onnx":
        require_onnx()
    metadata = recipe_metadata(config) | {
        "format": GRAPH_FORMAT,
        "format_version": GRAPH_FORMAT_VERSION,
        "sha256": weights_hash or checkpoint_hash(network.state_dict()),
        "description": description or f"{config.name} with untrained heads",
        "version": __version__,
        "torch": torch.__version__,
        "opset": str(_OPSET) if format == "onnx" else "",
        "cameras_per_cell": str(cameras_per_cell),
    }
    program = _trace(network, cameras_per_cell)
    with written_whole(out) as temporary:
        if format == "onnx":
            _write_onnx(program, network, temporary, metadata)
        else:
            buffer = io.BytesIO()
            with _quiet():
                torch.export.save(program, buffer, extra_files={PROGRAM_METADATA: json.dumps(metadata)})
            temporary.write_bytes(buffer.getbuffer())
    return metadata


def require_onnx() -> None:
    """Raises ConfigError, naming the extra, when the packages that write ONNX are not installed."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"writing ONNX needs the package {error.name}: pip install '.[export]' in the source tree brings it"
        ) from error


def _trace(network: DriverNetwork, cameras_per_cell: int) -> torch.export.ExportedProgram:
    graph = DeployedGraph(network.fuse_for_inference().cpu().set_precision("fp32"), cameras_per_cell)
    graph.eval().requires_grad_(False)
    arguments: tuple[Tensor, ...] = tuple(torch.from_numpy(array) for array in example_inputs(network.config).values())
    with portable(), torch.no_grad(), _quiet():
        return torch.export.export(graph, arguments)


def _write_onnx(
    program: torch.export.ExportedProgram, network: DriverNetwork, path: Path, metadata: dict[str, str]
) -> None:
    with _quiet():
        written: Any = torch.onnx.export(
            program,
            (),
            input_names=list(graph_inputs(network.config)),
            output_names=list(OUTPUT_NAMES),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    written.model.metadata_props.update(metadata)
    written.save(path, external_data=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' notes on packages that they do not find, constants they do not fold, shared weights."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
