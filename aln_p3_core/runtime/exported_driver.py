"""A driver whose network is an exported graph: what ONNX and torch programs share."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig, from_dict
from aln_p3_core.driver.checkpoint import recipe_metadata
from aln_p3_core.driver.frame_driver import FrameArrays, FrameDriver, StageClock
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.runtime.deployed_graph import DROPPED_PAIRS, OUTPUT_NAMES, example_inputs, graph_inputs
from aln_p3_core.runtime.export import GRAPH_FORMAT, GRAPH_FORMAT_VERSION

_LOG = logging.getLogger(__name__)


class ExportedDriver(FrameDriver):
    """Drives with a graph of `runtime.deployed_graph`; the same interface and rules of memory as `Driver`.

    Attributes:
        metadata: what the file tells about itself.
        dropped_pairs: (camera, cell) pairs that the last frame left out because more cameras see a cell than the file
            was exported for; 0 where the result is that of the network.
    """

    def __init__(self, source: str, metadata: Mapping[str, str], runtime: str) -> None:
        """Args: source: the file, for messages. metadata: of the file. runtime: what runs it, for the description.

        Raises:
            CheckpointError: when the metadata are not those of an exported driver.
        """
        config = read_metadata(source, metadata)
        description = f"{metadata['description']}, exported, {runtime}"
        super().__init__(config, torch.device("cpu"), "fp32", description, metadata["sha256"])
        self.metadata = dict(metadata)
        self.dropped_pairs = 0
        self._inputs = graph_inputs(config)
        self._fresh = example_inputs(config)

    @abstractmethod
    def _compute(self, feeds: Mapping[str, NDArray[np.generic]]) -> Sequence[torch.Tensor]:
        """Runs the graph: outputs in the order of `OUTPUT_NAMES`, in memory of their own."""

    def _run(self, arrays: FrameArrays, clock: StageClock) -> DriverOutputs:
        feeds = self._feeds(arrays)
        clock.lap("upload")
        values = dict(zip(OUTPUT_NAMES, self._compute(feeds), strict=True))
        dropped = int(values.pop(DROPPED_PAIRS))
        if dropped and not self.dropped_pairs:
            _LOG.warning(
                "%d (camera, cell) pairs are left out: more cameras see a cell than the %s that the graph was exported "
                "for; export it again with --cameras-per-cell %d",
                dropped,
                self.metadata["cameras_per_cell"],
                int(self.metadata["cameras_per_cell"]) + 1,
            )
        self.dropped_pairs = dropped
        outputs = DriverOutputs(**values)
        clock.lap("network")
        return outputs

    def _feeds(self, arrays: FrameArrays) -> dict[str, NDArray[np.generic]]:
        prepared = arrays.prepared
        given: dict[str, NDArray[np.generic] | None] = {
            "images_BNHWC": prepared.images_NHWC,
            "image_rows_BN": prepared.rows_N,
            "model2img_BN44": prepared.model2img_N44,
            "camera_valid_BN": prepared.valid_N,
            "prev_bev_BRSD": None if arrays.prev_bev_1RSD is None else arrays.prev_bev_1RSD[0].numpy(),
            "T_prev_cur_B44": arrays.T_prev_cur_44,
            "history_valid_B": None if arrays.prev_bev_1RSD is None else np.array(True),
            "can_bus_B18": arrays.can_bus_18,
            "ego_status_B8": arrays.ego_status_8,
        }
        feeds = {}
        for name, wanted in self._inputs.items():
            array = given[name]
            feeds[name] = self._fresh[name] if array is None else array.astype(wanted.dtype, copy=False)[None]
        return feeds


def read_metadata(source: str, metadata: Mapping[str, str]) -> DriverConfig:
    """The recipe of an exported file.

    Raises:
        CheckpointError: when the file is none of ours, of another format version, or contradicts itself.
    """
    if metadata.get("format") != GRAPH_FORMAT:
        raise CheckpointError(
            f"{source} is no exported driver of this project (format {metadata.get('format')!r}); write one with: "
            "aln-p3 export"
        )
    if metadata.get("format_version") != GRAPH_FORMAT_VERSION:
        raise CheckpointError(
            f"{source} has format version {metadata.get('format_version')!r}, this release reads "
            f"{GRAPH_FORMAT_VERSION!r}; export it again"
        )
    try:
        config = from_dict(json.loads(metadata["recipe"]))
        missing = {"sha256", "description", "cameras_per_cell"} - set(metadata)
    except (KeyError, json.JSONDecodeError, ConfigError, TypeError) as error:
        raise CheckpointError(f"the recipe in {source} cannot be read: {error}; export it again") from error
    expected = recipe_metadata(config)
    wrong = sorted({key for key in ("class_names", "normalisation") if metadata.get(key) != expected[key]} | missing)
    if wrong:
        raise CheckpointError(f"{source} contradicts its own recipe or lacks metadata: {wrong}; export it again")
    return config
