"""The expert and a blind planner on real routes: the first arrives, the second does not."""

from __future__ import annotations

import pytest

from aln_p3_core.world.closed_loop.runner import drive_episode
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.expert import Expert
from aln_p3_core.world.planners.planner import Cause
from aln_p3_core.world.planners.route_blind import RouteBlind
from aln_p3_core.world.scenarios import open_log_stage, route_set

pytest.importorskip("libsumo")
SETTINGS = DriveSettings(rate_hz=2, trace=False)
_NAMES = ("lead_brakes", "pedestrian_steps_out")


@pytest.mark.slow
def test_the_expert_succeeds_where_a_blind_planner_fails():
    episodes = [episode for episode in route_set("scenarios", 1, split="val") if episode.scenario in _NAMES]
    expert = [drive_episode(episode, Expert(), SETTINGS).measures for episode in episodes]
    assert [measures.success for measures in expert] == [True, True]
    assert min(measures.driving_score for measures in expert) == pytest.approx(100.0)
    blind = [drive_episode(episode, RouteBlind(), SETTINGS).measures for episode in episodes]
    assert not any(measures.success for measures in blind)


@pytest.mark.slow
def test_a_recorded_log_is_read_and_driven(shared_dir):
    causes = []
    stage = open_log_stage(shared_dir / "data" / "mini_logs" / "scene-0061.npz", "react")
    result = drive_episode(
        stage, Expert(), SETTINGS, on_tick=lambda _, plan: causes.append(plan.decision.cause)  # type: ignore[union-attr]
    )  # fmt: skip
    assert result.measures.success and result.measures.route_completion > 90.0
    assert causes.count(Cause.LEAD_VEHICLE) > 15
