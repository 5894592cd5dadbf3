"""What is drawn into: one tall picture with all cameras one above the other, and how it is read back."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.render.camera import metric_depth


class Targets:
    """The frame buffers of a renderer: colour, with labels and depth where they are asked for."""

    def __init__(self, context: moderngl.Context, size: tuple[int, int], samples: int) -> None:
        """size: width, height of the tall picture, pixels. samples: 0, or samples a pixel."""
        self._context, self.size = context, size
        self.color = context.texture(size, 4)
        self.color.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.color.repeat_x = self.color.repeat_y = False
        depth = context.depth_texture(size)
        self.plain = context.framebuffer([self.color], depth)
        self.truth = context.framebuffer([self.color, context.texture(size, 1, dtype="i4")], depth)
        self.smooth: moderngl.Framebuffer | None = None
        if samples:
            self.smooth = context.framebuffer(
                [context.renderbuffer(size, 4, samples=samples)], context.depth_renderbuffer(size, samples=samples)
            )
        self.final = context.framebuffer([context.texture(size, 4)])

    def for_color(self, truth: bool) -> moderngl.Framebuffer:
        """What the picture is drawn into; with labels too when `truth` and pixels have one sample only."""
        if self.smooth is not None:
            return self.smooth
        return self.truth if truth else self.plain

    def resolve(self) -> None:
        """Has the picture in `color`: the mean of each pixel's samples."""
        if self.smooth is not None:
            self._context.copy_framebuffer(self.plain, self.smooth)

    def read_truth(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Depth (m along the optical axis) and labels [height, width] of the tall picture."""
        width, height = self.size
        depth = np.frombuffer(self.truth.read(attachment=-1, components=1, dtype="f4"), np.float32)
        labels = np.frombuffer(self.truth.read(attachment=1, components=1, dtype="i4"), np.int32)
        return metric_depth(depth.reshape(height, width)), labels.reshape(height, width)

    def read_color(self) -> NDArray[np.uint8]:
        """[height, width, 3] of the tall picture as the film has it."""
        width, height = self.size
        return np.frombuffer(self.final.read(components=3, alignment=1), np.uint8).reshape(height, width, 3)
