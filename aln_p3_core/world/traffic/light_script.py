"""A traffic light that turns at the moment that a scenario needs."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

#: A phase that is kept on purpose lasts so long, s.
_KEPT_S = 1000.0


@dataclass(frozen=True, slots=True)
class LightScript:
    """What the light of one link does: it stays green until the ego comes near, then its program goes on.

    Attributes:
        tls, link: SUMO traffic light, and the link's place in its state.
        stop_s: the stop line along the ego's route, m.
        arrival_s: the light turns yellow when the ego's front is so many seconds from the line; None: not at all,
            it is green until the ego has passed.
        braking: and at the latest while the ego can still stop with this, m/s^2.
        red_s: after so long, s, the other phases of the light are cut short.
    """

    tls: str
    link: int
    stop_s: float
    arrival_s: float | None = None
    braking: float = 2.5
    red_s: float = 10.0


class LightActor:
    """Carries a light's script out."""

    def __init__(self, script: LightScript, sumo: ModuleType) -> None:
        """Turns the light green for the link."""
        self._script, self._sumo = script, sumo
        phases = sumo.trafficlight.getAllProgramLogics(script.tls)[0].phases
        states = [phase.state for phase in phases]
        shown = [state[script.link] for state in states]
        # Rather with priority, and the longest such phase.
        greens = [index for index, color in enumerate(shown) if color in "Gg"]
        self._green = max(greens, key=lambda index: (shown[index] == "G", phases[index].duration, -index))
        order = [(self._green + step) % len(shown) for step in range(1, len(shown))]
        self._after = next((index for index in order if shown[index] not in "Gg"), self._green)
        self._is_green = [color in "Gg" for color in shown]
        self._others_green = [any(c in "Gg" for c in state) and "y" not in state for state in states]
        self._turned_s: float | None = None
        self._done = False
        sumo.trafficlight.setPhase(script.tls, self._green)
        sumo.trafficlight.setPhaseDuration(script.tls, _KEPT_S)

    def step(self, ego: EgoState, front_s: float) -> None:
        """Before a step of traffic: `front_s` is the ego's front bumper along its route, m."""
        if self._done:
            return
        script, light = self._script, self._sumo.trafficlight
        distance = script.stop_s - front_s
        if self._turned_s is None:
            if distance < -2.0:
                # The ego has passed: the program goes on.
                light.setPhase(script.tls, self._after)
                self._done = True
            elif script.arrival_s is not None and distance <= self._turning_distance(ego):
                light.setPhase(script.tls, self._after)
                self._turned_s = 0.0
            return
        self._turned_s += TRAFFIC_STEP_S
        phase = light.getPhase(script.tls)
        if self._is_green[phase]:
            self._done = True
        elif self._turned_s > script.red_s and self._others_green[phase]:
            light.setPhaseDuration(script.tls, 0.0)

    def _turning_distance(self, ego: EgoState) -> float:
        arrival_s = self._script.arrival_s or 0.0
        return max(ego.speed * arrival_s, ego.speed * 1.0 + ego.speed**2 / (2 * self._script.braking))
