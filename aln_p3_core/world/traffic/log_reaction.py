"""How the agents of a recorded log answer an ego that has departed from the recording (mode "react")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorKind, Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.traffic.following import EMERGENCY_BRAKING, idm_acceleration
from aln_p3_core.world.traffic.footprint import ego_half, ego_overlaps, first_blocked, to_box_frame
from aln_p3_core.world.traffic.log_tracks import LogTrack
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

#: Whoever was held up drives at most this many times as fast as it ever did.
CATCH_UP = 1.2
#: Agents farther from the ego than this are not asked to react, m.
_RANGE_M = 60.0
_LOOK_AHEAD_S = 4.0
#: A path counts as blocked when something comes this close to the body that follows it, m.
_CLEARANCE_M = 0.2
#: Pedestrians stop this far from the ego's side, m.
_PEDESTRIAN_GAP_M = 0.6
#: An agent less than this behind the recording, m, is back in it.
_IN_STEP_M = 0.02


@dataclass
class Progress:
    """Where an agent is along its recorded path: m, m/s, m/s^2."""

    s: float
    speed: float
    acceleration: float = 0.0


class LogReaction:
    """Keeps the agents that the ego holds up, each with its own progress along its recorded path."""

    def __init__(self, tracks: Sequence[LogTrack], steps: int) -> None:
        """Nobody is held up yet. `steps` is the number of steps in the log."""
        self._tracks = tracks
        self._steps = steps
        #: By row of `tracks`: those who are behind the recording.
        self.held: dict[int, Progress] = {}
        self._gone: set[int] = set()

    def is_gone(self, row: int) -> bool:
        """Whether a held-up agent has reached the end of its path."""
        return row in self._gone

    def advance(self, step: int, ego: EgoState, shown: Actors, rows: Sequence[int]) -> None:
        """Moves those in reach of the ego to step `step` of the log.

        Args:
            step: the step to move to.
            ego: the ego now. shown: everybody now. rows: the track of each of them.
        """
        sizes = sizes_of(shown)
        held_now = [i for i, row in enumerate(rows) if row in self.held]
        near = np.linalg.norm(shown.positions[:, :2] - ego.xy, axis=1) <= _RANGE_M
        for i, row in enumerate(rows):
            track = self._tracks[row]
            if not track.moves or not (near[i] or row in self.held):
                continue
            others = [j for j in held_now if j != i]
            self._move(row, track, step, ego, shown, sizes, others)

    def _move(
        self,
        row: int,
        track: LogTrack,
        step: int,
        ego: EgoState,
        shown: Actors,
        sizes: FloatArray,
        others: Sequence[int],
    ) -> None:
        k = min(step, self._steps - 1) - track.first
        over = k >= len(track.headings)
        progress = self.held.get(row)
        if progress is None:
            if over:
                return
            progress = Progress(float(track.travelled[k - 1]), float(np.hypot(*track.velocities[k - 1])))
        # After its track has ended it goes on as fast as it last drove.
        last = min(k, len(track.headings) - 1)
        lag = (np.inf if over else float(track.travelled[last])) - progress.s
        recorded_speed = float(np.hypot(*track.velocities[last]))
        gap, leader_speed = _gap(track, progress, ego, shown, sizes, others)
        if row not in self.held and not np.isfinite(gap):
            return
        top = CATCH_UP * float(np.linalg.norm(track.velocities, axis=1).max())
        wanted = min(recorded_speed + 0.5 * max(lag, 0.0), top)
        if track.kind is ActorKind.PEDESTRIAN:
            speed = 0.0 if gap < _PEDESTRIAN_GAP_M + 0.8 * max(progress.speed, 1.0) else wanted
            progress.acceleration = 0.0
        else:
            progress.acceleration = idm_acceleration(progress.speed, wanted, gap, leader_speed)
            speed = max(0.0, progress.speed + progress.acceleration * TRAFFIC_STEP_S)
        moved = 0.5 * (speed + progress.speed) * TRAFFIC_STEP_S
        if moved > lag - _IN_STEP_M:
            self.held.pop(row, None)
            return
        if _would_touch(track, progress.s, moved, ego):
            moved, speed = 0.0, 0.0
            progress.acceleration = -EMERGENCY_BRAKING if progress.speed > 0 else 0.0
        progress.s += moved
        progress.speed = speed
        self.held[row] = progress
        if progress.s > track.length_m - 0.1:
            del self.held[row]
            self._gone.add(row)


def _would_touch(track: LogTrack, s: float, moved: float, ego: EgoState) -> bool:
    """Whether the next bit of path leads on into the ego."""
    here, ahead = track.path_ahead(s, np.array([0.0, moved]))
    length, width = MODELS[track.model].size_lwh[:2]
    if to_box_frame(ego.center, here[:2], here[2])[0] <= 0:
        return False
    return bool(ego_overlaps(ego, ahead[None, :2], ahead[2:], np.array([[length + 0.1, width + 0.1]]))[0])


def _gap(
    track: LogTrack, progress: Progress, ego: EgoState, shown: Actors, sizes: FloatArray, others: Sequence[int]
) -> tuple[float, float]:
    """Free metres ahead of an agent's front on its recorded path, and the speed (m/s) of what ends them."""
    half_length, half_width = MODELS[track.model].size_lwh[0] / 2, MODELS[track.model].size_lwh[1] / 2
    ahead = np.arange(0.0, max(12.0, _LOOK_AHEAD_S * progress.speed) + half_length, 0.5)
    path = track.path_ahead(progress.s, ahead)
    # The ego where it is, and where it will be shortly: it may be about to cross the path.
    obstacles = [
        (center, ego.heading, ego_half(), ego.velocity) for center in (ego.center, ego.center + 0.7 * ego.velocity)
    ]
    if to_box_frame(ego.center, path[0, :2], path[0, 2])[0] <= 0.5:
        # It is behind: its own business.
        obstacles = []
    for j in others:
        if to_box_frame(shown.positions[j, :2], path[0, :2], path[0, 2])[0] > 0.5:
            half = sizes[j, :2] / 2
            obstacles.append((shown.positions[j, :2], float(shown.headings[j]), half, shown.velocities[j]))
    best, speed = np.inf, 0.0
    for center, heading, half, velocity in obstacles:
        distance = first_blocked(path[:, :2], ahead, half_width + _CLEARANCE_M, center, heading, half)
        if distance - half_length < best:
            best = max(0.0, distance - half_length)
            direction = path[min(int(np.searchsorted(ahead, distance)), len(path) - 1), 2]
            speed = max(0.0, float(velocity @ [np.cos(direction), np.sin(direction)]))
    return best, speed
