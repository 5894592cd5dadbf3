"""The human driver of a recording, judged by the same monitor as every planner: the row to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.runner import ClosedLoop, RouteResult
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.episode import Stage

#: Name of this row in tables.
HUMAN = "human"


def drive_human(stage: Stage, settings: DriveSettings, identity: Mapping[str, Any]) -> RouteResult:
    """Moves the ego as the human did, to the end of the recording. The stage's traffic is closed afterwards.

    Raises:
        ConfigError: when the stage is no recording.
    """
    if stage.recorded_ego is None:
        stage.traffic.close()
        raise ConfigError("only a recorded log has a human driver; drive an episode with a planner")
    loop = ClosedLoop(stage, settings)
    try:
        while loop.running:
            loop.step(stage.recorded_ego(loop.simulation.next_time_s))
        return loop.result(HUMAN, identity)
    finally:
        loop.close()
