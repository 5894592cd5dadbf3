"""What the embedded world stores beside the tables: the plan at every key frame, and the route's command.

`expert_plan.json`: `{sample_token: {"source": "expert" | "human", "times_s": [T], "points_ego": [T][2],
"headings_ego": [T], "decision": {...} | null}}`: where the ego origin shall be (m, rad, in the ego frame at the key
frame's own stamp), by whoever is the teacher there, and why.

`route_command.json`: `{sample_token: "right" | "left" | "straight"}`: what the navigator said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.future import FUTURE_STEPS, STEP_S
from aln_p3_core.errors import DataError
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, transform_points

PLAN_FILE = "expert_plan.json"
COMMAND_FILE = "route_command.json"
RECORD_AGAIN = "record the data set again, or delete the file to do without it"


@dataclass(frozen=True, eq=False)
class StoredPlan:
    """A plan of one key frame. T = points.

    Attributes:
        source: "expert" (the world's rule-based driver) or "human" (a recorded drive).
        times_s: [T] seconds after the key frame's stamp, rising, above 0.
        points_ego: [T, 2] m, headings_ego: [T] rad: poses of the ego origin in the ego frame at that stamp.
        decision: why, in the words of the world's planner; None where it is not known.
    """

    source: str
    times_s: FloatArray
    points_ego: FloatArray
    headings_ego: FloatArray
    decision: Mapping[str, Any] | None = None

    def future_model(
        self, T_global_ego: FloatArray, T_global_reference: FloatArray, T_ego_model: FloatArray
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Future of the model frame's origin in half-second steps, [6, 2] m in the model frame, and its mask [6].

        Args:
            T_global_ego: 4x4, ego pose at the key frame's own stamp.
            T_global_reference: 4x4, ego pose at the instant that the frame speaks of.
            T_ego_model: 4x4, model frame to ego frame.
        """
        steps = STEP_S * np.arange(1, FUTURE_STEPS + 1)
        mask = steps <= (self.times_s[-1] if len(self.times_s) else 0.0) + 1e-6
        places = np.zeros((FUTURE_STEPS, 2))
        times = np.concatenate([[0.0], self.times_s])
        path = np.concatenate([np.zeros((1, 2)), self.points_ego])
        headings = np.unwrap(np.concatenate([[0.0], self.headings_ego]))
        T_model_ego = invert_transform(T_global_reference @ T_ego_model) @ T_global_ego
        for k in np.flatnonzero(mask):
            x, y = (float(np.interp(steps[k], times, path[:, axis])) for axis in (0, 1))
            half = float(np.interp(steps[k], times, headings)) / 2
            T_ego_future = make_transform([np.cos(half), 0.0, 0.0, np.sin(half)], [x, y, 0.0])
            places[k] = transform_points(T_model_ego @ T_ego_future, T_ego_model[:3, 3])[:2]
        return places, mask


class StoredPlans:
    """Reads both files of a root, once, when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def has_commands(self) -> bool:
        """The root tells the route's commands."""
        return (self._root / COMMAND_FILE).is_file()

    def plan(self, token: str) -> StoredPlan | None:
        """The plan of a sample, or None. Raises DataError naming the file when it is broken."""
        row = self._plans.get(token)
        if row is None:
            return None
        try:
            plan = StoredPlan(
                source=str(row["source"]),
                times_s=np.asarray(row["times_s"], dtype=np.float64),
                points_ego=np.asarray(row["points_ego"], dtype=np.float64).reshape(-1, 2),
                headings_ego=np.asarray(row["headings_ego"], dtype=np.float64),
                decision=row.get("decision"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._root / PLAN_FILE}: plan of sample {token}: {error!r}; {RECORD_AGAIN}") from error
        if not len(plan.times_s) == len(plan.points_ego) == len(plan.headings_ego):
            raise DataError(f"{self._root / PLAN_FILE}: plan of sample {token} has unequal lengths; {RECORD_AGAIN}")
        return plan

    def command(self, token: str) -> RouteCommand | None:
        """The route's command at a sample, marked as given; None where there is none."""
        name = self._commands.get(token)
        if name is None:
            return None
        try:
            return RouteCommand(Command[str(name).upper()], CommandProvenance.GIVEN)
        except KeyError:
            raise DataError(
                f"{self._root / COMMAND_FILE}: sample {token} has the command {name!r}; "
                f"known are {', '.join(command.name.lower() for command in Command)}; {RECORD_AGAIN}"
            ) from None

    @cached_property
    def _plans(self) -> Mapping[str, Any]:
        return read_by_sample(self._root / PLAN_FILE)

    @cached_property
    def _commands(self) -> Mapping[str, Any]:
        return read_by_sample(self._root / COMMAND_FILE)


def read_by_sample(path: Path) -> Mapping[str, Any]:
    """Rows of a file by sample token; none where there is no file. Raises DataError naming the file when it is
    broken."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); {RECORD_AGAIN}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold an object by sample token; {RECORD_AGAIN}")
    return content
