"""Obedience: does the plan of a command go where the command says, where the road leaves a choice?

A network that plans a path for every command may give three times the same one: it then drives by what it sees, and
the command means nothing to it. Every plan is there (`SamplePrediction.plans_model`), so that other commands than
the given one cost no second pass.

Protocol `obedience_v1` (protocols/obedience_v1.yaml). Per key frame:

1. The ways ahead are read from the lanes of the map expansion. A way has the command of its first junction with a
   choice: left or right where the connector turns by more than 35 degrees, else straight. Only junctions that begin
   within 3 s at the present speed, or 15 m, count: those that a navigator would announce.
2. The frame counts for a command c of these where the way of c, as far along it as the true path (the expert's, else
   the recorded one) gets in three seconds, is 2 m or 15 degrees apart from the ways of all other commands: where a
   car that is not held up shows which way it takes. The given command must be among those of the map.
3. The plan of c is followed where its last point lies nearer to a way of c than to the way of any other command.

The share over all frames with c the given command is `given`; with c another one, `flipped`: left for right, right for
left, and left or right for straight on where the road has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.evaluation.lane_branches import Branch, group_by_command, read_lane_graph, tell_apart
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.frame import Command
from aln_p3_core.geometry import FloatArray, transform_points

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets

PROTOCOL_FILE = "obedience_v1.yaml"
# The ways are followed this much farther than the plan should get, so that an end beyond finds them too.
_BEYOND_M = 10.0


@dataclass(frozen=True, slots=True)
class ObedienceProtocol:
    """The numbers of the protocol file; see there."""

    name: str
    ahead_s: float
    ahead_m: float
    turn_deg: float
    lane_distance_m: float
    lane_angle_deg: float
    apart_m: float
    apart_deg: float


@dataclass(frozen=True, slots=True)
class CommandChoice:
    """One command at one key frame where the road leaves a choice.

    Attributes:
        token: of the sample. given: the route's command, else the one that the true path fulfils. asked: the command
            whose plan is looked at.
        followed: whether that plan goes there.
    """

    token: str
    given: Command
    asked: Command
    followed: bool


@dataclass(frozen=True, slots=True)
class Obedience:
    """Shares of plans that follow their command, 0..1; None where no frame counts.

    Attributes:
        given, flipped: see the module. frames: key frames that count.
        by_asked: share among the flipped by the command asked for, with the number of cases.
        choices: every single case.
    """

    given: float | None
    flipped: float | None
    frames: int
    by_asked: Mapping[str, tuple[float, int]]
    choices: tuple[CommandChoice, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, without the single cases."""
        return {
            "given": self.given,
            "flipped": self.flipped,
            "frames": self.frames,
            "flipped_cases": sum(choice.asked != choice.given for choice in self.choices),
            "flipped_by_command": {name: {"share": s, "cases": n} for name, (s, n) in self.by_asked.items()},
        }


def read_protocol() -> ObedienceProtocol:
    """The protocol as its file has it."""
    import yaml

    text = files("aln_p3_core.evaluation").joinpath("protocols", PROTOCOL_FILE).read_text(encoding="utf-8")
    return ObedienceProtocol(**yaml.safe_load(text))


def measure_obedience(
    predictions: Sequence[SamplePrediction],
    targets: Mapping[str, Targets],
    dataset: NuScenesDataset,
    protocol: ObedienceProtocol | None = None,
) -> Obedience:
    """Obedience over all samples whose location has a map expansion with lanes.

    Args:
        predictions: with `plans_model`; others are left out.
        targets: by token; the true path and the mask of it.
        dataset: of the samples.
        protocol: None reads the file.
    """
    protocol = protocol or read_protocol()
    choices: list[CommandChoice] = []
    for prediction in predictions:
        if prediction.plans_model is not None:
            choices += _choices(prediction, targets[prediction.token], dataset, protocol)
    given = [choice.followed for choice in choices if choice.asked == choice.given]
    flipped = [choice for choice in choices if choice.asked != choice.given]
    by_asked: dict[str, tuple[float, int]] = {}
    for command in Command:
        own = [choice.followed for choice in flipped if choice.asked == command]
        if own:
            by_asked[command.name.lower()] = (float(np.mean(own)), len(own))
    return Obedience(
        given=float(np.mean(given)) if given else None,
        flipped=float(np.mean([choice.followed for choice in flipped])) if flipped else None,
        frames=len({choice.token for choice in choices}),
        by_asked=by_asked,
        choices=tuple(choices),
    )


def ways_ahead(
    token: str, targets: Targets, dataset: NuScenesDataset, protocol: ObedienceProtocol
) -> tuple[dict[Command, list[Branch]], frozenset[Command]]:
    """The ways ahead of a sample by command, and the commands that the true path is long enough to show.

    Both are empty without a map, without a whole true path, and where the road leaves no choice.
    """
    location = dataset.location_of(dataset.scene_of(token))
    graph = read_lane_graph(dataset.root, location, float(np.radians(protocol.turn_deg)))
    if graph is None or not targets.future_valid:
        return {}, frozenset()
    _, T_global_ego = dataset.reference_of(token)
    length = _path_length(targets.ego_future_model)
    speed = float(np.linalg.norm(targets.ego_future_model[0])) / targets.step_s
    within = max(protocol.ahead_m, protocol.ahead_s * speed)
    heading = float(np.arctan2(T_global_ego[1, 0], T_global_ego[0, 0]))
    found = graph.branches(
        T_global_ego[:2, 3],
        heading,
        max(within, length) + _BEYOND_M,
        protocol.lane_distance_m,
        float(np.radians(protocol.lane_angle_deg)),
    )
    ways = group_by_command(found, within)
    if len(ways) < 2:
        return {}, frozenset()
    apart = protocol.apart_m, float(np.radians(protocol.apart_deg))
    shown = {c for c, own in ways.items() if all(tell_apart(way, _others(ways, c), length, *apart) for way in own)}
    return ways, frozenset(shown)


def _choices(
    prediction: SamplePrediction, targets: Targets, dataset: NuScenesDataset, protocol: ObedienceProtocol
) -> list[CommandChoice]:
    ways, shown = ways_ahead(prediction.token, targets, dataset, protocol)
    given = targets.command.command
    if given not in ways or prediction.plans_model is None:
        return []
    _, T_global_ego = dataset.reference_of(prediction.token)
    T_global_model = T_global_ego @ dataset.T_ego_model(prediction.token)
    ends = transform_points(T_global_model, np.asarray(prediction.plans_model, dtype=np.float64)[:, -1])
    found = []
    for command in sorted(shown, key=lambda c: c.value):
        near = min(way.distance(ends[command.value]) for way in ways[command])
        far = min(way.distance(ends[command.value]) for way in _others(ways, command))
        found.append(CommandChoice(prediction.token, given, command, bool(near < far)))
    return found


def _others(ways: Mapping[Command, list[Branch]], command: Command) -> list[Branch]:
    return [way for other, own in ways.items() if other != command for way in own]


def _path_length(path: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(np.concatenate([np.zeros((1, 2)), path]), axis=0), axis=1).sum())
