"""`Driver`: from a `DrivingFrame` to a `DrivingScene`, with memory, device and precision taken care of.

>>> driver = Driver.from_recipe("nano")          # untrained heads on a pretrained backbone
>>> scene = driver.plan(frame)                   # a DrivingFrame from a data set, the world or ROS
>>> scene.plan.points_model                      # [6, 2] metres, every 0.5 s
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from aln_p3_core.config import DriverConfig, get_recipe, with_overrides
from aln_p3_core.driver.checkpoint import checkpoint_hash, load_checkpoint
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.memory import MemoryState, T_prev_cur, TemporalMemory, can_bus_with_differences
from aln_p3_core.driver.network import DriverNetwork, Precision
from aln_p3_core.driver.scene_builder import build_scene
from aln_p3_core.frame import CameraView, DrivingFrame
from aln_p3_core.geometry import FloatArray, virtual_T_ego_model
from aln_p3_core.preprocess import ImagePreprocessor, PreparedImages, can_bus_vector
from aln_p3_core.runtime.device import precision_name, resolve_device, resolve_precision
from aln_p3_core.scene import DrivingScene
from aln_p3_core.synthetic import track

CompileMode = Literal["off", "default", "reduce-overhead", "max-autotune"]


@dataclass(slots=True)
class Inference:
    """Raw result of one frame.

    Attributes:
        frame: the input.
        outputs: tensors on the driver's device.
        memory_reset: why the memory was dropped before this frame, or "".
        history_age_s: age of the BEV memory used, or None.
        timings_ms: milliseconds per stage, in order.
    """

    frame: DrivingFrame
    outputs: DriverOutputs
    memory_reset: str = ""
    history_age_s: float | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


class Driver:
    """The fast system, ready to run one frame after another.

    Not thread-safe: one drive, one driver, one thread.

    Attributes:
        config: the recipe.
        device, precision: where and how the network runs.
        checkpoint_hash: of the weights, so that consumers of tokens can tell them apart.
        description: one line for people: what the weights are.
        memory: the temporal memory.
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
        self.config = config
        self.device = resolve_device(device)
        self._dtype = resolve_precision(precision, self.device)
        self.precision: Precision = precision_name(self._dtype)
        self.description = description or f"{config.name} with untrained heads"
        self.checkpoint_hash = weights_hash or checkpoint_hash(network.state_dict())
        self.memory = TemporalMemory(config.memory)
        self.network = network.fuse_for_inference().to(self.device).set_precision(self.precision)
        stages = (network.extract_features, network.encode_bev, network.decode, network.plan)
        compiled: Any = stages if compile_mode == "off" else [torch.compile(s, mode=compile_mode) for s in stages]
        self._features, self._bev, self._decode, self._plan = compiled
        self._copies_bev = compile_mode in ("reduce-overhead", "max-autotune")
        self._preprocessor = ImagePreprocessor(config.image)
        shape = (len(config.cameras), config.image.height, config.image.width, 3)
        self._pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
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

    def plan(self, frame: DrivingFrame, *, with_tokens: bool = False) -> DrivingScene:
        """Drives one frame. Frames of a drive must come in order; the memory handles everything else.

        Args:
            frame: the input; cameras without a view are masked.
            with_tokens: also return what the explainer reads.

        Raises:
            InvalidFrameError: when the rig does not have the recipe's cameras, or no camera has an image.
            ImageError: when an image is corrupt or of the wrong size.
        """
        return self.scene(self.infer(frame), with_tokens=with_tokens)

    def scene(self, inference: Inference, *, with_tokens: bool = False) -> DrivingScene:
        """Decodes a raw result into a `DrivingScene`."""
        return build_scene(
            self.config,
            inference.outputs,
            inference.frame,
            with_tokens=with_tokens,
            memory_reset=inference.memory_reset,
            history_age_s=inference.history_age_s,
            timings_ms=inference.timings_ms,
        )

    @torch.inference_mode()
    def infer(self, frame: DrivingFrame) -> Inference:
        """Runs the network on one frame and updates the memory. Errors as `plan`."""
        clock = _StageClock(self.device)
        prepared = self._preprocessor.prepare(frame, self.config.cameras, out=self._pixels.numpy())
        if not prepared.valid_N.any():
            frame.require_cameras()
        clock.add(prepared.timings_ms)
        memory_reset = self.memory.advance(frame)
        state = self.memory.recall(frame.reference_stamp_ns)
        can_bus = can_bus_vector(frame)
        inputs = self._inputs(frame, prepared, state, can_bus)
        clock.lap("upload")
        geometry = self.network.geometry(inputs)
        clock.lap("geometry")
        features = self._features(inputs.images_BNCHW)
        clock.lap("backbone")
        bev = self._bev(features, inputs, geometry)
        clock.lap("bev_encoder")
        perception = self._decode(bev)
        clock.lap("decoders")
        outputs = self._plan(bev, perception, inputs)
        clock.lap("planner")
        kept = outputs.bev_BRSD.clone() if self._copies_bev else outputs.bev_BRSD
        self.memory.store(MemoryState(frame.reference_stamp_ns, frame.T_global_model, kept, can_bus))
        age = None if state is None else (frame.reference_stamp_ns - state.stamp_ns) * 1e-9
        return Inference(frame, outputs, memory_reset, age, clock.timings_ms)

    def reset(self, reason: str = "asked for") -> None:
        """Drops the temporal memory."""
        self.memory.reset(reason)

    def warm_up(self, frames: int = 2) -> None:
        """Runs a few empty frames, so that the first real one pays no allocation or compilation. Resets the memory."""
        for step in range(frames):
            self.infer(_empty_frame(self.config.cameras, step))
        self.memory = TemporalMemory(self.config.memory)

    def _inputs(
        self, frame: DrivingFrame, prepared: PreparedImages, state: MemoryState | None, can_bus: FloatArray
    ) -> DriverInputs:
        pixels = self._pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        images = ((pixels - self._mean) * self._inverse_std).to(self._dtype)
        for camera, rows in enumerate(prepared.rows_N.tolist()):
            images[camera, :, rows:] = 0.0  # padding is zero after normalisation, as in training
        previous_can_bus = None if state is None else state.can_bus
        return DriverInputs(
            images_BNCHW=images[None],
            model2img_BN44=self._tensor(prepared.model2img_N44),
            camera_valid_BN=torch.from_numpy(prepared.valid_N)[None].to(self.device),
            prev_bev_BRSD=None if state is None else state.bev_1RSD,
            T_prev_cur_B44=None if state is None else self._tensor(T_prev_cur(state, frame)),
            can_bus_B18=self._tensor(can_bus_with_differences(can_bus, previous_can_bus))
            if self.config.ego_status == "bev"
            else None,
            ego_status_B8=self._tensor(ego_status_vector(frame)) if self.config.ego_status == "planner" else None,
        )

    def _tensor(self, array: FloatArray) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))[None].to(self.device, non_blocking=True)


def ego_status_vector(frame: DrivingFrame) -> FloatArray:
    """[8] for ego status "planner": see `DriverInputs.ego_status_B8`.

    No acceleration: on the road it comes from differences of odometry, in a data set from an inertial sensor, and a
    network that reads the one does not drive with the other.
    """
    vector = np.zeros(8)
    if frame.ego_status is not None:
        velocity = frame.ego_status.velocity
        vector[:5] = (
            velocity[0],
            velocity[1],
            frame.ego_status.rotation_rate[2],
            np.hypot(velocity[0], velocity[1]),
            1.0,
        )
    return vector


class _StageClock:
    """Milliseconds since the last lap; waits for the GPU, so that each stage is charged its own work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.timings_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.timings_ms[stage] = (now - self._last) * 1e3
        self._last = now

    def add(self, timings_ms: Mapping[str, float]) -> None:
        self.timings_ms.update(timings_ms)
        self._last = time.perf_counter()


def _empty_frame(cameras: tuple[str, ...], step: int) -> DrivingFrame:
    calibrations = list(track.rig().values())
    stamp_ns = 1_000_000_000 + step * 500_000_000
    image = np.zeros((calibrations[0].height, calibrations[0].width, 3), np.uint8)
    return DrivingFrame(
        cameras=cameras,
        views={
            name: CameraView(image, stamp_ns, calibrations[index % len(calibrations)], np.eye(4))
            for index, name in enumerate(cameras)
        },
        reference_stamp_ns=stamp_ns,
        T_global_ego=np.eye(4),
        T_ego_model=virtual_T_ego_model(),
    )
