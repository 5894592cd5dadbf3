"""Named, seeded situations that matter for planning."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.world.episode import Stage
from aln_p3_core.world.scenarios.catalogue import SCENARIOS
from aln_p3_core.world.scenarios.draw import ROUTE_SETS, draw_episode, make_episode, route_set
from aln_p3_core.world.scenarios.opening import open_stage
from aln_p3_core.world.scenarios.scenario import Scenario

__all__ = [
    "ROUTE_SETS",
    "SCENARIOS",
    "Scenario",
    "draw_episode",
    "make_episode",
    "open_log_stage",
    "open_stage",
    "route_set",
]


def open_log_stage(path: Path, mode: str = "replay") -> Stage:
    """A recorded log as a stage; see `log_stage.open_log_stage`."""
    from aln_p3_core.world.scenarios.log_stage import open_log_stage as open_log

    return open_log(path, mode)
