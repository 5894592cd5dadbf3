"""`LogTraffic`: the agents of a recorded log, as recorded or answering an ego that departs from the recording.

Two modes:

`replay`: everybody moves as recorded, whatever the ego does.

`react`: as recorded until the ego is `DEPARTURE_M` or more away from where the human driver was at the same time.
    From then on everybody still keeps to the recorded path and never runs ahead of the recording, but cars and
    cyclists keep their distance from the ego (and from others that it holds up) by the intelligent driver model, and
    pedestrians stop for it. Whoever was held up catches up with the recording, at most `CATCH_UP` times as fast as it
    ever drove. Nobody moves on into the ego: contact stops them. Who, held up, outlasts its own track goes on to the
    end of its recorded path and is gone.
"""

from __future__ import annotations

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, Actors, make_actors
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.state import SignalColor, TrafficState
from aln_p3_core.world.traffic.log_reaction import LogReaction, Progress
from aln_p3_core.world.traffic.log_tracks import LogTrack, make_tracks
from aln_p3_core.world.traffic.looks import phase_after
from aln_p3_core.world.traffic.recorded_log import RecordedLog
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S

__all__ = ["DEPARTURE_M", "LOG_MODES", "LogTraffic", "RecordedLog"]

LOG_MODES = ("replay", "react")
DEPARTURE_M = 2.0


class LogTraffic:
    """Plays a recorded log. The log's ego is not among its actors; lights were not recorded and are off."""

    def __init__(self, log: RecordedLog, city: CityMap, mode: str = "replay") -> None:
        """Prepares the tracks.

        Args:
            log: the recording.
            city: its map (tells cars parked beside the lanes from those that wait in them).
            mode: "replay" or "react".

        Raises:
            ConfigError: when there is no such mode.
        """
        if mode not in LOG_MODES:
            raise ConfigError(f"no mode {mode!r} for a recorded log; choose one of {', '.join(LOG_MODES)}")
        self.log = log
        self.mode = mode
        self._city = city
        self._tracks = make_tracks(log, city)
        # Nothing was recorded of the lights.
        self._signals = np.full(len(city.signals), SignalColor.OFF, np.int64)
        self._step = self._steps_made = 0
        self._departed = False
        self._reaction = LogReaction(self._tracks, len(log.times))
        self._rows, self._actors = self._read()

    @property
    def city(self) -> CityMap:
        """The log's own roads."""
        return self._city

    @property
    def departed(self) -> bool:
        """Whether the ego has left the recording and others react to it (never in mode "replay")."""
        return self._departed

    def start(self, ego: EgoState) -> TrafficState:
        """Everybody at the log's first step."""
        self._step = self._steps_made = 0
        self._departed = False
        self._reaction = LogReaction(self._tracks, len(self.log.times))
        self._rows, self._actors = self._read()
        return TrafficState(0.0, self._actors, self._signals)

    def step(self, ego: EgoState) -> TrafficState:
        """The next step of the log. After its end everybody stays where they are."""
        if self.mode == "react":
            human = self.log.ego_at(self._step * TRAFFIC_STEP_S)
            self._departed |= bool(np.hypot(ego.x - human.x, ego.y - human.y) >= DEPARTURE_M)
        self._step = min(self._step + 1, len(self.log.times) - 1)
        self._steps_made += 1
        if self._departed:
            self._reaction.advance(self._step, ego, self._actors, self._rows)
        self._rows, self._actors = self._read()
        return TrafficState(round(self._steps_made * TRAFFIC_STEP_S, 6), self._actors, self._signals)

    def close(self) -> None:
        """Nothing to free."""

    def _read(self) -> tuple[list[int], Actors]:
        """Rows of the tracks that are shown now, and their actors."""
        rows, columns = [], []
        for row, track in enumerate(self._tracks):
            progress = self._reaction.held.get(row)
            if progress is not None:
                columns.append(_held_up(track, progress))
            elif track.first <= self._step <= track.last and not self._reaction.is_gone(row):
                columns.append(_as_recorded(track, self._step - track.first))
            else:
                continue
            rows.append(row)
        table = np.array(columns).reshape(-1, 8)
        return rows, make_actors(
            [self._tracks[row].id for row in rows],
            [self._tracks[row].model for row in rows],
            table[:, 0:2],
            wrap_angle(table[:, 2]),
            velocities=table[:, 3:5],
            accelerations=table[:, 5],
            colors=[self._tracks[row].color for row in rows],
            phases=table[:, 6],
            flags=table[:, 7].astype(np.int64),
        )


def _as_recorded(track: LogTrack, k: int) -> FloatArray:
    """[8] x, y, heading, velocity (2), acceleration, phase, flags."""
    phase = float(phase_after(track.kind, track.travelled[k]))
    velocity = track.velocities[k]
    return np.array(
        [*track.positions[k], track.headings[k], *velocity, track.accelerations[k], phase, float(track.flags[k])]
    )


def _held_up(track: LogTrack, progress: Progress) -> FloatArray:
    """As `_as_recorded`, for an agent with its own progress along the path."""
    row = track.row_at(progress.s)
    x, y, heading = track.pose_at_row(row)
    flag = int(track.flags[int(row)])
    if track.kind.is_vehicle:
        braking = progress.acceleration < -0.5 or progress.speed < 0.1
        flag = (flag & ~int(ActorFlag.BRAKE)) | (int(ActorFlag.BRAKE) if braking else 0)
    # The recorded direction of motion: somebody may walk backwards or sideways.
    recorded = track.velocities[int(row)]
    norm = float(np.hypot(*recorded))
    direction = recorded / norm if norm > 0.2 else np.array([np.cos(heading), np.sin(heading)])
    velocity = progress.speed * direction
    phase = float(phase_after(track.kind, progress.s))
    return np.array([x, y, heading, *velocity, progress.acceleration, phase, float(flag)])
