"""Meshes made by code: what is drawn for a model whose baked mesh is not there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aln_p3_core.world.assets.mesh import Mesh, Part
from aln_p3_core.world.assets.procedural_people import Clothes, bicycle_mesh, motorcycle_mesh, walker_mesh
from aln_p3_core.world.assets.procedural_vehicles import CarShape, bus_mesh, car_mesh, truck_mesh, van_mesh
from aln_p3_core.world.assets.shapes import MeshBuilder

Size = tuple[float, float, float]


def procedural_mesh(name: str, size_lwh: Size) -> Mesh | None:
    """The mesh of a model, made from shapes, with the extents `size_lwh`; None for a name that is not known."""
    make = _MAKERS.get(name)
    return None if make is None else make(size_lwh)


def cone_mesh(size: Size) -> Mesh:
    """A traffic cone: orange with a white band, on a square foot."""
    builder = MeshBuilder()
    length, _, height = size
    half, orange = length / 2, (236, 92, 24)
    builder.box((-half, -half, 0), (half, half, 0.05), (52, 44, 40))
    levels = [(0.05, 0.72 * half), (0.42 * height, 0.46 * half), (0.66 * height, 0.30 * half), (height, 0.10 * half)]
    for (z0, r0), (z1, r1), color in zip(levels[:-1], levels[1:], (orange, (238, 238, 234), orange), strict=True):
        builder.tube([(0, 0, z0), (0, 0, z1)], [r0, r1], color, segments=12)
    return builder.build(size)


def barrier_mesh(size: Size) -> Mesh:
    """A barrier across the way: red and white boards on two feet."""
    builder = MeshBuilder()
    depth, width, height = size
    for y in (-0.38 * width, 0.38 * width):
        builder.box((-depth / 2, y - 0.05, 0), (depth / 2, y + 0.05, 0.10), (40, 40, 42))
        builder.box((-0.035, y - 0.035, 0.10), (0.035, y + 0.035, height - 0.02), (120, 122, 126))
    stripes = 8
    edges = np.linspace(-width / 2, width / 2, stripes + 1)
    for low, high in ((0.34 * height, 0.56 * height), (0.74 * height, height)):
        for k in range(stripes):
            color = (204, 30, 30) if k % 2 else (236, 236, 234)
            builder.box((-0.05, edges[k], low), (0.05, edges[k + 1], high), color)
    for side in (-0.38, 0.38):
        builder.box(
            (-0.05, side * width - 0.05, 0.93 * height),
            (0.05, side * width + 0.05, height),
            (236, 160, 32),
            part=Part.BODY,
        )
    return builder.build(size)


def _car(shape: CarShape, *, taxi: bool = False) -> Callable[[Size], Mesh]:
    return lambda size: car_mesh(size, shape, taxi=taxi)


def _walker(clothes: Clothes) -> Callable[[Size], Mesh]:
    return lambda size: walker_mesh(size, clothes)


_SEDAN = CarShape()
_HATCH = CarShape(belt=0.60, hood=0.54, trunk=0.60, glass=(0.015, 0.76), roof=(0.10, 0.56))
_DARK = Clothes(trousers=(40, 42, 50), skin=(122, 84, 62), hair=(28, 22, 20))

_MAKERS: dict[str, Callable[[Size], Mesh]] = {
    "car_compact": _car(
        CarShape(
            belt=0.60,
            hood=0.56,
            trunk=0.60,
            glass=(0.02, 0.80),
            roof=(0.14, 0.58),
            wheels=(0.17, 0.83),
            wheel_radius_m=0.30,
        )
    ),
    "car_sedan": _car(_SEDAN),
    "car_hatchback": _car(_HATCH),
    "car_estate": _car(CarShape(trunk=0.60, glass=(0.015, 0.75), roof=(0.06, 0.55))),
    "car_suv": _car(
        CarShape(belt=0.62, hood=0.60, trunk=0.64, glass=(0.015, 0.77), roof=(0.07, 0.58), wheel_radius_m=0.37)
    ),
    "car_coupe": _car(
        CarShape(belt=0.62, hood=0.52, trunk=0.62, glass=(0.05, 0.70), roof=(0.28, 0.48), wheel_radius_m=0.33)
    ),
    "car_taxi": _car(_SEDAN, taxi=True),
    "van": van_mesh,
    "van_small": van_mesh,
    "pickup": _car(
        CarShape(
            belt=0.60,
            hood=0.58,
            trunk=0.56,
            glass=(0.40, 0.78),
            roof=(0.43, 0.62),
            wheels=(0.20, 0.82),
            wheel_radius_m=0.39,
            bed=0.40,
        )
    ),
    "truck": truck_mesh,
    "truck_large": truck_mesh,
    "bus": bus_mesh,
    "bus_coach": lambda size: bus_mesh(size, coach=True),
    "motorcycle": lambda size: motorcycle_mesh(size, Clothes(trousers=(34, 36, 42))),
    "scooter": lambda size: motorcycle_mesh(size, Clothes(trousers=(70, 84, 110)), scooter=True),
    "bicycle": lambda size: bicycle_mesh(size, Clothes(trousers=(58, 62, 70))),
    "bicycle_sport": lambda size: bicycle_mesh(
        size, Clothes(trousers=(28, 28, 30), shoes=(220, 220, 220)), sporty=True
    ),
    "pedestrian_a": _walker(Clothes()),
    "pedestrian_b": _walker(Clothes(trousers=(34, 34, 38), hair=(110, 80, 46), bag=True)),
    "pedestrian_c": _walker(_DARK),
    "pedestrian_d": _walker(Clothes(trousers=(150, 134, 104), hair=(120, 118, 116))),
    "pedestrian_e": _walker(Clothes(trousers=(92, 44, 60), hair=(70, 42, 24), skirt=True)),
    "pedestrian_f": _walker(Clothes(trousers=(86, 104, 140), hair=(150, 112, 60), shoes=(228, 226, 222))),
    "pedestrian_g": _walker(Clothes(trousers=(38, 46, 58), skin=(164, 118, 88), hair=(26, 22, 22), skirt=True)),
    "pedestrian_child": _walker(Clothes(trousers=(70, 92, 140), hair=(120, 84, 48), shoes=(200, 60, 50))),
    "pedestrian_child_b": _walker(Clothes(trousers=(150, 70, 96), hair=(64, 42, 26), bag=True)),
    "cone": cone_mesh,
    "barrier": barrier_mesh,
}
