"""The table of rules, row by row."""

from __future__ import annotations

import pytest
from aln_p3.msg import PlannedTrajectory

from aln_p3_ros.driving.camera_set import CameraFault, FaultKind
from aln_p3_ros.driving.faults import (
    Degradation,
    Level,
    failed_model,
    failed_node,
    impossible_plan,
    judge_age,
    judge_set,
    no_input,
    quiet_seconds,
    slow_model,
)

CAMERAS = ("FRONT", "LEFT", "RIGHT", "BACK")


def lost(*names: str) -> dict[str, CameraFault]:
    return {name: CameraFault(FaultKind.SILENT, "no new image for 0.7 s") for name in names}


@pytest.mark.parametrize(
    ("names", "odometry", "level"),
    [
        ((), None, Level.NONE),
        (("LEFT",), None, Level.REDUCED),
        (("LEFT", "RIGHT"), None, Level.REDUCED),
        ((), "no odometry has come", Level.REDUCED),
        (("LEFT", "RIGHT", "BACK"), None, Level.STOP),
        (("FRONT",), None, Level.STOP),
        (("FRONT",), "none", Level.STOP),
    ],
)
def test_judgement(names: tuple[str, ...], odometry: str | None, level: Level) -> None:
    verdict = judge_set(lost(*names), cameras=CAMERAS, max_missing=2, required=["FRONT"], odometry_problem=odometry)
    assert verdict.level is level
    assert bool(verdict.reasons) == (level is not Level.NONE)
    for name in names:
        assert any(reason.startswith(f"{name} silent: no new image") for reason in verdict.reasons)
    assert any("without memory" in reason for reason in verdict.reasons) == (odometry is not None)


def test_levels_are_those_of_the_message() -> None:
    assert Level.NONE == PlannedTrajectory.DEGRADED_NONE
    assert Level.REDUCED == PlannedTrajectory.DEGRADED_REDUCED
    assert Level.STOP == PlannedTrajectory.DEGRADED_STOP


def test_the_worse_level_wins_and_reasons_add_up() -> None:
    verdict = Degradation().also(Level.STOP, "a").also(Level.REDUCED, "b")
    assert verdict == Degradation(Level.STOP, ("a", "b"))


@pytest.mark.parametrize(
    ("now", "started", "last", "quiet"),
    [(10, 4, None, 6.0), (10, 4, 7, 3.0), (10, 4, 2, 6.0), (10, 4, 11, 0.0), (10, 12, None, 0.0)],
)
def test_quiet_time_is_since_the_last_set_and_never_negative(
    now: int, started: int, last: int | None, quiet: float
) -> None:
    last_ns = None if last is None else last * 10**9
    assert quiet_seconds(now * 10**9, started * 10**9, last_ns) == pytest.approx(quiet)


def test_stops_say_why() -> None:
    verdict = no_input(1.5, 1.0, lost("LEFT"))
    assert verdict.level is Level.STOP
    assert verdict.reasons == ("no camera set for 1.5 s (limit 1 s)", "LEFT silent: no new image for 0.7 s")
    assert "busy for 6.0 s (limit 5 s)" in slow_model(6.0, 5.0).reasons[0]
    assert failed_model(ValueError("odd")).reasons == ("the model failed: ValueError: odd",)
    assert failed_node(ValueError("odd")).reasons == ("the node failed: ValueError: odd",)
    assert impossible_plan("it holds NaN") == Degradation(Level.STOP, ("the plan cannot be driven: it holds NaN",))


@pytest.mark.parametrize(
    ("age_s", "level"), [(-0.3, Level.NONE), (1.0, Level.NONE), (1.1, Level.REDUCED), (2.1, Level.STOP)]
)
def test_age_degrades_a_plan_and_then_stops_the_vehicle(age_s: float, level: Level) -> None:
    verdict = judge_age(age_s, 1.0, 2.0)
    assert verdict.level is level
    assert bool(verdict.reasons) == (level is not Level.NONE)
    assert all(f"{age_s:.1f} s old" in reason for reason in verdict.reasons)


def test_doubtful_odometry_degrades_the_plan() -> None:
    doubt = {"cameras": CAMERAS, "max_missing": 2, "required": [], "odometry_doubt": "odometry is in 'map'"}
    assert judge_set({}, **doubt) == Degradation(Level.REDUCED, ("odometry is in 'map'",))
    both = judge_set({}, **doubt, odometry_problem="none has come")
    assert len(both.reasons) == 1 and "none has come" in both.reasons[0]
