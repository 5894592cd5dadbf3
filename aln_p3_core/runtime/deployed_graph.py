"""The driver as one graph of fixed shapes: uint8 pictures in, raw outputs out, batch 1.

What a caller would otherwise have to know is inside: normalisation, padding, which camera sees which BEV cell, the warp
of the memory, and the fresh start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.camera_geometry import static_geometry
from aln_p3_core.driver.io import DEPLOYED_OUTPUTS, DriverInputs
from aln_p3_core.driver.network import DriverNetwork

DROPPED_PAIRS = "dropped_pairs_B"
#: Names of the graph's outputs, in order; `DriverOutputs` describes them, `static_geometry` the last one.
OUTPUT_NAMES: tuple[str, ...] = (*DEPLOYED_OUTPUTS, DROPPED_PAIRS)


@dataclass(frozen=True, slots=True)
class GraphInput:
    """One input of the graph: its shape with the batch of 1, and its numpy type."""

    shape: tuple[int, ...]
    dtype: type[np.generic]


def graph_inputs(config: DriverConfig) -> dict[str, GraphInput]:
    """Name -> shape and type of every input that a recipe's graph has, in order.

    images_BNHWC: pixels in the recipe's colour order, as `preprocess.ImagePreprocessor` makes them.
    image_rows_BN: rows from the top that hold the picture; what lies below counts as padding.
    history_valid_B: False starts afresh: `prev_bev_BRSD` and `T_prev_cur_B44` are not read then.
    The others: as in `DriverInputs`; `can_bus_B18` and `ego_status_B8` only where the recipe reads them.
    """
    cameras, image, bev = len(config.cameras), config.image, config.bev
    inputs = {
        "images_BNHWC": GraphInput((1, cameras, image.height, image.width, 3), np.uint8),
        "image_rows_BN": GraphInput((1, cameras), np.int64),
        "model2img_BN44": GraphInput((1, cameras, 4, 4), np.float32),
        "camera_valid_BN": GraphInput((1, cameras), np.bool_),
        "prev_bev_BRSD": GraphInput((1, bev.rows, bev.columns, config.embed_dims), np.float32),
        "T_prev_cur_B44": GraphInput((1, 4, 4), np.float32),
        "history_valid_B": GraphInput((1,), np.bool_),
    }
    if config.ego_status == "bev":
        inputs["can_bus_B18"] = GraphInput((1, 18), np.float32)
    if config.ego_status == "planner":
        inputs["ego_status_B8"] = GraphInput((1, 8), np.float32)
    if config.compatibility == "vad_release":
        # The released memory is moved by the CAN vector.
        del inputs["T_prev_cur_B44"]
    return inputs


def example_inputs(config: DriverConfig) -> dict[str, NDArray[np.generic]]:
    """Inputs of a fresh start with black pictures and no camera: right shapes, and no meaning."""
    return {name: np.zeros(given.shape, given.dtype) for name, given in graph_inputs(config).items()}


class DeployedGraph(nn.Module):
    """A `DriverNetwork` behind the inputs of `graph_inputs` and the outputs of `OUTPUT_NAMES`.

    Trace it under `portable.portable()`.
    """

    def __init__(self, network: DriverNetwork, cameras_per_cell: int) -> None:
        """`cameras_per_cell`: how many cameras at most a BEV cell reads; two for every rig with gaps or overlaps."""
        super().__init__()
        self.network = network
        self.config = network.config
        self.names = tuple(graph_inputs(network.config))
        self.cameras_per_cell = cameras_per_cell

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Inputs in the order of `graph_inputs`, outputs in the order of `OUTPUT_NAMES`."""
        given = dict(zip(self.names, tensors, strict=True))
        inputs = DriverInputs(
            images_BNCHW=self._normalised(given["images_BNHWC"], given["image_rows_BN"]),
            model2img_BN44=given["model2img_BN44"],
            camera_valid_BN=given["camera_valid_BN"],
            prev_bev_BRSD=given["prev_bev_BRSD"],
            T_prev_cur_B44=given.get("T_prev_cur_B44"),
            history_valid_B=given["history_valid_B"],
            can_bus_B18=given.get("can_bus_B18"),
            ego_status_B8=given.get("ego_status_B8"),
        )
        network, image = self.network, self.config.image
        geometry, dropped_B = static_geometry(
            self.config,
            inputs.model2img_BN44,
            inputs.camera_valid_BN,
            (image.height, image.width),
            self.cameras_per_cell,
        )
        features = network.extract_features(inputs.images_BNCHW)
        bev = network.encode_bev(features, inputs, geometry)
        outputs = network.plan(bev, network.decode(bev), inputs, features)
        return (*(getattr(outputs, name) for name in DEPLOYED_OUTPUTS), dropped_B)

    def _normalised(self, images_BNHWC: Tensor, rows_BN: Tensor) -> Tensor:
        image = self.config.image
        mean = torch.tensor(image.mean).view(3, 1, 1)
        inverse_std = 1 / torch.tensor(image.std).view(3, 1, 1)
        images = (images_BNHWC.permute(0, 1, 4, 2, 3).float() - mean) * inverse_std
        is_picture = torch.arange(image.height) < rows_BN[..., None]
        return torch.where(is_picture[:, :, None, :, None], images, 0.0)
