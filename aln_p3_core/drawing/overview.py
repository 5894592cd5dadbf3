"""Mosaic and bird's-eye view in one picture: what one frame led to."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.bev import draw_bev
from aln_p3_core.drawing.content import Drawable
from aln_p3_core.drawing.images import Image
from aln_p3_core.drawing.mosaic import draw_mosaic
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.scene import DrivingScene


def draw_overview(
    frame: DrivingFrame,
    scene: DrivingScene | None,
    targets: Drawable | None = None,
    *,
    lidar_model: NDArray[np.floating] | None = None,
    width: int = 1600,
    min_score: float = 0.3,
    banner: str = "",
) -> Image:
    """The camera mosaic with the bird's-eye view to its right, uint8 RGB.

    Arguments as in `draw_mosaic` and `draw_bev`.
    """
    mosaic = draw_mosaic(frame, scene, targets, width, banner=banner, min_score=min_score)
    bev = draw_bev(
        scene,
        targets,
        mosaic.shape[0],
        T_ego_model=frame.T_ego_model,
        lidar_model=lidar_model,
        min_score=min_score,
    )
    scale = mosaic.shape[0] / bev.shape[0]
    bev = cv2.resize(bev, (round(bev.shape[1] * scale), mosaic.shape[0]), interpolation=cv2.INTER_AREA)
    gap = np.full((mosaic.shape[0], 6, 3), palette.BACKGROUND, np.uint8)
    return np.hstack([mosaic, gap, bev])
