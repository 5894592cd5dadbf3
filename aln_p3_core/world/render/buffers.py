"""Buffers that are written anew for every picture and grow as needed."""

from __future__ import annotations

from collections.abc import Callable

import moderngl
import numpy as np
from numpy.typing import NDArray

_FIRST_BYTES = 1 << 14


class GrowingBuffer:
    """A vertex buffer with the vertex array that reads it."""

    def __init__(
        self, context: moderngl.Context, make_array: Callable[[moderngl.Buffer], moderngl.VertexArray]
    ) -> None:
        """make_array: how the buffer is read; called again when it has grown."""
        self._context, self._make_array = context, make_array
        self._buffer = context.buffer(reserve=_FIRST_BYTES)
        self.array = make_array(self._buffer)

    def write(self, data: NDArray[np.float32]) -> bool:
        """Fills the buffer. Returns whether there is anything to draw."""
        if data.nbytes > self._buffer.size:
            self.array.release()
            self._buffer.release()
            self._buffer = self._context.buffer(reserve=2 * data.nbytes)
            self.array = self._make_array(self._buffer)
        if data.nbytes:
            self._buffer.write(np.ascontiguousarray(data))
        return data.nbytes > 0


class Indirect:
    """Many draws with one call."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._buffer = context.buffer(reserve=_FIRST_BYTES)

    def render(self, array: moderngl.VertexArray, draws: NDArray[np.uint32]) -> None:
        """Draws [D, 5]: count, instances, first, 0, first instance."""
        if not len(draws):
            return
        if draws.nbytes > self._buffer.size:
            self._buffer.release()
            self._buffer = self._context.buffer(reserve=2 * draws.nbytes)
        self._buffer.write(np.ascontiguousarray(draws))
        array.render_indirect(self._buffer, count=len(draws))
