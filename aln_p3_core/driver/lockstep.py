"""Several recorded drives through one network, in step: their k-th frames are one batch.

On a GPU a frame alone costs mostly the starting of small kernels, and a batch of sixteen costs hardly more. Numbers are
those of one drive at a time but for the last digits, which depend on the size of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from aln_p3_core.driver.driver import Driver
from aln_p3_core.driver.frame_driver import Inference, StageClock
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.memory import TemporalMemory
from aln_p3_core.frame import DrivingFrame

__all__ = ["Lockstep"]


class Lockstep:
    """Drives that go on together, each with a memory of its own. The driver's own memory is left alone.

    Attributes:
        driver: whose network runs.
        memories: of the drives.
    """

    def __init__(self, driver: Driver, drives: int) -> None:
        self.driver = driver
        self.memories = [TemporalMemory(driver.config.memory) for _ in range(drives)]
        for memory in self.memories:
            memory.reset("new scene")
        self._pixels = [driver.empty_pixels() for _ in range(drives)]

    @torch.inference_mode()
    def infer(self, frames: Sequence[DrivingFrame | None]) -> list[Inference | None]:
        """The next frame of every drive; None where a drive has ended. Errors as `Driver.plan`.

        Outputs lie on the CPU (what follows is many small steps), the memories on the driver's device.
        """
        driver = self.driver
        going = [(drive, frame) for drive, frame in enumerate(frames) if frame is not None]
        results: list[Inference | None] = [None] * len(frames)
        if not going:
            return results
        read = [driver.read(frame, self.memories[drive], self._pixels[drive]) for drive, frame in going]
        inputs = joined(
            [driver.inputs(one.arrays, self._pixels[drive]) for (drive, _), one in zip(going, read, strict=True)]
        )
        outputs = driver.run(inputs, StageClock(driver.device))
        on_cpu: dict[str, Any] = {f.name: _moved(getattr(outputs, f.name)) for f in fields(DriverOutputs)}
        for row, ((drive, _), one) in enumerate(zip(going, read, strict=True)):
            inference = one.remembered(self.memories[drive], of_sample(outputs, row))
            inference.outputs = of_sample(DriverOutputs(**on_cpu), row)
            results[drive] = inference
        return results


def joined(parts: Sequence[DriverInputs]) -> DriverInputs:
    """Batches of one as one batch; samples without a memory get an empty one that is not read."""
    memories = [part.prev_bev_BRSD for part in parts]
    known = next((memory for memory in memories if memory is not None), None)
    batch = DriverInputs(
        images_BNCHW=torch.cat([part.images_BNCHW for part in parts]),
        model2img_BN44=torch.cat([part.model2img_BN44 for part in parts]),
        camera_valid_BN=torch.cat([part.camera_valid_BN for part in parts]),
        can_bus_B18=_joined([part.can_bus_B18 for part in parts]),
        ego_status_B8=_joined([part.ego_status_B8 for part in parts]),
    )
    if known is not None:
        device = known.device
        identity = torch.eye(4, device=device)[None]
        batch.prev_bev_BRSD = torch.cat([torch.zeros_like(known) if m is None else m for m in memories])
        batch.T_prev_cur_B44 = torch.cat(
            [identity if part.T_prev_cur_B44 is None else part.T_prev_cur_B44 for part in parts]
        )
        batch.history_valid_B = torch.tensor([m is not None for m in memories], device=device)
    return batch


def of_sample(outputs: DriverOutputs, row: int) -> DriverOutputs:
    """One sample of a batch, as a batch of one."""

    def cut(name: str) -> Tensor | None:
        tensor: Tensor | None = getattr(outputs, name)
        # The suffix names the axes: "agent_logits_LBQC" has its batch second.
        return None if tensor is None else tensor.narrow(name.rsplit("_", 1)[1].index("B"), row, 1)

    samples: dict[str, Any] = {field.name: cut(field.name) for field in fields(DriverOutputs)}
    return DriverOutputs(**samples)


def _joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """All or none: whether they are there is a matter of the recipe."""
    there = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(there) if there else None


def _moved(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.cpu()
