"""Which models there are: kind, size and mesh of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.world.actors import ActorKind, Actors


@dataclass(frozen=True, slots=True)
class Model:
    """One model of an actor.

    Attributes:
        name: unique; names the mesh file where there is one.
        kind: what it is.
        size_lwh: extents of the mesh as rendered, length, width, height, m: labels use them.
        child: a pedestrian who is a child.
    """

    name: str
    kind: ActorKind
    size_lwh: tuple[float, float, float]
    child: bool = False

    @property
    def category(self) -> str:
        """nuScenes category of the label."""
        return "human.pedestrian.child" if self.child else self.kind.category


# Models may be appended, and sizes follow the meshes; the order stays, because recordings name models by index.
MODELS: tuple[Model, ...] = (
    Model("car_compact", ActorKind.CAR, (2.90, 1.70, 1.55)),
    Model("car_sedan", ActorKind.CAR, (4.70, 1.90, 1.48)),
    Model("van", ActorKind.VAN, (5.90, 2.35, 2.55)),
    Model("truck", ActorKind.TRUCK, (6.60, 2.65, 3.40)),
    Model("bus", ActorKind.BUS, (12.00, 2.80, 3.05)),
    Model("motorcycle", ActorKind.MOTORCYCLE, (2.10, 0.80, 1.62)),
    Model("bicycle", ActorKind.BICYCLE, (1.75, 0.60, 1.75)),
    Model("pedestrian_a", ActorKind.PEDESTRIAN, (0.32, 0.55, 1.80)),
    Model("pedestrian_child", ActorKind.PEDESTRIAN, (0.24, 0.40, 1.25), child=True),
    Model("cone", ActorKind.CONE, (0.40, 0.40, 0.75)),
    Model("barrier", ActorKind.BARRIER, (0.50, 2.00, 1.00)),
    Model("car_hatchback", ActorKind.CAR, (4.30, 1.90, 1.52)),
    Model("car_estate", ActorKind.CAR, (4.30, 2.00, 1.62)),
    Model("car_suv", ActorKind.CAR, (4.65, 2.05, 1.66)),
    Model("car_coupe", ActorKind.CAR, (4.45, 2.00, 1.27)),
    Model("car_taxi", ActorKind.CAR, (4.70, 1.90, 1.62)),
    Model("van_small", ActorKind.VAN, (4.60, 1.95, 1.90)),
    Model("pickup", ActorKind.TRUCK, (5.35, 2.00, 1.80)),  # nuScenes counts pickups as trucks.
    Model("truck_large", ActorKind.TRUCK, (9.60, 2.70, 3.70)),
    Model("bus_coach", ActorKind.BUS, (12.80, 2.80, 3.55)),
    Model("scooter", ActorKind.MOTORCYCLE, (1.80, 0.75, 1.70)),
    Model("bicycle_sport", ActorKind.BICYCLE, (1.75, 0.55, 1.65)),
    Model("pedestrian_b", ActorKind.PEDESTRIAN, (0.40, 0.55, 1.76)),
    Model("pedestrian_c", ActorKind.PEDESTRIAN, (0.32, 0.55, 1.84)),
    Model("pedestrian_d", ActorKind.PEDESTRIAN, (0.32, 0.55, 1.72)),
    Model("pedestrian_e", ActorKind.PEDESTRIAN, (0.38, 0.50, 1.66)),
    Model("pedestrian_f", ActorKind.PEDESTRIAN, (0.32, 0.50, 1.68)),
    Model("pedestrian_g", ActorKind.PEDESTRIAN, (0.38, 0.50, 1.62)),
    Model("pedestrian_child_b", ActorKind.PEDESTRIAN, (0.30, 0.42, 1.38), child=True),
)


def models_of(kind: ActorKind) -> tuple[int, ...]:
    """Indices into `MODELS` of all models of a kind."""
    return tuple(index for index, model in enumerate(MODELS) if model.kind is kind)


def sizes_of(actors: Actors) -> NDArray[np.float64]:
    """[N, 3] length, width, height of every actor, m."""
    return _SIZES[actors.models]


def kinds_of(actors: Actors) -> list[ActorKind]:
    """Kind of every actor."""
    return [MODELS[model].kind for model in actors.models]


_SIZES = np.array([model.size_lwh for model in MODELS], dtype=np.float64)
