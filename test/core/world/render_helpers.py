"""A small street with known bodies in it, rendered."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from world_helpers import straight_city

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.actors import Actors, make_actors
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.render.available import rendering_problem
from aln_p3_core.world.render.images import RenderedView, Shot
from aln_p3_core.world.rig import world_rig
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Condition, Weather

needs_rendering = pytest.mark.skipif(rendering_problem() is not None, reason=str(rendering_problem()))

BUILDING = (140.0, 16.0, 0.0, 20.0, 10.0, 9.0)
SCENERY = Scenery(
    buildings=np.array([BUILDING, (100.0, -25.0, 0.3, 12.0, 8.0, 30.0)]),
    trees=np.array([[130.0, -10.5, 7.0], [95.0, 9.5, 8.0]]),
    poles=np.array([[120.0, -8.5, np.pi / 2, 8.0]]),
    seed=4,
)
EGO = EgoState(2.0, 100.0, -1.75, 0.0, speed=8.0)


def model(name: str) -> int:
    """Index of a model by its name."""
    return next(row for row, entry in enumerate(MODELS) if entry.name == name)


def street_actors() -> Actors:
    """Vehicles and people around the ego, none hidden by another but row 6, which stands behind row 5."""
    names = ["car_sedan", "bus", "pedestrian_a", "bicycle", "cone", "truck_large", "car_compact", "van"]
    places = [(114, -5.2), (128, 1.8), (109, 4.5), (95, -6), (107, -3.9), (122, -1.75), (131, -1.75), (84, -1.75)]
    headings = [0.1, np.pi, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return make_actors(
        [f"{name}-{row}" for row, name in enumerate(names)],
        [model(name) for name in names],
        places,
        headings,
        colors=[(40 + 25 * row, 120, 200 - 20 * row) for row in range(len(names))],
        flags=[0, 0, 0, 16, 0, 1, 0, 8],
    )


def street(ego: EgoState = EGO, actors: Actors | None = None) -> WorldState:
    """The world of `street_actors`."""
    city = straight_city(signal=True)
    return WorldState(ego, street_actors() if actors is None else actors, np.ones(len(city.signals), np.int64))


def depth_of(view: RenderedView) -> NDArray[np.float32]:
    """The view's depth, which is there."""
    assert view.depth is not None
    return view.depth


def labels_of(view: RenderedView) -> NDArray[np.int32]:
    """The view's labels, which are there."""
    assert view.labels is not None
    return view.labels


def render_street(
    state: WorldState | None = None,
    *,
    condition: Condition = Condition.DAY,
    rig: dict[str, CameraCalibration] | None = None,
    truth: bool = True,
    **options: object,
) -> dict[str, RenderedView]:
    """All cameras of the straight city with `SCENERY`."""
    from aln_p3_core.world.render.options import RenderOptions
    from aln_p3_core.world.render.renderer import WorldRenderer

    state = street() if state is None else state
    with WorldRenderer(
        straight_city(signal=True),
        SCENERY,
        rig or world_rig(),
        Weather(condition, 3),
        options=RenderOptions(**options),  # type: ignore[arg-type]
    ) as renderer:
        return renderer.render([Shot(name, state.time_s, state) for name in renderer.rig], truth=truth)
