"""`Driver`: from a `DrivingFrame` to a `DrivingScene`, with memory, device and precision taken care of.

>>> driver = Driver.from_recipe("nano")          # untrained heads on a pretrained backbone
>>> scene = driver.plan(frame)                   # a DrivingFrame from a data set, the world or ROS
>>> scene.plan.points_model                      # [6, 2] metres, every 0.5 s
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from aln_p3_core.config import DriverConfig, get_recipe, with_overrides
from aln_p3_core.device import precision_name, resolve_device, resolve_precision
from aln_p3_core.driver.checkpoint import checkpoint_hash, load_checkpoint
from aln_p3_core.driver.frame_driver import FrameArrays, FrameDriver, Inference, StageClock, ego_status_vector
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.kept_maps import KeptMaps
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.geometry import FloatArray

__all__ = ["CompileMode", "Driver", "Inference", "ego_status_vector"]

CompileMode = Literal["off", "default", "reduce-overhead", "max-autotune"]


class Driver(FrameDriver):
    """The fast system in torch, ready to run one frame after another.

    Not thread-safe: one drive, one driver, one thread.

    Attributes:
        network: in inference form. kept_maps: where its encoder's maps are kept, for recorded drives; None on the road.
            All others as in `FrameDriver`.
    """

    def __init__(
        self,
        config: DriverConfig,
        network: DriverNetwork,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile_mode: CompileMode = "off",
        description: str = "",
        weights_hash: str = "",
    ) -> None:
        """`weights_hash`: the network's `checkpoint_hash` where it is known already; else it is computed."""
        resolved = resolve_device(device)
        self._dtype = resolve_precision(precision, resolved)
        super().__init__(
            config,
            resolved,
            precision_name(self._dtype),
            description or f"{config.name} with untrained heads",
            weights_hash or checkpoint_hash(network.state_dict()),
        )
        self.kept_maps: KeptMaps | None = None
        self.network = network.fuse_for_inference().to(self.device).set_precision(self._dtype)
        stages = (network.extract_features, network.encode_bev, network.decode, network.plan_from_tokens)
        compiled: Any = stages if compile_mode == "off" else [torch.compile(s, mode=compile_mode) for s in stages]
        self._features, self._bev, self._decode, self._plan = compiled
        self._copies_bev = compile_mode in ("reduce-overhead", "max-autotune")
        self._mean = torch.tensor(config.image.mean, device=self.device).view(1, 3, 1, 1)
        self._inverse_std = 1 / torch.tensor(config.image.std, device=self.device).view(1, 3, 1, 1)

    @classmethod
    def from_recipe(
        cls,
        name: str,
        *,
        overrides: Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        compile_mode: CompileMode = "off",
    ) -> Driver:
        """A driver with a pretrained backbone (where the recipe has one) and heads initialised from `seed`.

        Raises:
            ConfigError: for an unknown recipe, setting, device or precision.
        """
        config = with_overrides(get_recipe(name), overrides or {})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = DriverNetwork(config)
        backbone = "pretrained backbone" if config.backbone.pretrained else "untrained backbone"
        description = f"{config.name}: {backbone}, untrained heads (seed {seed})"
        return cls(config, network, device=device, precision=precision, compile_mode=compile_mode,
                   description=description)  # fmt: skip

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        recipe: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        compile_mode: CompileMode = "off",
    ) -> Driver:
        """A driver with the weights and the recipe of a checkpoint file.

        Args:
            path: a file written by `aln-p3 import-vad` or by training.
            recipe: when given, the recipe that the file must be of.

        Raises:
            CheckpointError: when the file is missing, damaged or of another recipe.
        """
        config, state, metadata = load_checkpoint(path, expected_recipe=recipe)
        network = DriverNetwork(config, load_pretrained=False)
        network.load_state_dict(state)
        description = metadata.get("description") or f"{config.name} from {Path(path).name}"
        return cls(config, network, device=device, precision=precision, compile_mode=compile_mode,
                   description=description, weights_hash=metadata["sha256"])  # fmt: skip

    def _run(self, arrays: FrameArrays, clock: StageClock) -> DriverOutputs:
        inputs = self.inputs(arrays, self._pixels)
        clock.lap("upload")
        if self.kept_maps is None:
            return self.run(inputs, clock)
        bev, image = self.kept_maps.of(inputs, lambda: self._encode(inputs, clock))
        clock.lap("kept_maps")
        return self._behind_encoder(bev, image, inputs, clock)

    def run(self, inputs: DriverInputs, clock: StageClock) -> DriverOutputs:
        """The network, stage by stage, at any batch size."""
        bev, image = self._encode(inputs, clock)
        return self._behind_encoder(bev, image, inputs, clock)

    def _encode(self, inputs: DriverInputs, clock: StageClock) -> tuple[torch.Tensor, torch.Tensor | None]:
        """BEV map, and what the planner reads of a picture."""
        geometry = self.network.geometry(inputs)
        clock.lap("geometry")
        features = self._features(inputs.images_BNCHW)
        clock.lap("backbone")
        bev = self._bev(features, inputs, geometry)
        clock.lap("bev_encoder")
        return bev, self.network.planner.image_tokens(features)

    def _behind_encoder(
        self, bev: torch.Tensor, image: torch.Tensor | None, inputs: DriverInputs, clock: StageClock
    ) -> DriverOutputs:
        perception = self._decode(bev)
        clock.lap("decoders")
        outputs: DriverOutputs = self._plan(bev, perception, image, inputs.ego_status_B8)
        clock.lap("planner")
        if self._copies_bev:
            # CUDA graphs write every result to the same place.
            outputs.bev_BRSD = outputs.bev_BRSD.clone()
        return outputs

    def inputs(self, arrays: FrameArrays, pixels: torch.Tensor) -> DriverInputs:
        """A batch of one frame on the driver's device; `pixels`: where its pictures were written (`read`)."""
        prepared = arrays.prepared
        pixels = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        images = ((pixels - self._mean) * self._inverse_std).to(self._dtype)
        for camera, rows in enumerate(prepared.rows_N.tolist()):
            images[camera, :, rows:] = 0.0  # padding is zero after normalisation, as in training
        return DriverInputs(
            images_BNCHW=images[None],
            model2img_BN44=self._tensor(prepared.model2img_N44),
            camera_valid_BN=torch.from_numpy(prepared.valid_N)[None].to(self.device),
            prev_bev_BRSD=arrays.prev_bev_1RSD,
            T_prev_cur_B44=self._optional(arrays.T_prev_cur_44),
            can_bus_B18=self._optional(arrays.can_bus_18),
            ego_status_B8=self._optional(arrays.ego_status_8),
        )

    def _optional(self, array: FloatArray | None) -> torch.Tensor | None:
        return None if array is None else self._tensor(array)

    def _tensor(self, array: FloatArray) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))[None].to(self.device, non_blocking=True)
