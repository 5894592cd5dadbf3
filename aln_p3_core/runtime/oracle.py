"""A folder of golden tensors: its configuration, weights and inputs.

Layout: config.json, weights.safetensors, inputs.safetensors, frame0.safetensors, frame1.safetensors and
optionally frame1_true_center.safetensors. All sizes come from config.json.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from aln_p3_core.config import AgentConfig, BackboneConfig, BevConfig, DriverConfig, ImageConfig, MapConfig
from aln_p3_core.config import PlannerConfig as PlannerSettings
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.driver.vad_checkpoint import from_released
from aln_p3_core.errors import DataError
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES

# Options that released configurations never change, and the only value that the driver has.
_ONLY: tuple[tuple[str, str, Any], ...] = (
    ("bev", "temporal_queue", 2),
    ("bev", "rotate_prev_bev", True),
    ("bev", "use_shift", True),
    ("bev", "use_can_bus", True),
    ("agents", "code_size", 10),
    ("planner", "query_threshold", 0.0),
    ("planner", "pad_query", False),
    ("planner", "ego_status", False),
    ("planner", "history_encoder", False),
)


class Oracle:
    """One such folder, opened.

    Raises:
        DataError: naming the file that is missing or does not hold what it should.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "config.json"
        try:
            self.settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self.config = driver_config(self.settings)
        except FileNotFoundError as error:
            raise DataError(f"{path} is missing: is {folder} a folder of golden tensors?") from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read: {error!r}") from error
        self._inputs = self.tensors("inputs")

    def tensors(self, name: str) -> dict[str, Tensor]:
        """All tensors of one of its files."""
        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path)
        except Exception as error:  # safetensors raises several unrelated types
            raise DataError(f"{path} cannot be read: {error}") from error

    def frames(self) -> list[int]:
        """Numbers of the consecutive frames that the folder holds: 0, 1, ..."""
        numbers = itertools.takewhile(lambda n: self.has(f"frame{n}"), itertools.count())
        return list(numbers)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return (self.folder / f"{name}.safetensors").is_file()

    def network(self, rotate_center: tuple[float, float] | None) -> DriverNetwork:
        """The network in evaluation mode with the folder's weights."""
        network = DriverNetwork(replace(self.config, rotate_center=rotate_center))
        network.load_state_dict(from_released(self.tensors("weights"), network.state_dict()))
        return network.eval()

    def inputs(self, frame: int, memory_BRSD: Tensor | None) -> DriverInputs:
        """Inputs of a frame."""
        images = self._inputs[f"frame{frame}.img"]
        return DriverInputs(
            images_BNCHW=images,
            model2img_BN44=self._inputs["lidar2img"].float()[None],
            camera_valid_BN=torch.ones(images.shape[:2], dtype=torch.bool),
            prev_bev_BRSD=memory_BRSD,
            can_bus_B18=self._inputs[f"frame{frame}.can_bus"][None],
        )


def class_names(default: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The usual names where their number fits, else numbered ones: golden tensors do not name classes."""
    return default if count == len(default) else tuple(f"class_{i}" for i in range(count))


def driver_config(settings: dict[str, Any]) -> DriverConfig:
    """The recipe that a folder's config.json describes.

    Raises:
        DataError: when it describes an option of the released code that the driver does not have.
    """
    for section, option, supported in _ONLY:
        value = settings[section].get(option, supported)
        if value != supported:
            raise DataError(f"config.json: {section}.{option} is {value!r}; the driver has it only as {supported!r}")
    image, backbone, bev = settings["image"], settings["backbone"], settings["bev"]
    agents, lines, planner = settings["agents"], settings["map"], settings["planner"]
    return DriverConfig(
        name=settings["name"],
        cameras=tuple(image["cameras"]),
        image=ImageConfig(height=image["height"], width=image["width"]),
        backbone=BackboneConfig(
            "resnet50",
            base_channels=backbone["base_channels"],
            stem_channels=backbone["stem_channels"],
            out_stages=tuple(backbone["stage_outputs_used"]),
            levels=settings["feature_levels_used"],
            pretrained=False,
        ),
        embed_dims=settings["embed_dims"],
        heads=settings["num_heads"],
        ffn_dims=settings["ffn_dims"],
        can_bus_hidden=bev["can_bus_hidden"],
        level_embeddings=settings["level_embedding_rows"],
        bev=BevConfig(
            rows=bev["rows_y"],
            columns=bev["columns_x"],
            layers=bev["encoder_layers"],
            pillar_heights=bev["pillar_heights"],
            spatial_points=bev["spatial_points_per_level"],
            temporal_points=bev["temporal_points"],
        ),
        agents=AgentConfig(
            queries=agents["queries"],
            layers=agents["decoder_layers"],
            points=agents["deformable_points"],
            modes=agents["modes"],
            classes=class_names(AGENT_CLASSES, agents["classes"]),
        ),
        map=MapConfig(
            instances=lines["instances"],
            points_per_line=lines["points"],
            layers=lines["decoder_layers"],
            points=lines["deformable_points"],
            classes=class_names(MAP_CLASSES, lines["classes"]),
            lane_hidden=lines["lane_encoder"]["hidden"],
            lane_layers=lines["lane_encoder"]["layers"],
            score_threshold=lines["score_threshold"],
            distance_threshold=lines["distance_threshold_normalised"],
        ),
        planner=PlannerSettings(commands=planner["commands"], steps=planner["steps"]),
        point_cloud_range=tuple(settings["point_cloud_range"]),
        ego_status="bev",
        compatibility="vad_release",
        rotate_center=tuple(bev["rotate_center"]),
    )
