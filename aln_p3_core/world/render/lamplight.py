"""Light of street lamps and headlamps on the road: a map of it from above, drawn anew for every instant."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag
from aln_p3_core.world.assets.catalogue import kinds_of, sizes_of
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH
from aln_p3_core.world.render.graphics import UNITS, Graphics
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Light

#: Half the side of the map around the ego, m, and its texels along a side.
POOL_REACH_M = 96.0
_TEXELS = 384
_STREET_COLOR = np.array([1.0, 0.78, 0.50]) * 0.42
_HEAD_COLOR = np.array([1.0, 0.96, 0.86]) * 0.62
_STREET_REACH_M = 20.0
#: Length and half width of the map of a headlamp's beam, m.
_BEAM_M = (42.0, 9.0)
_FORMAT = "2f 2f 2f 3f 1f/i"
_NAMES = ("in_place", "in_axis", "in_size", "in_light", "in_kind")


class LampLight:
    """Keeps the map of lamp light (sampler `pool_map`) up to date."""

    def __init__(self, graphics: Graphics, lamp_heads: FloatArray, light: Light) -> None:
        """lamp_heads: [L, 3] where street lamps shine from."""
        context = graphics.context
        self._context = context
        self._strength = light.lamps
        self._map = context.texture((_TEXELS, _TEXELS), 4, dtype="f2")
        self._map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._map.repeat_x = self._map.repeat_y = False
        self._target = context.framebuffer([self._map])
        self._map.use(UNITS["pool_map"])
        self._program = graphics.program("pool", "pool", lit=False)
        square = context.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        self._square = (square, "2f", ("in_corner",))
        self._lights = context.buffer(reserve=40 * 4096)
        self._array = graphics.vertex_array(self._program, [self._square, (self._lights, _FORMAT, _NAMES)])
        self._street = _rows(
            lamp_heads[:, :2],
            np.tile([1.0, 0.0], (len(lamp_heads), 1)),
            np.full((len(lamp_heads), 2), _STREET_REACH_M),
            _STREET_COLOR * self._strength,
            0.0,
        )

    def draw(self, state: WorldState, middle: FloatArray) -> None:
        """Draws the light around `middle` [2]."""
        beams = self._beams(state)
        rows = np.concatenate([self._street, beams])
        reach = POOL_REACH_M + rows[:, 4:6].max(axis=1, initial=0.0)
        near = (np.abs(rows[:, :2] - middle) < reach[:, None]).all(axis=1)
        rows = rows[near][:4096]
        self._target.use()
        self._target.clear()
        if not len(rows):
            return
        self._lights.write(rows.tobytes())
        self._program["middle"].value = tuple(middle)  # type: ignore[union-attr]
        self._program["reach"].value = POOL_REACH_M  # type: ignore[union-attr]
        self._context.enable_only(moderngl.BLEND)
        self._context.blend_func = moderngl.ONE, moderngl.ONE
        self._array.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(rows))
        self._context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA

    def _beams(self, state: WorldState) -> NDArray[np.float32]:
        """Headlamps of the ego and of everybody who drives."""
        actors = state.actors
        driven = np.array([kind.is_vehicle for kind in kinds_of(actors)], dtype=bool)
        driven &= (actors.flags & ActorFlag.PARKED.value) == 0
        heading = np.append(actors.headings[driven], state.ego.heading)
        axis = np.stack([np.cos(heading), np.sin(heading)], axis=1)
        front = np.append(sizes_of(actors)[driven, 0] / 2, EGO_SIZE_LWH[0] / 2)
        middle = np.vstack([actors.positions[driven, :2], state.ego.xy + EGO_CENTER_AHEAD_M * axis[-1]])
        size = np.tile([_BEAM_M[0] / 2, _BEAM_M[1]], (len(axis), 1))
        place = middle + axis * (front + _BEAM_M[0] / 2)[:, None]
        return _rows(place, axis, size, _HEAD_COLOR * self._strength, 1.0)


def _rows(place: FloatArray, axis: FloatArray, size: FloatArray, color: FloatArray, kind: float) -> NDArray[np.float32]:
    """[N, 10] lights: place, direction, half length and half width, colour, kind (0 street lamp, 1 beam)."""
    count = len(place)
    return np.column_stack([place, axis, size, np.tile(color, (count, 1)), np.full(count, kind)]).astype(np.float32)
