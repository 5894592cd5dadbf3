"""Slows a plan down where it would touch somebody whom the driver itself sees (ours).

UniAD (arXiv 2212.10156), too, moves its plans away from what it perceives, after the network.

The network learns to drive from what drivers do, and drivers hardly ever touch anybody: what little it learns of the
last metres before an obstacle, this layer knows for certain. It needs nothing but the driver's own detections and
forecasts, keeps the planned path, and only ever brakes along it. Near standstill it also takes away what no car can
follow: plans that begin backwards or lead to the side on the spot, and the wait before a start that would be planned
again and again.

All geometry is in the model frame (x right, y forward), m. Suffixes: T times, S places along the path, A agents,
K points of a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray, invert_transform
from aln_p3_core.scene import Agents, DrivingScene, Plan
from aln_p3_core.vehicle import NUSCENES_VEHICLE, VehicleSize

#: Detections that are less sure do not brake the car.
SCORE = 0.3
#: Room that is kept ahead, and beside (negative: places of others are known to a few decimetres only), m.
AHEAD_M, BESIDE_M = 0.7, -0.1
#: Room ahead of a car that came nearer than that: so close it does not move up to anybody.
CLOSE_M = 0.25
#: Who is likely to change its mind, and is small and found less exactly, is kept away from further: beside and ahead.
WARY_M = (0.4, 1.0)
WARY_CLASSES = ("pedestrian", "bicycle", "motorcycle")
#: Of these it also believes, for so long, s, that they go on as they do now, and that they stay where they are: a
#: forecast may have them turn away, and somebody who sees a car come may stop.
WARY_S = 2.5
#: Constant decelerations that are tried, m/s^2, mildest first; the last one is what the car can do.
BRAKING = (1.0, 2.0, 3.0, 4.5, 6.0, 8.0)
#: Looked at: so far ahead in time, s, and so finely, s and m.
HORIZON_S, TIME_STEP_S, PLACE_STEP_M = 4.0, 0.25, 0.5
#: Slower than this, at the end of its forecast, an agent stands, m/s.
STANDING_MPS = 1.0
#: A plan shorter than this stands, m.
STANDING_M = 0.3
#: A plan shorter than this that leads more to the side than ahead is none that a car can follow, m.
SIDEWAYS_M = 2.0
#: A car slower than STARTING_MPS, m/s, whose plan leads further than STARTS_M, m, starts now instead of in a while.
STARTING_MPS, STARTS_M = 0.5, 3.0
#: Shares of the planned length that are tried before braking, while the car is slower than CRAWLING_MPS, m/s.
CRAWLING_MPS, SHARES = 3.0, (0.7, 0.4, 0.2)
#: An agent's outline stands as a grid of points: along and across, at least so many gaps, and so many that between
#: those of an agent so long and wide, m, the car does not fit.
LEAST_GAPS, LARGEST_M = (8, 2), (12.0, 3.0)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What came of it for one command.

    Attributes:
        braking: m/s^2 that the plan brakes with at least; 0 where it stays as it was.
        agent: index of who is in the way, -1 where nobody is.
        distance_m: of its middle from the model origin.
    """

    braking: float = 0.0
    agent: int = -1
    distance_m: float = 0.0


def guard_scene(
    scene: DrivingScene,
    speed_mps: float | None = None,
    agents: Agents | None = None,
    vehicle: VehicleSize = NUSCENES_VEHICLE,
) -> DrivingScene:
    """The scene with its plans slowed down where they have to be, and `guard` saying why the commanded one is.

    Args:
        scene: of the driver.
        speed_mps: of the car now; the plan's own first step tells it when None.
        agents: whom to brake for; the scene's own when None.
        vehicle: the car that drives.
    """
    agents = scene.agents if agents is None else agents
    T_model_ego = invert_transform(scene.T_ego_model)
    ahead = float((T_model_ego[:3, :3] @ [vehicle.middle_m, 0.0, 0.0])[1] + T_model_ego[1, 3])
    plans = scene.plan.trajectories_model.copy()
    reason = ""
    for command, path in enumerate(plans):
        plans[command], found = guard_plan(path, agents, scene.plan.step_s, ahead, speed_mps, vehicle)
        if found.braking > 0 and command == scene.plan.command.command.value:
            name = agents.class_names[int(agents.class_ids[found.agent])]
            reason = f"brakes with {found.braking:g} m/s^2 for a {name} at {found.distance_m:.0f} m"
    plan = Plan(plans, scene.plan.command, scene.plan.step_s)
    return replace(scene, plan=plan, guard=reason)


def guard_plan(
    points_T2: FloatArray,
    agents: Agents,
    step_s: float,
    ahead_m: float = 0.0,
    speed_mps: float | None = None,
    vehicle: VehicleSize = NUSCENES_VEHICLE,
) -> tuple[FloatArray, Guarded]:
    """A planned path, followed as fast as planned or as slowly as it takes to touch nobody.

    Args:
        points_T2: of the model origin, `step_s` apart.
        agents: with scores, boxes and forecasts.
        ahead_m: middle of the car ahead of the model origin.
        speed_mps: of the car now.
        vehicle: the car; its `middle_m` counts from the ego origin and is not read: `ahead_m` is.

    Returns:
        Points [T, 2] on the same path, and why.
    """
    points_T2 = _ahead_only(points_T2)
    if speed_mps is not None and speed_mps < STARTING_MPS:
        points_T2 = _begun_now(points_T2, step_s)
    points = np.concatenate([np.zeros((1, 2)), np.asarray(points_T2, dtype=np.float64)])
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    rows = np.flatnonzero(agents.scores >= SCORE)
    if lengths[-1] < STANDING_M or not len(rows):
        return points_T2, Guarded()
    times_T = np.arange(1, round(HORIZON_S / TIME_STEP_S) + 1) * TIME_STEP_S
    plan_times = step_s * np.arange(len(points))
    planned_T = _extended(times_T, plan_times, lengths)
    speed = lengths[1] / step_s if speed_mps is None else max(float(speed_mps), 0.0)
    # As far as the plan leads, and as the car needs to stop from where it ends.
    last_speed = (planned_T[-1] - planned_T[-2]) / TIME_STEP_S
    reach = planned_T[-1] + last_speed**2 / (2 * BRAKING[3]) + AHEAD_M
    places_S = np.arange(0.0, reach + PLACE_STEP_M, PLACE_STEP_M)
    touched_ATS = _touched(places_S, points, lengths, agents, rows, times_T, ahead_m, vehicle, AHEAD_M, WARY_M)
    is_wary_A = np.isin(np.array(agents.class_names)[agents.class_ids[rows]], WARY_CLASSES)
    if is_wary_A.any():
        for share in (1.0, 0.0):
            steady = _steady(agents, share)
            touched_ATS[is_wary_A] |= (
                _touched(places_S, points, lengths, steady, rows[is_wary_A], times_T, ahead_m, vehicle, AHEAD_M, WARY_M)
                & (times_T <= WARY_S)[:, None]
            )
    near_A = touched_ATS[:, 0, 0]
    if near_A.any():
        close_ATS = _touched(
            places_S, points, lengths, agents, rows[near_A], times_T, ahead_m, vehicle, CLOSE_M, (0.0, 0.0)
        )
        # Whoever is touched where the car stands already, and is not ahead of it, is no reason to stay.
        ahead_A = agents.centers_model[rows[near_A], 1] > ahead_m + vehicle.length_m / 2
        touched_ATS[near_A] = close_ATS & (ahead_A | ~close_ATS[:, 0, 0])[:, None, None]
    stands_A = _last_speeds(agents)[rows] < STANDING_MPS
    blocker = _first_blocker(planned_T, last_speed, places_S, touched_ATS, stands_A)
    if blocker < 0:
        return points_T2, Guarded()
    at_plan_T, braking = lengths, 0.0
    for share, braking in _ways_to_slow(speed):
        slowed_T = np.minimum(planned_T * share, _braked(times_T, speed, braking) if share == 1 else np.inf)
        at_plan_T = np.minimum(lengths * share, _braked(plan_times, speed, braking) if share == 1 else np.inf)
        end_speed = (slowed_T[-1] - slowed_T[-2]) / TIME_STEP_S
        if _first_blocker(slowed_T, end_speed, places_S, touched_ATS, stands_A) < 0:
            break
    slowed = np.stack([np.interp(at_plan_T[1:], lengths, points[:, axis]) for axis in (0, 1)], axis=-1)
    agent = int(rows[blocker])
    distance = float(np.linalg.norm(agents.centers_model[agent, :2]))
    return slowed.astype(np.asarray(points_T2).dtype), Guarded(braking, agent, distance)


def _ways_to_slow(speed: float) -> Iterator[tuple[float, float]]:
    """Share of the planned length, and deceleration; a slow car first tries to move up less far."""
    if speed < CRAWLING_MPS:
        yield from ((share, BRAKING[0]) for share in SHARES)
    yield from ((1.0, braking) for braking in BRAKING)


def _braked(times: FloatArray, speed: float, braking: float) -> FloatArray:
    """Way of a car that brakes to standstill, m."""
    until = np.minimum(times, speed / braking)
    way: FloatArray = speed * until - 0.5 * braking * until**2
    return way


def _begun_now(points_T2: FloatArray, step_s: float) -> FloatArray:
    """A standing car's plan without the wait at its beginning.

    Who is unsure when to start plans to start in a second, and in the next plan again.
    """
    points = np.concatenate([np.zeros((1, 2)), np.asarray(points_T2, dtype=np.float64)])
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    times = step_s * np.arange(len(points))
    if lengths[-1] < STARTS_M:
        return points_T2
    wait_s = times[int(np.flatnonzero(lengths < STANDING_M)[-1])]
    s = np.interp(times[1:] + wait_s, times, lengths)
    begun = np.stack([np.interp(s, lengths, points[:, axis]) for axis in (0, 1)], axis=-1)
    return begun.astype(points_T2.dtype)


def _ahead_only(points_T2: FloatArray) -> FloatArray:
    """The plan without what a car that drives on does not do: beginning backwards, and moving to the side on the spot.

    Near standstill the network's plans scatter about zero, and a car that follows them backs up and turns.
    """
    side, ahead = points_T2[-1]
    if np.hypot(side, ahead) < SIDEWAYS_M and ahead < abs(side):
        return np.zeros_like(points_T2)
    # Only how it begins: around a hairpin the way may well lead behind the car.
    begins = np.logical_and.accumulate(points_T2[:, 1] < 0)
    return np.where(begins[:, None], np.zeros_like(points_T2), points_T2) if begins.any() else points_T2


def _steady(agents: Agents, share: float) -> Agents:
    """The same agents, going on at a share of their present velocities."""
    ahead = agents.step_s * np.arange(1, agents.forecasts_model.shape[2] + 1)[:, None]
    paths = agents.centers_model[:, None, :2] + ahead * share * agents.velocities_model[:, None]
    return replace(
        agents,
        forecasts_model=paths[:, None],
        forecast_probabilities=np.ones_like(agents.forecast_probabilities[:, :1]),
    )


def _last_speeds(agents: Agents) -> FloatArray:
    """[A] m/s at the end of the likeliest forecast."""
    mode = agents.forecast_probabilities.argmax(axis=1)
    path = agents.forecasts_model[np.arange(len(mode)), mode]
    speeds: FloatArray = np.linalg.norm(path[:, -1] - path[:, -2], axis=-1) / agents.step_s
    return speeds


def _first_blocker(
    s_T: FloatArray,
    end_speed: float,
    places_S: FloatArray,
    touched_ATS: NDArray[np.bool_],
    stands_A: NDArray[np.bool_],
) -> int:
    """Row of the agent that is touched first, -1 when nobody is: on the way, or, of those who stand at its end, while
    stopping from there."""
    steps = np.arange(len(s_T))
    index_T = np.clip(np.round(s_T / PLACE_STEP_M).astype(int), 0, len(places_S) - 1)
    on_way_AT = touched_ATS[:, steps, index_T]
    stop = min(int(np.ceil((s_T[-1] + end_speed**2 / (2 * BRAKING[3])) / PLACE_STEP_M)), len(places_S) - 1)
    stopping_A = touched_ATS[:, -1, index_T[-1] : stop + 1].any(axis=-1) & stands_A
    hit_AT = np.concatenate([on_way_AT, stopping_A[:, None]], axis=1)
    if not hit_AT.any():
        return -1
    first_A = np.where(hit_AT.any(axis=1), hit_AT.argmax(axis=1), hit_AT.shape[1])
    return int(first_A.argmin())


def _touched(
    places_S: FloatArray,
    points: FloatArray,
    lengths: FloatArray,
    agents: Agents,
    rows: NDArray[np.int64],
    times_T: FloatArray,
    ahead_m: float,
    vehicle: VehicleSize,
    room_m: float,
    wary_m: tuple[float, float],
) -> NDArray[np.bool_]:
    """[A, T, S] whether the car, at a place of its path, touches where an agent is at a time.

    `room_m` is kept ahead of the car, `wary_m` beside and, on top of it, ahead from those of `WARY_CLASSES`.
    """
    kept = np.concatenate([[True], np.diff(lengths) > 1e-3])
    lengths, points = lengths[kept], points[kept]
    heading = points[-1] - points[-2]
    heading = heading / max(float(np.linalg.norm(heading)), 1e-6)
    beyond = np.maximum(places_S - lengths[-1], 0.0)[:, None] * heading
    middle_S2 = np.stack([np.interp(places_S, lengths, points[:, axis]) for axis in (0, 1)], axis=-1) + beyond
    # Headings half a car's length around each place, so that a corner of the polyline does not swing the box.
    before, after = (
        np.stack([np.interp(places_S + shift, lengths, points[:, axis]) for axis in (0, 1)], axis=-1)
        + np.maximum(places_S + shift - lengths[-1], 0.0)[:, None] * heading
        for shift in (-1.0, 1.0)
    )
    forward_S2 = after - before + np.array([0.0, 1e-3])
    forward_S2 /= np.linalg.norm(forward_S2, axis=1, keepdims=True)
    middle_S2 = middle_S2 + ahead_m * forward_S2
    boxes_ATK2 = _boxes(agents, rows, times_T, vehicle.width_m + 2 * BESIDE_M)
    is_wary_A111 = np.isin(np.array(agents.class_names)[agents.class_ids[rows]], WARY_CLASSES)[:, None, None, None]
    offset = boxes_ATK2[:, :, None] - middle_S2[:, None]
    along = np.abs((offset * forward_S2[:, None]).sum(-1))
    across = np.abs(offset[..., 0] * forward_S2[:, None, 1] - offset[..., 1] * forward_S2[:, None, 0])
    half_length = vehicle.length_m / 2 + room_m + is_wary_A111 * wary_m[1]
    half_width = vehicle.width_m / 2 + BESIDE_M + is_wary_A111 * wary_m[0]
    inside: NDArray[np.bool_] = ((along < half_length) & (across < half_width)).any(-1)
    return inside


def _boxes(agents: Agents, rows: NDArray[np.int64], times_T: FloatArray, width_m: float) -> FloatArray:
    """[A, T, K, 2] points on the outlines of the agents, and their middles, where their likeliest forecast has them;
    so dense that no car `width_m` wide fits between them."""
    mode = agents.forecast_probabilities[rows].argmax(axis=1)
    start = agents.centers_model[rows, None, :2].astype(np.float64)
    path = np.concatenate([start, agents.forecasts_model[rows, mode]], axis=1)
    knots = agents.step_s * np.arange(path.shape[1])
    upto = np.minimum(times_T, knots[-1])
    index = np.minimum((upto / agents.step_s).astype(int), len(knots) - 2)
    share = (upto / agents.step_s - index)[:, None]
    places = path[:, index] * (1 - share) + path[:, index + 1] * share
    last = (path[:, -1] - path[:, -2]) / agents.step_s
    places = places + np.maximum(times_T - knots[-1], 0.0)[:, None] * last[:, None]
    angle = agents.headings_model[rows]
    forward = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    left = np.stack([-forward[:, 1], forward[:, 0]], axis=-1)
    length, width = agents.sizes_lwh[rows, 0] / 2, agents.sizes_lwh[rows, 1] / 2
    gaps = (max(least, int(np.ceil(size / width_m))) for least, size in zip(LEAST_GAPS, LARGEST_M, strict=True))
    along, across = (np.linspace(-1, 1, 1 + count) for count in gaps)
    shares = [(a, c) for a in along for c in across]
    outline = np.stack(
        [(a * length)[:, None] * forward + (c * width)[:, None] * left for a, c in shares], axis=1
    )  # [A, K, 2]
    boxes: FloatArray = places[:, :, None] + outline[:, None]
    return boxes


def _extended(times_T: FloatArray, knots: FloatArray, lengths: FloatArray) -> FloatArray:
    """Length along the plan at times, going on at its last speed."""
    last = (lengths[-1] - lengths[-2]) / (knots[-1] - knots[-2])
    s: FloatArray = np.interp(times_T, knots, lengths) + np.maximum(times_T - knots[-1], 0.0) * last
    return s
