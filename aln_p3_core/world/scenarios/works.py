"""Works that narrow the lane: cones and barriers at its right side."""

from __future__ import annotations

import numpy as np

from aln_p3_core.world.actors import ActorKind, Actors, make_actors
from aln_p3_core.world.assets.catalogue import MODELS, models_of
from aln_p3_core.world.route import Route
from aln_p3_core.world.scenarios.scenario import Ground, Play, Scenario, quiet_streets, start_on
from aln_p3_core.world.scenarios.sites import long_lanes, route_from
from aln_p3_core.world.traffic.looks import paint_of
from aln_p3_core.world.traffic.sumo import StageTraffic

_TAPER_M = 10.0
_CONE_SPACING_M = 2.5
_BARRIER_SPACING_M = 5.0
#: The middle of a parked car from the edge of the lane, and how far from it the works keep the kerb free, m.
_PARKING_ASIDE_M = 1.15
_NO_PARKING_M = 4.0


def build_works(ground: Ground) -> Play:
    """Cones and barriers take so much of the lane that the ego has to move over."""
    rng, city = ground.rng, ground.city
    lane = long_lanes(city, rng, 115.0, lambda lane: lane.right < 0)[0]
    here = city.lanes[lane]
    start_s = float(rng.uniform(3.0, 8.0))
    route = route_from(city, lane, start_s, 180.0)
    begin = float(rng.uniform(48.0, 58.0))
    length = float(rng.uniform(12.0, 22.0))
    # The left edge of the works, m from the middle of the lane (right is negative).
    edge = float(rng.uniform(-0.45, -0.1))
    things = _works(route, begin, length, edge, -here.width / 2)
    middle, _ = route.pose_at(begin + _TAPER_M + length / 2, 0.5 * (edge - here.width / 2))
    circle = np.array([[*middle, length / 2 + _TAPER_M + 6.0]])
    setting = StageTraffic(things=things, clear_edges=(here.road,), clear_circles=circle)
    # Nobody parks where the works are, nor in their ends.
    beside = np.arange(begin - 3.0, begin + _TAPER_M + length + 8.0, 2.0)
    kerbside, _ = route.pose_at(beside, -here.width / 2 - _PARKING_ASIDE_M)
    return Play(
        route,
        start_on(route, float(rng.uniform(0.6, 0.85)) * here.speed_limit),
        quiet_streets(),
        setting,
        no_parking=np.column_stack([kerbside, np.full(len(beside), _NO_PARKING_M)]),
    )


def _works(route: Route, begin: float, length: float, edge: float, kerb: float) -> Actors:
    """Cones in a taper from the kerb, then cones along the edge with barriers behind them, and a taper back."""
    cone, barrier = models_of(ActorKind.CONE)[0], models_of(ActorKind.BARRIER)[0]
    half_cone = MODELS[cone].size_lwh[1] / 2
    rows: list[tuple[int, float, float]] = []
    for share in (0.0, 0.33, 0.67):
        rows.append((cone, begin + share * _TAPER_M, kerb + share * (edge - kerb) - half_cone))
        rows.append((cone, begin + _TAPER_M + length + (1 - share) * 5.0, kerb + share * (edge - kerb) - half_cone))
    for s in np.arange(begin + _TAPER_M, begin + _TAPER_M + length + 0.1, _CONE_SPACING_M):
        rows.append((cone, float(s), edge - half_cone))
    # Barriers stand across the closed strip, clear of the cones.
    width = MODELS[barrier].size_lwh[1]
    for s in np.arange(begin + _TAPER_M + 1.2, begin + _TAPER_M + length, _BARRIER_SPACING_M):
        rows.append((barrier, float(s), edge - 2 * half_cone - 0.1 - width / 2))
    places, headings = route.pose_at(np.array([row[1] for row in rows]), np.array([row[2] for row in rows]))
    names = [f"{MODELS[row[0]].kind.name.lower()}-{number}" for number, row in enumerate(rows)]
    colors = [paint_of(MODELS[row[0]].kind, name) for row, name in zip(rows, names, strict=True)]
    return make_actors(names, [row[0] for row in rows], places, headings, colors=colors)


WORKS = Scenario("works", "cones and barriers narrow the lane", 80.0, build_works)
