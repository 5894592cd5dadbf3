"""How fast along a path: a safe-speed law against everything that the car has to stay behind, rolled out in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.planners.drive_path import DrivePath, speed_envelope
from aln_p3_core.world.planners.forecast import FORECAST_STEP_S, FORECAST_STEPS, TIMES_S
from aln_p3_core.world.planners.planner import Cause

#: m/s^2: the start of a comfortable car; braking with which it meets a restraint that it sees in time.
ACCELERATION = 1.7
BRAKING = 1.8
#: m/s^2: beyond this the brakes come on the faster the harder they are needed; and the most that they can do.
_NEED_BRAKING = 2.2
MAX_BRAKING = 8.0
#: m/s^3: how fast the acceleration rises, and falls while nothing is urgent; more of it for each m/s^2 of need.
_RISING_JERK = 1.8
_FALLING_JERK = 2.2
_JERK_OF_NEED = 10.0
#: Seconds within which the car takes over a wanted speed.
_RESPONSE_S = 0.5
#: Slower than this the car is held, m/s.
_HELD_SPEED = 0.12


@dataclass(frozen=True, eq=False)
class Restraint:
    """Something that the car has to stay behind. T = `FORECAST_STEPS` + 1 instants, `TIMES_S`.

    Attributes:
        places: [T] m along the path that the rear axle may not pass; inf while it does not hold the car.
        speeds: [T] m/s of what is there, along the path.
        cause: what it is. actor_id: who, "" for none. signal: index of a light, or -1.
        headway_s: seconds that the car stays behind it.
        slack_m: so much farther than the place the car may come in need.
    """

    places: FloatArray
    speeds: FloatArray
    cause: Cause
    actor_id: str = ""
    signal: int = -1
    headway_s: float = 0.7
    slack_m: float = 0.4


@dataclass(frozen=True, eq=False)
class SpeedProfile:
    """Motion along a path at `TIMES_S`.

    Attributes:
        s: [T] m. speeds: [T] m/s. accelerations: [T] m/s^2, of the step that leads there (the first: at present).
        holding: [T] row of the restraint that decides that step; -1 where limits and curves do, -2 where nothing does.
    """

    s: FloatArray
    speeds: FloatArray
    accelerations: FloatArray
    holding: NDArray[np.int64]


def standing_restraint(
    place: float, cause: Cause, actor_id: str = "", signal: int = -1, until_s: float = np.inf
) -> Restraint:
    """A place, m along the path, where the rear axle must stop, until an instant from now."""
    places = np.where(until_s + 1e-9 >= TIMES_S, place, np.inf)
    return Restraint(places, np.zeros(len(TIMES_S)), cause, actor_id, signal)


def roll_out(speed: float, acceleration: float, path: DrivePath, restraints: Sequence[Restraint]) -> SpeedProfile:
    """The motion from a speed and acceleration that respects limits, curves and all restraints.

    The speed that is safe behind a restraint is Gipps' (1981): from it the car can stop behind what stops there,
    at `BRAKING`, after its headway. A car that is faster brakes as hard as that takes, and not harder.
    """
    count = FORECAST_STEPS + 1
    top = max(max(speed, 0.0), float(path.limits.max()))
    holds = _Holds(restraints, 12.0 + top * float(TIMES_S[-1]) + top**2 / (2 * BRAKING))
    envelope = speed_envelope(path.limits, path.s)
    spacing = float(path.s[-1]) / (len(path.s) - 1)
    s, v = np.zeros(count), np.zeros(count)
    a, holding = np.zeros(count), np.full(count, -2, np.int64)
    v[0], a[0] = max(speed, 0.0), acceleration
    for k in range(1, count):
        now, before = float(v[k - 1]), float(a[k - 1])
        limit = float(envelope[min(int((s[k - 1] + 0.4 * now) / spacing), len(envelope) - 1)])
        wanted = min((limit - now) / _RESPONSE_S, ACCELERATION)
        wanted = max(wanted, -3.0)
        if limit - now < 0.5:
            holding[k] = -1
        against, row = holds.strictest(k, now, float(s[k - 1]))
        if against < wanted:
            wanted, holding[k] = against, row
        rate = _FALLING_JERK + _JERK_OF_NEED * max(-wanted - _NEED_BRAKING, 0.0)
        asked = min(max(wanted, before - rate * FORECAST_STEP_S), before + _RISING_JERK * FORECAST_STEP_S)
        if before < 0.0 < wanted and now < 2.0:
            # Off from a stop without waiting for the brakes to be let go.
            asked = min(wanted, _RISING_JERK * FORECAST_STEP_S)
        if k == 1 and wanted > -_NEED_BRAKING and now > 1.0:
            # A car's controller is ahead of its plan: what changes at once in the plan would be a jolt in the car.
            asked = before
        after = max(now + max(asked, -MAX_BRAKING) * FORECAST_STEP_S, 0.0)
        if after < _HELD_SPEED and wanted <= 0.05:
            after = 0.0
        v[k], a[k] = after, (after - now) / FORECAST_STEP_S
        s[k] = s[k - 1] + 0.5 * (now + after) * FORECAST_STEP_S
    return SpeedProfile(s, v, a, holding)


def needed_braking(speed: float, gap_m: float, other_speed: float = 0.0) -> float:
    """m/s^2 that keep a car from passing a place `gap_m` ahead that moves at a speed; inf when it is behind."""
    if speed <= other_speed:
        return 0.0
    return float((speed**2 - other_speed**2) / (2 * gap_m)) if gap_m > 0.05 else np.inf


class _Holds:
    """Restraints within reach, as plain numbers: there are few of them, and arrays of a handful would be slower."""

    def __init__(self, restraints: Sequence[Restraint], reach_m: float) -> None:
        self._rows = [row for row, r in enumerate(restraints) if float(r.places.min()) < reach_m]
        near = [restraints[row] for row in self._rows]
        self._reserve = [BRAKING * r.headway_s for r in near]
        self._slack = [r.slack_m for r in near]
        # Instants first: one row of these is read at every step.
        self._places: list[list[float]] = np.stack([r.places for r in near], axis=1).tolist() if near else []
        self._others: list[list[float]] = np.stack([r.speeds for r in near], axis=1).tolist() if near else []

    def strictest(self, step: int, speed: float, s: float) -> tuple[float, int]:
        """The least acceleration, m/s^2, that one of them allows, and its row in the given restraints."""
        least, row = math.inf, -1
        if not self._rows:
            return least, row
        looked = s + 8.0 + speed * 3.0 + speed * speed / (2 * BRAKING)
        places, others = self._places[step], self._others[step]
        for index, place in enumerate(places):
            if place < looked:
                allowed = self._allowed(index, speed, place - s, max(others[index], 0.0))
                if allowed < least:
                    least, row = allowed, self._rows[index]
        return least, row

    def _allowed(self, index: int, speed: float, gap: float, other: float) -> float:
        reserve = self._reserve[index]
        if gap < 0.0:
            safe = max(other + 0.6 * gap, 0.0)
        else:
            safe = math.sqrt(reserve * reserve + other * other + 2 * BRAKING * gap) - reserve
        faster = speed - safe
        if faster <= 0.0:
            return -faster / FORECAST_STEP_S
        if gap < 0.0:
            # Too close already: firmly to the end, without the long fading of a comfortable stop.
            return -min(max(faster / _RESPONSE_S, BRAKING), faster / FORECAST_STEP_S)
        need = max(speed * speed - other * other, 0.0) / (2 * max(gap + self._slack[index], 0.1))
        return -min(faster / _RESPONSE_S, max(1.2 * need, 1.2))
