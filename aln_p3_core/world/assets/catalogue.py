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


MODELS: tuple[Model, ...] = (
    Model("car_compact", ActorKind.CAR, (4.0, 1.75, 1.5)),
    Model("car_sedan", ActorKind.CAR, (4.7, 1.85, 1.45)),
    Model("van", ActorKind.VAN, (5.0, 2.0, 2.1)),
    Model("truck", ActorKind.TRUCK, (8.0, 2.5, 3.2)),
    Model("bus", ActorKind.BUS, (11.5, 2.55, 3.1)),
    Model("motorcycle", ActorKind.MOTORCYCLE, (2.1, 0.8, 1.6)),
    Model("bicycle", ActorKind.BICYCLE, (1.8, 0.6, 1.7)),
    Model("pedestrian_a", ActorKind.PEDESTRIAN, (0.7, 0.6, 1.75)),
    Model("pedestrian_child", ActorKind.PEDESTRIAN, (0.5, 0.45, 1.25), child=True),
    Model("cone", ActorKind.CONE, (0.4, 0.4, 0.75)),
    Model("barrier", ActorKind.BARRIER, (0.5, 2.0, 1.0)),
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
