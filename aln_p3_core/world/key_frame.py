"""`KeyFrame`: one recorded instant with its truth, as annotators and statistics read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aln_p3_core.frame import Command
from aln_p3_core.world.planners.planner import EgoPlan
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Condition


@dataclass(frozen=True, slots=True)
class LabelFact:
    """What is known about one labelled actor in one key frame.

    Attributes:
        token: of its sample_annotation.
        visibility: share of it that the six cameras see, 0..1.
        cameras: channels that show it, the one with most of its pixels first.
        lidar_points: LiDAR points in its box.
    """

    token: str
    visibility: float
    cameras: tuple[str, ...]
    lidar_points: int


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """One key frame of a scene.

    Attributes:
        sample_token: of the sample.
        state: the world at the reference stamp.
        route_s: m along the scene's route.
        command: from the route.
        plan: what the ego does next and why (`plan.decision`): the expert's, or the human's future with the
            expert's reading of the situation. None where neither is known.
        labels: by actor id: those that are annotated.
        condition: light and weather.
    """

    sample_token: str
    state: WorldState
    route_s: float
    command: Command
    plan: EgoPlan | None
    labels: Mapping[str, LabelFact] = field(default_factory=dict)
    condition: Condition = Condition.DAY
