"""Halos of lamps: traffic lights, brake lights, indicators, headlamps, street lamps, and their mirror images on a
wet road. They make a lamp of a pixel or two readable, as the lens of a real camera does."""

from __future__ import annotations

from functools import cache

import moderngl
import numpy as np
import shapely
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.assets.library import load_mesh
from aln_p3_core.world.assets.mesh import Part
from aln_p3_core.world.assets.scenery_meshes import SIGNAL_LAMPS_Z
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.render.camera import PlacedCamera
from aln_p3_core.world.render.graphics import Graphics
from aln_p3_core.world.render.objects import LIT_BRAKE, LIT_HEAD, LIT_LEFT, LIT_RIGHT, LIT_TAIL, lit_bits
from aln_p3_core.world.state import SignalColor, WorldState
from aln_p3_core.world.weather import Light

#: place, radius (m), colour, least radius (pixels), stretch (1 round; more: an upright streak).
_FORMAT, _NAMES = "3f 1f 3f 1f 1f", ("in_place", "in_radius", "in_light", "in_least", "in_stretch")
_FLOATS = 9
_MOST = 4096
_REACH_M = 180.0
_SIGNAL_COLORS = {
    SignalColor.RED: (1.0, 0.08, 0.05),
    SignalColor.YELLOW: (1.0, 0.62, 0.06),
    SignalColor.GREEN: (0.06, 0.95, 0.50),
    SignalColor.GREEN_YIELD: (0.06, 0.95, 0.50),
}
# Bit of what is lit -> colour, radius by day and at night (m).
_LAMPS = {
    LIT_BRAKE: ((1.0, 0.06, 0.04), 0.22, 0.55),
    LIT_TAIL: ((0.55, 0.03, 0.02), 0.12, 0.32),
    LIT_LEFT: ((1.0, 0.5, 0.04), 0.22, 0.45),
    LIT_RIGHT: ((1.0, 0.5, 0.04), 0.22, 0.45),
    LIT_HEAD: ((0.9, 0.87, 0.78), 0.16, 0.75),
}
_PART_OF = {
    LIT_BRAKE: Part.BRAKE_LAMP,
    LIT_TAIL: Part.BRAKE_LAMP,
    LIT_LEFT: Part.LEFT_INDICATOR,
    LIT_RIGHT: Part.RIGHT_INDICATOR,
    LIT_HEAD: Part.HEADLAMP,
}


class Glow:
    """Draws the halos of one camera's picture."""

    def __init__(self, graphics: Graphics, city: CityMap, lamp_heads: FloatArray, light: Light) -> None:
        """lamp_heads: [L, 3] where street lamps shine from."""
        self._context, self._light = graphics.context, light
        self._program = graphics.program("glow", "glow")
        self._heads = np.array([signal.head for signal in city.signals]).reshape(-1, 3)
        headings = np.array([signal.heading for signal in city.signals])
        self._facing = np.stack([np.cos(headings), np.sin(headings), 0 * headings], axis=1)
        self._street = lamp_heads
        self._road = city.drivable
        shapely.prepare(self._road)

    def array(self, buffer: moderngl.Buffer) -> moderngl.VertexArray:
        """How a buffer of `halos` is read."""
        return self._context.vertex_array(self._program, [(buffer, _FORMAT, *_NAMES)])

    def halos(self, camera: PlacedCamera, state: WorldState) -> NDArray[np.float32]:
        """[H, 9] halos that the camera may see."""
        rows = np.concatenate([self._signals(camera.eye, state), self._vehicles(camera.eye, state), self._streets()])
        seen, _ = camera.sees(rows[:, :3], rows[:, 3] + 1.0, _REACH_M)
        rows = rows[seen]
        if self._light.wetness > 0.0:
            rows = np.concatenate([rows, self._mirrored(rows, camera.eye)])
        return rows[:_MOST].astype(np.float32)

    def draw(self, array: moderngl.VertexArray, count: int, camera: PlacedCamera) -> None:
        """Adds halos to the picture; depth and labels stay."""
        self._program["focal"].value = float(camera.calibration.intrinsic[0, 0])  # type: ignore[union-attr]
        self._context.blend_func = moderngl.ONE, moderngl.ONE
        array.render(moderngl.POINTS, vertices=count)
        self._context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA

    def _signals(self, eye: FloatArray, state: WorldState) -> FloatArray:
        shown = np.asarray(state.signals)
        parts = [np.zeros((0, _FLOATS))]
        for color, light in _SIGNAL_COLORS.items():
            on = np.flatnonzero(shown == color)
            place = self._heads[on] + 0.06 * self._facing[on]
            place[:, 2] += SIGNAL_LAMPS_Z[min(int(color), 3) - 1]
            strength = _towards(place, self._facing[on], eye)
            radius = 0.34 + 0.5 * self._light.lamps
            parts.append(_rows(place, radius, np.outer(strength, light), 2.2))
        return np.concatenate(parts)

    def _vehicles(self, eye: FloatArray, state: WorldState) -> FloatArray:
        actors, lamps = state.actors, self._light.lamps
        bits = lit_bits(actors, state.time_s, lamps)
        parts = [np.zeros((0, _FLOATS))]
        for bit, (color, by_day, by_night) in _LAMPS.items():
            lit = np.flatnonzero(bits & bit)
            if bit == LIT_TAIL:
                lit = lit[(bits[lit] & LIT_BRAKE) == 0]
            places, known = _lamp_places()[_PART_OF[bit]]
            local, there = places[actors.models[lit]], known[actors.models[lit]]
            cos, sin = np.cos(actors.headings[lit]), np.sin(actors.headings[lit])
            world = actors.positions[lit][:, None, :] + np.stack(
                [
                    cos[:, None] * local[..., 0] - sin[:, None] * local[..., 1],
                    sin[:, None] * local[..., 0] + cos[:, None] * local[..., 1],
                    local[..., 2],
                ],
                axis=-1,
            )
            ahead = np.sign(local[..., :1]) * np.stack([cos, sin, 0 * cos], axis=1)[:, None, :]
            place, facing = world[there], ahead[there]
            strength = _towards(place, facing, eye) * (0.5 + 0.5 * lamps)
            radius = by_day + (by_night - by_day) * lamps
            parts.append(_rows(place + 0.05 * facing, radius, np.outer(strength, color), 1.3))
        return np.concatenate(parts)

    def _streets(self) -> FloatArray:
        count = len(self._street) if self._light.lamps > 0 else 0
        light = np.tile(np.array([0.85, 0.68, 0.42]) * self._light.lamps, (count, 1))
        return _rows(self._street[:count], 0.9, light, 1.0)

    def _mirrored(self, rows: FloatArray, eye: FloatArray) -> FloatArray:
        """Where a wet road mirrors the lamps: streaks at the places where eye and lamp see each other in it."""
        share = eye[2] / (eye[2] + np.maximum(rows[:, 2], 0.1))
        mirrored = rows.copy()
        mirrored[:, :2] = eye[:2] + share[:, None] * (rows[:, :2] - eye[:2])
        mirrored[:, 2] = 0.05
        mirrored[:, 3] *= 1.5 * share
        mirrored[:, 4:7] *= 0.55 * self._light.wetness
        mirrored[:, 8] = 3.5
        # Grass does not mirror.
        return mirrored[shapely.contains_xy(self._road, mirrored[:, 0], mirrored[:, 1])]


def _towards(place: FloatArray, facing: FloatArray, eye: FloatArray) -> FloatArray:
    """[N] 0..1: how much a lamp that shines along `facing` [N, 3] shines at the eye."""
    to_eye = eye - place
    to_eye /= np.maximum(np.linalg.norm(to_eye, axis=1, keepdims=True), 1e-6)
    return np.clip((to_eye * facing).sum(axis=1) * 1.6 - 0.2, 0.0, 1.0)


def _rows(place: FloatArray, radius: float, light: FloatArray, least_px: float) -> FloatArray:
    count = len(place)
    return np.column_stack([place, np.full(count, radius), light, np.full(count, least_px), np.ones(count)]).reshape(
        -1, _FLOATS
    )


@cache
def _lamp_places() -> dict[Part, tuple[FloatArray, NDArray[np.bool_]]]:
    """By part: places [models, 4, 3] of its lamps in the actor's frame, and which of the four there are."""
    result = {}
    meshes = [load_mesh(model.name, model.size_lwh) for model in MODELS]
    for part in set(_PART_OF.values()):
        places, known = np.zeros((len(meshes), 4, 3)), np.zeros((len(meshes), 4), dtype=bool)
        for row, mesh in enumerate(meshes):
            vertices = mesh.vertices[mesh.parts == part].astype(np.float64)
            wide = len(vertices) > 0 and np.ptp(vertices[:, 1]) > 0.4
            if wide:  # Without a third lamp in the middle.
                vertices = vertices[np.abs(vertices[:, 1]) > 0.5 * np.abs(vertices[:, 1]).max()]
            corner = (vertices[:, 0] > 0) + 2 * ((vertices[:, 1] > 0) if wide else np.zeros(len(vertices), np.int64))
            for slot in np.unique(corner):
                here = vertices[corner == slot]
                places[row, slot], known[row, slot] = (here.min(axis=0) + here.max(axis=0)) / 2, True
                # On the outside of the body, also where the lamp reaches around its corner.
                places[row, slot, 0] = here[:, 0].max() if slot % 2 else here[:, 0].min()
        result[part] = places, known
    return result
