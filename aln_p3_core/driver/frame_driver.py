"""What every driver shares, whatever runs its network: pictures, memory, timing, and the scene at the end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.guard_memory import GuardMemory
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.memory import MemoryState, T_prev_cur, TemporalMemory, can_bus_with_differences
from aln_p3_core.driver.plan_guard import guard_scene
from aln_p3_core.driver.scene_builder import build_scene
from aln_p3_core.frame import CameraView, DrivingFrame
from aln_p3_core.geometry import FloatArray, virtual_T_ego_model
from aln_p3_core.preprocess import ImagePreprocessor, PreparedImages, can_bus_vector
from aln_p3_core.scene import DrivingScene
from aln_p3_core.synthetic import track
from aln_p3_core.vehicle import NUSCENES_VEHICLE


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


@dataclass(slots=True)
class FrameArrays:
    """What a network reads of one frame, before batch and device.

    Attributes:
        prepared: pixels, projections and which cameras are there.
        prev_bev_1RSD: BEV memory, on the device where it was made, or None when the driver starts afresh.
        T_prev_cur_44: current model frame -> the memory's model frame; None together with the memory.
        can_bus_18: CAN vector with differences, where the recipe reads it, else None.
        ego_status_8: ego status, where the recipe reads it, else None.
    """

    prepared: PreparedImages
    prev_bev_1RSD: torch.Tensor | None
    T_prev_cur_44: FloatArray | None
    can_bus_18: FloatArray | None
    ego_status_8: FloatArray | None


@dataclass(slots=True)
class ReadFrame:
    """A frame on its way through the network.

    Attributes:
        frame: the input. arrays: of it.
        can_bus: [18] its CAN vector with absolute values.
        memory_reset, history_age_s: as in `Inference`.
    """

    frame: DrivingFrame
    arrays: FrameArrays
    can_bus: FloatArray
    memory_reset: str
    history_age_s: float | None

    def remembered(
        self, memory: TemporalMemory, outputs: DriverOutputs, timings_ms: dict[str, float] | None = None
    ) -> Inference:
        """The result; `memory` keeps its BEV map."""
        frame = self.frame
        memory.store(MemoryState(frame.reference_stamp_ns, frame.T_global_model, outputs.bev_BRSD, self.can_bus))
        return Inference(frame, outputs, self.memory_reset, self.history_age_s, timings_ms or {})


class FrameDriver(ABC):
    """A driver, ready to run one frame after another. What runs the network is left to its subclasses.

    Not thread-safe: one drive, one driver, one thread.

    Attributes:
        config: the recipe.
        device, precision: where and how the network runs.
        checkpoint_hash: of the weights, so that consumers of tokens can tell them apart.
        description: one line for people: what the weights are.
        memory: the temporal memory.
        guarded: whether `plan` slows plans down that would touch somebody (`plan_guard`); as the recipe says.
        vehicle: the size of the car that drives, for that guard; nuScenes' car unless somebody says otherwise.
    """

    def __init__(
        self, config: DriverConfig, device: torch.device, precision: str, description: str, weights_hash: str
    ) -> None:
        self.config = config
        self.device = device
        self.precision = precision
        self.description = description
        self.checkpoint_hash = weights_hash
        self.memory = TemporalMemory(config.memory)
        self.guarded = config.planner.guard
        self.vehicle = NUSCENES_VEHICLE
        self._guard_memory = GuardMemory()
        self._preprocessor = ImagePreprocessor(config.image)
        self._pixels = self.empty_pixels()

    @abstractmethod
    def _run(self, arrays: FrameArrays, clock: StageClock) -> DriverOutputs:
        """The network. Tensors of the result must stay as they are when the next frame runs."""

    def plan(self, frame: DrivingFrame, *, with_tokens: bool = False) -> DrivingScene:
        """Drives one frame. Frames of a drive must come in order; the memory handles everything else.

        Args:
            frame: the input; cameras without a view are masked.
            with_tokens: also return what the explainer reads.

        Raises:
            InvalidFrameError: when the rig does not have the recipe's cameras, or no camera has an image.
            ImageError: when an image is corrupt or of the wrong size.
        """
        return self.guard(self.scene(self.infer(frame), with_tokens=with_tokens), frame)

    def guard(self, scene: DrivingScene, frame: DrivingFrame) -> DrivingScene:
        """The scene with plans that touch nobody, where this driver is `guarded`; else as it is."""
        if not self.guarded:
            return scene
        speed = None if frame.ego_status is None else float(np.hypot(*frame.ego_status.velocity[:2]))
        return guard_scene(scene, speed, self._guard_memory.look(scene), self.vehicle)

    def scene(self, inference: Inference, *, with_tokens: bool = False) -> DrivingScene:
        """Decodes a raw result into a `DrivingScene`, with the network's own plan: nobody guards it."""
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
        clock = StageClock(self.device)
        read = self.read(frame, self.memory, self._pixels)
        clock.add(read.arrays.prepared.timings_ms)
        outputs = self._run(read.arrays, clock)
        return read.remembered(self.memory, outputs, clock.timings_ms)

    def read(self, frame: DrivingFrame, memory: TemporalMemory, pixels: torch.Tensor) -> ReadFrame:
        """What the network reads of a frame; `memory` is brought to its instant.

        Args:
            frame: the input.
            memory: of the frame's drive.
            pixels: uint8 [N, height, width, 3] on the CPU, to write into. Errors as `plan`.
        """
        prepared = self._preprocessor.prepare(frame, self.config.cameras, out=pixels.numpy())
        if not prepared.valid_N.any():
            frame.require_cameras()
        memory_reset = memory.advance(frame)
        state = memory.recall(frame.reference_stamp_ns)
        can_bus = can_bus_vector(frame)
        age = None if state is None else (frame.reference_stamp_ns - state.stamp_ns) * 1e-9
        return ReadFrame(frame, self._arrays(frame, prepared, state, can_bus), can_bus, memory_reset, age)

    def empty_pixels(self) -> torch.Tensor:
        """A place for the pictures of a frame: uint8 [N, height, width, 3] on the CPU, from where they go up fast."""
        shape = (len(self.config.cameras), self.config.image.height, self.config.image.width, 3)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")

    def reset(self, reason: str = "asked for") -> None:
        """Drops the temporal memory."""
        self.memory.reset(reason)
        self._guard_memory.reset()

    def warm_up(self, frames: int = 2) -> None:
        """Runs a few empty frames, so that the first real one pays no allocation or compilation. Resets the memory."""
        for step in range(frames):
            self.infer(_empty_frame(self.config.cameras, step))
        self.memory = TemporalMemory(self.config.memory)

    def _arrays(
        self, frame: DrivingFrame, prepared: PreparedImages, state: MemoryState | None, can_bus: FloatArray
    ) -> FrameArrays:
        ego_status = self.config.ego_status
        previous_can_bus = None if state is None else state.can_bus
        return FrameArrays(
            prepared=prepared,
            prev_bev_1RSD=None if state is None else state.bev_1RSD,
            T_prev_cur_44=None if state is None else T_prev_cur(state, frame),
            can_bus_18=can_bus_with_differences(can_bus, previous_can_bus) if ego_status == "bev" else None,
            ego_status_8=ego_status_vector(frame) if ego_status == "planner" else None,
        )


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


class StageClock:
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
