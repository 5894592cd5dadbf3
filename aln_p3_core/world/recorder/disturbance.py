"""Pushes the expert off its way, now and then, so that its plans show how to come back.

A learner that has only seen perfect driving does not know what to do half a metre beside it. A push is a short
disturbance of the controls: the car moves as cars do, and pictures, poses and CAN bus stay consistent.

Where halts are asked for, the car is also brought to a stand in the middle of its way, and starts again. In ordinary
driving whoever stands has a reason to; a learner of that alone never starts again once it has stopped without one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from zlib import crc32

import numpy as np

from aln_p3_core.geometry import wrap_angle
from aln_p3_core.world.ego import WHEELBASE_M, Control, EgoState
from aln_p3_core.world.simulation import STEP_S

#: Share of the scenes that are perturbed; the others show undisturbed driving.
PERTURBED_SHARE = 0.7
#: Seconds of calm before a push, drawn evenly.
CALM_S = (2.5, 6.0)
#: A push across the way would turn the car by so much, rad, within so many seconds, if nobody steered against it.
TURN_RAD = (np.radians(4.0), np.radians(12.0))
TURN_S = 0.5
#: A push along the way asks for so much, m/s^2, for so many seconds.
BRAKE = (0.8, 2.5)
ACCELERATE = (0.4, 1.2)
SPEED_S = (0.5, 1.2)
#: A halt brakes so hard, m/s^2, against whoever wants to go on, for so many seconds: often longer than stopping takes.
HALT = (4.0, 6.0)
HALT_S = (2.0, 5.0)
#: Share of the pushes that are halts, and of the scenes that start from a stand, where halts are asked for.
HALT_SHARE = 0.5
STANDING_SHARE = 0.3
#: Below this speed, m/s, nobody is pushed, but held; above it the sideways acceleration of a push stays within the
#: limit, m/s^2.
MIN_SPEED = 2.5
MAX_SIDEWAYS = 4.0
#: At the start the car stands up to so far beside its place, m and rad, and drives by up to so much slower.
START_LATERAL_M = 0.6
START_TURN_RAD = np.radians(4.0)
START_SLOWER = 0.25


class Push(Enum):
    """What a push changes."""

    LATERAL = "lateral"
    HEADING = "heading"
    SPEED = "speed"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class _Event:
    kind: Push
    begin_s: float
    end_s: float
    amount: float  # rad of turning, or m/s^2


class Disturbances:
    """All pushes of one scene, drawn from its seed."""

    def __init__(self, seed: int, name: str, duration_s: float, *, halts: bool = False) -> None:
        """Draws them.

        Args:
            seed: of the recording. name: of the scene, so that each has its own.
            duration_s: of the scene.
            halts: bring the car to a stand now and then, in every scene.
        """
        rng = np.random.default_rng([seed, crc32(name.encode()), crc32(b"disturbance")])
        self.active = bool(rng.random() < PERTURBED_SHARE) or halts
        self._start = rng.uniform(-1.0, 1.0, 3)
        self._standing_start = halts and bool(rng.random() < STANDING_SHARE)
        self._events: list[_Event] = []
        time_s = float(rng.uniform(1.0, CALM_S[1]))
        while time_s < duration_s:
            event = _draw_halt(rng, time_s) if halts and rng.random() < HALT_SHARE else _draw(rng, time_s)
            self._events.append(event)
            time_s = event.end_s + float(rng.uniform(*CALM_S))

    def start(self, ego: EgoState) -> EgoState:
        """Where the ego starts in place of `ego`."""
        if not self.active or ego.speed < MIN_SPEED:
            return ego
        lateral, turn = START_LATERAL_M * self._start[0], START_TURN_RAD * self._start[1]
        slower = 1.0 if self._standing_start else START_SLOWER * max(self._start[2], 0.0)
        return replace(
            ego,
            x=float(ego.x - lateral * np.sin(ego.heading)),
            y=float(ego.y + lateral * np.cos(ego.heading)),
            heading=float(wrap_angle(ego.heading + turn)),
            speed=float(ego.speed * (1.0 - slower)),
        )

    def at(self, ego: EgoState) -> Control | None:
        """What is added to the controls in the physics step that begins at `ego`; None when it is calm."""
        if not self.active:
            return None
        for event in self._events:
            if event.begin_s - 0.5 * STEP_S <= ego.time_s < event.end_s - 0.5 * STEP_S:
                if event.kind is Push.HALT:
                    return Control(event.amount, 0.0)
                if ego.speed < MIN_SPEED:
                    return None
                if event.kind is Push.SPEED:
                    return Control(event.amount, 0.0)
                sign = -1.0 if event.kind is Push.LATERAL and ego.time_s > (event.begin_s + event.end_s) / 2 else 1.0
                return Control(0.0, sign * _steering(event.amount, ego.speed))
        return None

    def to_json(self) -> list[dict[str, object]]:
        """The pushes, for `scenes.json`."""
        if not self.active:
            return []
        return [
            {"push": e.kind.value, "begin_s": round(e.begin_s, 2), "end_s": round(e.end_s, 2), "amount": e.amount}
            for e in self._events
        ]


def _draw(rng: np.random.Generator, begin_s: float) -> _Event:
    kind = (Push.LATERAL, Push.HEADING, Push.SPEED)[int(rng.integers(3))]
    sign = float(rng.choice([-1.0, 1.0]))
    if kind is Push.SPEED:
        span = float(rng.uniform(*SPEED_S))
        amount = sign * float(rng.uniform(*(BRAKE if sign < 0 else ACCELERATE)))
    else:
        span = TURN_S if kind is Push.HEADING else 2 * TURN_S
        amount = sign * float(rng.uniform(*TURN_RAD))
    return _Event(kind, begin_s, begin_s + span, round(amount, 4))


def _draw_halt(rng: np.random.Generator, begin_s: float) -> _Event:
    return _Event(Push.HALT, begin_s, begin_s + float(rng.uniform(*HALT_S)), round(-float(rng.uniform(*HALT)), 4))


def _steering(turn: float, speed: float) -> float:
    """Front wheel angle that turns the car by `turn` within `TURN_S`, as far as the sideways limit lets it."""
    curvature = turn / (speed * TURN_S)
    limit = MAX_SIDEWAYS / speed**2
    return float(np.arctan(WHEELBASE_M * np.clip(curvature, -limit, limit)))
