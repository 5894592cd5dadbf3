"""What the renderer is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.state import WorldState

#: Label of a pixel that shows no actor.
NO_ACTOR = -1


@dataclass(frozen=True, eq=False)
class RenderedView:
    """One camera's picture with its truth.

    Attributes:
        camera: channel name.
        time_s: exposure, seconds of the episode.
        state: the world at the exposure; its actors are in the same rows as those of the observation's state.
        calibration: of the camera.
        color: uint8 [height, width, 3] RGB.
        depth: float32 [height, width] m along the optical axis, infinite in the sky; None when not asked for.
        labels: int32 [height, width] row of the actor in `state.actors`, `NO_ACTOR` elsewhere; None when not
            asked for.
    """

    camera: str
    time_s: float
    state: WorldState
    calibration: CameraCalibration
    color: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    labels: NDArray[np.int32] | None = None

    @property
    def T_world_cam(self) -> FloatArray:
        """4x4, camera frame (x right, y down, z forward) at the exposure to world frame."""
        return self.state.ego.T_world_ego @ self.calibration.T_ego_cam


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture to render: which camera, and the world at its exposure."""

    camera: str
    time_s: float
    state: WorldState


class SceneRenderer(Protocol):
    """Renders the cameras of one rig in one city. Not thread-safe."""

    def render(self, shots: list[Shot], *, truth: bool = False) -> dict[str, RenderedView]:
        """Pictures by camera; with depth and labels when `truth`."""

    def close(self) -> None:
        """Frees the graphics memory."""
