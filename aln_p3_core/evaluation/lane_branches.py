"""Where the road leads from a place: the ways along the lanes of a map expansion, by the command that they fulfil."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.datasets.expansion_files import map_file
from aln_p3_core.errors import DataError
from aln_p3_core.frame import Command
from aln_p3_core.geometry import FloatArray, wrap_angle

_SPACING_M = 0.5


@dataclass(frozen=True, eq=False)
class Branch:
    """One way ahead.

    Attributes:
        command: that it fulfils: that of the first junction with a choice, STRAIGHT without one.
        points_global: [P, 2] m, from the ego's place on its lane; half a metre or less apart.
        s: [P] m along it. headings: [P] rad.
        choice_s: m along it, where the junction begins; infinite without one.
    """

    command: Command
    points_global: FloatArray
    s: FloatArray
    headings: FloatArray
    choice_s: float

    def at(self, length: float) -> tuple[FloatArray, float]:
        """Place [2] and heading after `length` metres, no farther than the end."""
        index = min(int(np.searchsorted(self.s, length)), len(self.s) - 1)
        return self.points_global[index], float(self.headings[index])

    def distance(self, place_global: FloatArray) -> float:
        """Metres from a place [2] to the way."""
        return float(np.linalg.norm(self.points_global - place_global, axis=1).min())


class LaneGraph:
    """Middle lines of all lanes and connectors of a map expansion, and which follows which."""

    def __init__(self, lines: dict[str, FloatArray], outgoing: dict[str, list[str]], turn_rad: float) -> None:
        """`lines`: [P, 3] x, y, heading by token, close together. `turn_rad`: from which on a connector turns."""
        from scipy.spatial import cKDTree

        self._lines = lines
        self._outgoing = {token: [t for t in outgoing.get(token, []) if t in lines] for token in lines}
        self._turn_rad = turn_rad
        self._tokens = list(lines)
        counts = [len(lines[token]) for token in self._tokens]
        self._lane_of = np.repeat(np.arange(len(counts)), counts)
        self._row_of = np.concatenate([np.arange(n) for n in counts]) if counts else np.zeros(0, dtype=np.int64)
        self._places = np.concatenate([lines[t] for t in self._tokens]) if counts else np.zeros((0, 3))
        self._tree = cKDTree(self._places[:, :2])

    def branches(
        self, place_global: FloatArray, heading: float, length: float, distance_m: float, angle_rad: float
    ) -> list[Branch]:
        """All ways ahead of a place [2], `length` metres long where the road goes on that far.

        They begin on the lanes whose middle line passes within `distance_m` at no more than `angle_rad`.
        """
        rows = np.array(self._tree.query_ball_point(place_global, distance_m), dtype=np.int64)
        starts: dict[int, tuple[float, int]] = {}
        for row in rows:
            if abs(float(wrap_angle(self._places[row, 2] - heading))) <= angle_rad:
                away = float(np.linalg.norm(self._places[row, :2] - place_global))
                lane = int(self._lane_of[row])
                if lane not in starts or away < starts[lane][0]:
                    starts[lane] = (away, int(self._row_of[row]))
        found: list[Branch] = []
        for lane, (_, row) in starts.items():
            token = self._tokens[lane]
            self._follow(token, self._lines[token][row:], length, None, np.inf, found)
        return found

    def _follow(
        self,
        token: str,
        path: FloatArray,
        length: float,
        command: Command | None,
        choice_s: float,
        found: list[Branch],
    ) -> None:
        """Adds every way that begins with `path` and goes on after the lane `token`."""
        s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1))])
        following = self._outgoing[token]
        if s[-1] >= length or not following:
            found.append(Branch(command or Command.STRAIGHT, path[:, :2], s, path[:, 2], choice_s))
            return
        for after in following:
            line = self._lines[after]
            own, own_s = command, choice_s
            if command is None and len(following) > 1:
                own, own_s = self._command(line), float(s[-1])
            self._follow(after, np.concatenate([path, line]), length, own, own_s, found)

    def _command(self, line: FloatArray) -> Command:
        turned = float(np.unwrap(line[:, 2])[-1] - line[0, 2])
        if abs(turned) < self._turn_rad:
            return Command.STRAIGHT
        return Command.LEFT if turned > 0 else Command.RIGHT


@lru_cache(maxsize=8)
def read_lane_graph(root: Path, location: str, turn_rad: float) -> LaneGraph | None:
    """The lanes of `root/maps/expansion/<location>.json`; None without that file, or without lanes in it.

    Raises:
        DataError: naming the file when it is broken.
    """
    from nuscenes.map_expansion.arcline_path_utils import discretize_lane

    path = map_file(root, location)
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        paths, connectivity = content["arcline_path_3"], content["connectivity"]
        lines = {token: np.array(discretize_lane(pieces, _SPACING_M)) for token, pieces in paths.items() if pieces}
        outgoing = {token: list(row["outgoing"]) for token, row in connectivity.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read as a nuScenes map (expansion 1.3): {error!r}") from error
    return LaneGraph(lines, outgoing, turn_rad) if lines else None


def group_by_command(branches: list[Branch], within_m: float) -> dict[Command, list[Branch]]:
    """The ways ahead whose choice begins within `within_m`, by command."""
    grouped: dict[Command, list[Branch]] = {}
    for branch in branches:
        if branch.choice_s <= within_m:
            grouped.setdefault(branch.command, []).append(branch)
    return grouped


def tell_apart(own: Branch, others: list[Branch], length: float, apart_m: float, apart_rad: float) -> bool:
    """Whether a way differs from all others after `length` metres, in place or in heading."""
    place, heading = own.at(length)
    for other in others:
        if other.distance(place) < apart_m and abs(wrap_angle(other.at(length)[1] - heading)) < apart_rad:
            return False
    return True
