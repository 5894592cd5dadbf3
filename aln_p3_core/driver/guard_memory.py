"""Who was seen a moment ago, for the guard (ours).

A network sees each frame nearly afresh: somebody on foot right before the car is found in one frame and missed in the
next, and its velocity is the least of what a box is learnt for. So the guard remembers: who is found again moves as
its places tell; who is found only weakly where somebody was is believed; and who is not found is believed in for a
second, going on as before.

Suffixes: A agents, N remembered, M modes, T steps. The memory is kept in the global frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from aln_p3_core.driver.plan_guard import SCORE, WARY_CLASSES
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import Agents, DrivingScene

#: Who was not found again is believed in for so long, s.
KEPT_S = 1.0
#: A longer gap between frames ends the memory, s.
MAX_GAP_S = 1.5
#: Where somebody was, a detection as weak as this counts.
WEAK_SCORE = 0.1
#: Two detections are one agent when they are so near each other, m, after the earlier one has moved on.
SAME_M = 1.5
#: Velocities follow the places within so many seconds; of those on foot or two wheels, up to so fast, m/s.
SMOOTHING_S = 0.5
WARY_MPS = 8.0


@dataclass(slots=True, eq=False)
class _Remembered:
    """[N] each. Places and velocities in the global frame; `seen_s` when last found."""

    places_N2: FloatArray
    velocities_N2: FloatArray
    headings_N: FloatArray
    heights_N: FloatArray
    sizes_N3: FloatArray
    scores_N: FloatArray
    class_ids_N: NDArray[np.int64]
    seen_s_N: FloatArray

    def __len__(self) -> int:
        return len(self.scores_N)

    def rows(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> _Remembered:
        return _Remembered(*(getattr(self, name)[which] for name in self.__slots__))

    def joined(self, other: _Remembered) -> _Remembered:
        return _Remembered(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__))


class GuardMemory:
    """Of one drive. Frames must come in order; one that does not follow begins it anew."""

    def __init__(self) -> None:
        self._known: _Remembered | None = None
        self._stamp_s = 0.0

    def reset(self) -> None:
        """Forgets everybody."""
        self._known = None

    def look(self, scene: DrivingScene) -> Agents:
        """The scene's agents as the guard shall believe in them: those of now, then those who are only remembered.

        Scores of weak ones that were known are raised, velocities of walkers and riders come from their places.
        """
        agents = scene.agents
        T_global_model = scene.T_global_ego @ scene.T_ego_model
        now_s = scene.reference_stamp_ns * 1e-9
        gap = now_s - self._stamp_s
        if self._known is None or scene.memory_reset or not 0 < gap <= MAX_GAP_S:
            self._known = None
        self._stamp_s = now_s
        found = _remember(agents, T_global_model, now_s)
        sure = found.scores_N >= SCORE
        if self._known is None:
            self._known = found.rows(sure)
            return agents
        before = self._known
        expected = before.places_N2 + gap * before.velocities_N2
        old, new = _pairs(expected, before.class_ids_N, found, agents)
        elapsed = np.maximum(now_s - before.seen_s_N[old], 1e-3)[:, None]
        measured = (found.places_N2[new] - before.places_N2[old]) / gap
        share = 1 - np.exp(-elapsed / SMOOTHING_S)
        smoothed = before.velocities_N2[old] + share * (measured - before.velocities_N2[old])
        wary = np.isin(np.array(agents.class_names)[found.class_ids_N[new]], WARY_CLASSES)
        found.velocities_N2[new[wary]] = _no_faster(smoothed[wary], WARY_MPS)
        found.scores_N[new] = np.maximum(found.scores_N[new], before.scores_N[old])
        gone = np.ones(len(before), dtype=bool)
        gone[old] = False
        gone &= now_s - before.seen_s_N < KEPT_S
        ghosts = before.rows(gone)
        ghosts.places_N2 = expected[gone]
        kept = sure.copy()
        kept[new] = True
        self._known = found.rows(kept).joined(ghosts)
        return _joined(_updated(agents, found, T_global_model), ghosts, T_global_model)


def _remember(agents: Agents, T_global_model: FloatArray, now_s: float) -> _Remembered:
    rotation = T_global_model[:2, :2]
    centers = np.asarray(agents.centers_model, dtype=np.float64)
    turn = np.arctan2(rotation[1, 0], rotation[0, 0])
    return _Remembered(
        centers[:, :2] @ rotation.T + T_global_model[:2, 3],
        np.asarray(agents.velocities_model, dtype=np.float64) @ rotation.T,
        agents.headings_model.astype(np.float64) + turn,
        centers[:, 2],
        np.asarray(agents.sizes_lwh, dtype=np.float64),
        agents.scores.astype(np.float64),
        agents.class_ids.astype(np.int64),
        np.full(len(agents), now_s),
    )


def _pairs(
    expected_N2: FloatArray, class_ids_N: NDArray[np.int64], found: _Remembered, agents: Agents
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the remembered and of the found that are one and the same: the nearest of a kind, each once."""
    wary_C = np.isin(agents.class_names, WARY_CLASSES)
    apart = np.linalg.norm(expected_N2[:, None] - found.places_N2[None], axis=-1)
    other_kind = wary_C[class_ids_N][:, None] != wary_C[found.class_ids_N][None]
    apart[other_kind | (found.scores_N < WEAK_SCORE)[None]] = 1e3
    old, new = linear_sum_assignment(np.minimum(apart, 1e3))
    near = apart[old, new] < SAME_M
    return old[near], new[near]


def _no_faster(velocities_N2: FloatArray, limit: float) -> FloatArray:
    speeds = np.linalg.norm(velocities_N2, axis=-1, keepdims=True)
    return velocities_N2 * np.minimum(1.0, limit / np.maximum(speeds, 1e-6))


def _updated(agents: Agents, found: _Remembered, T_global_model: FloatArray) -> Agents:
    velocities = found.velocities_N2 @ T_global_model[:2, :2]
    return replace(agents, scores=found.scores_N.astype(np.float32), velocities_model=velocities.astype(np.float32))


def _joined(agents: Agents, ghosts: _Remembered, T_global_model: FloatArray) -> Agents:
    """The agents, then the ghosts, who go on at their velocities in every mode."""
    if not len(ghosts):
        return agents
    rotation, origin = T_global_model[:2, :2], T_global_model[:2, 3]
    _, modes, steps, _ = agents.forecasts_model.shape
    places = (ghosts.places_N2 - origin) @ rotation
    velocities = ghosts.velocities_N2 @ rotation
    ahead = agents.step_s * np.arange(1, steps + 1)[:, None]
    paths = places[:, None] + ahead * velocities[:, None]
    turn = np.arctan2(rotation[1, 0], rotation[0, 0])
    added: dict[str, NDArray[Any]] = {
        "centers_model": np.concatenate([places, ghosts.heights_N[:, None]], axis=1),
        "sizes_lwh": ghosts.sizes_N3,
        "headings_model": ghosts.headings_N - turn,
        "velocities_model": velocities,
        "scores": ghosts.scores_N,
        "class_ids": ghosts.class_ids_N,
        "forecasts_model": np.repeat(paths[:, None], modes, axis=1),
        "forecast_probabilities": np.full((len(ghosts), modes), 1.0 / modes),
        "query_ids": np.full(len(ghosts), -1),
    }
    own = {name: getattr(agents, name) for name in added}
    return replace(agents, **{n: np.concatenate([own[n], added[n].astype(own[n].dtype)]) for n in added})
