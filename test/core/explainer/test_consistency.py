from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from consistency_helpers import crossing_at, lane_change, made_agents, made_plan, no_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from aln_p3_core.explainer.consistency import Consistency, ConsistencySettings, Kind, Verdict, check_consistency
from aln_p3_core.scene import Agents

C, X, N, U = Verdict.CONSISTENT, Verdict.CONTRADICTS, Verdict.NOT_STATED, Verdict.NOT_CHECKABLE
_STANDING, _STEADY, _BRAKES, _STOPS = made_plan(0.0), made_plan(8.0), made_plan(6.0, 3.0), made_plan(6.0, 0.0)
_STARTS, _SPEEDS_UP = made_plan(0.0, 5.0), made_plan(6.0, 9.0)
_LEFT, _RIGHT = made_plan(4.5, turned=1.2), made_plan(4.5, turned=-1.2)
_FAR_SIGHTED = ConsistencySettings(sensed_m=float("inf"))
_CAR = ("car", 0.0, 15.0, 0.0, 0.0)


def verdict(text: str, plan: np.ndarray, kind: Kind, speed: float | None = None) -> Verdict:
    (finding,) = check_consistency(text, "", plan, None, None, speed).of_kind(kind)
    return finding.verdict


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("the car keeps its speed", (_STEADY,), (_STANDING, _BRAKES, _STOPS, _SPEEDS_UP)),
        ("the vehicle accelerates", (_SPEEDS_UP, _STARTS), (_STANDING, _STEADY, _BRAKES, _STOPS)),
        ("the ego car brakes", (_BRAKES, _STOPS), (_STANDING, _STEADY, _SPEEDS_UP)),
        ("the car comes to a stop", (_STOPS, _STANDING), (_STEADY, _BRAKES, _SPEEDS_UP)),
        ("the car is standing still", (_STANDING,), (_STEADY, _BRAKES, _STOPS, _STARTS)),
        ("the vehicle moves off", (_STARTS,), (_STANDING, _STEADY, _SPEEDS_UP)),
        ("the vehicle drives on at a moderate speed", (_STEADY,), (_STANDING, made_plan(15.0), made_plan(2.0))),
        ("the car is driving down the street", (_STEADY, _STARTS), (_STANDING,)),
    ],
)
def test_speed(text: str, good: tuple[np.ndarray, ...], bad: tuple[np.ndarray, ...]) -> None:
    assert [verdict(text, plan, Kind.SPEED) for plan in good] == [C] * len(good)
    assert [verdict(text, plan, Kind.SPEED) for plan in bad] == [X] * len(bad)


def test_direction() -> None:
    for text in ("the car turns left", "the car is making a left turn"):
        found = [verdict(text, plan, Kind.DIRECTION) for plan in (_LEFT, _RIGHT, _STEADY, _STANDING)]
        assert found == [C, X, X, U], text
    change = [
        verdict("the car changes to the left lane", p, Kind.DIRECTION)
        for p in (lane_change(8.0, 3.0), lane_change(8.0, -3.0), _STEADY, _LEFT)
    ]
    assert change == [C, X, X, X]
    straight = [verdict("it goes straight ahead", p, Kind.DIRECTION) for p in (_STEADY, _LEFT, _STANDING)]
    assert straight == [C, X, U]
    curve = [
        verdict("the car accelerates in a right curve", made_plan(8.0, turned=t), Kind.DIRECTION)
        for t in (-0.3, 0.3, 0.0)
    ]
    assert curve == [C, X, X]


def test_a_swerve_may_be_on_its_way_back() -> None:
    paths = (lane_change(8.0, 0.6), lane_change(8.0, -1.0), lane_change(8.0, -4.0))
    found = [verdict("the car bears slightly left", path, Kind.DIRECTION) for path in paths]
    assert found == [C, U, X]


def test_the_contradiction_is_told_in_a_short_sentence() -> None:
    found = check_consistency("the car turns left", "since a bus is standing ahead", _RIGHT, made_agents(_CAR))
    assert found.consistent is False
    assert found.contradictions == (
        "says it turns left, the plan turns right",
        "says a bus is standing ahead, no bus is detected there",
    )
    assert all(len(sentence) < 100 for sentence in found.contradictions)


def test_what_cannot_be_read_is_not_stated() -> None:
    for narration, reasoning in (("", ""), ("banana", "it is raining"), ("the the the car car", "\n\0")):
        found = check_consistency(narration, reasoning, _STEADY, made_agents(_CAR))
        assert found.consistent is None and not found.contradictions
        assert {finding.verdict for finding in found.statements} == {N}


def test_what_the_plan_does_and_the_text_leaves_out() -> None:
    found = check_consistency("the car takes care", "", made_plan(8.0, 3.5, turned=1.2), None)
    assert found.consistent is None
    assert found.omissions == (
        "does not say that the plan turns left",
        "does not say that the plan slows down from 8 to 3 m/s",
    )


def test_a_given_speed_counts_more_than_the_plan_s_beginning() -> None:
    assert verdict("the car keeps its speed", _STEADY, Kind.SPEED, speed=8.0) is C
    assert verdict("the car keeps its speed", _STEADY, Kind.SPEED, speed=12.0) is X
    assert verdict("the car slows down", _STEADY, Kind.SPEED, speed=12.0) is C


@pytest.mark.parametrize(
    ("reasoning", "there", "elsewhere"),
    [
        ("since a car has stopped ahead", _CAR, ("car", 0.0, 15.0, 8.0, 0.0)),
        ("because a car is driving ahead", ("car", 0.5, 20.0, 8.0, 0.0), ("car", 9.0, 20.0, 8.0, 0.0)),
        ("because a truck is driving ahead", ("truck", 0.5, 20.0, 8.0, 0.0), ("car", 0.5, 20.0, 8.0, 0.0)),
        ("a child is crossing the road", ("pedestrian", 4.0, 12.0, 1.0, 1.5), ("pedestrian", 4.0, -9.0, 1.0, 1.5)),
        ("as a car is coming towards it", ("car", -3.5, 20.0, 8.0, 3.1), ("car", -3.5, 20.0, 8.0, 0.0)),
        ("since a car is coming from the left", ("car", -8.0, 12.0, 6.0, -1.5), ("car", -8.0, 12.0, 0.0, 0.0)),
        ("to pass a car parked on the right", ("car", 3.0, 10.0, 0.0, 0.0), ("car", -3.0, 10.0, 0.0, 0.0)),
        ("its lane is blocked by traffic cones", ("traffic_cone", 1.0, 14.0, 0.0, 0.0), _CAR),
        ("a cyclist is riding ahead on the right", ("bicycle", 2.0, 12.0, 3.0, 0.0), ("bicycle", -3.0, 12.0, 3.0, 0.0)),
    ],
)  # fmt: skip
def test_a_cause_must_be_where_it_is_said(reasoning: str, there: tuple, elsewhere: tuple) -> None:
    agents = made_agents(elsewhere, there)
    (finding,) = check_consistency("the car brakes", reasoning, _BRAKES, agents).of_kind(Kind.CAUSE)
    assert (finding.verdict, finding.rows) == (C, (1,))
    for missing in (made_agents(elsewhere), replace(agents, scores=np.float32([0.9, 0.1]))):
        found = check_consistency("the car brakes", reasoning, _BRAKES, missing, settings=_FAR_SIGHTED)
        (finding,) = found.of_kind(Kind.CAUSE)
        assert (finding.verdict, finding.rows) == (X, ())
    (finding,) = check_consistency("the car brakes", reasoning, _BRAKES, None).of_kind(Kind.CAUSE)
    assert finding.verdict is U


@pytest.mark.parametrize(
    "reasoning",
    ["because the traffic light is red", "since the light has turned green", "the signal shows yellow",
     "it has reached the speed limit", "it has reached its destination", "there is a stop sign",
     "because the crossing traffic has passed"],
)  # fmt: skip
def test_what_the_driver_does_not_detect_is_never_a_contradiction(reasoning: str) -> None:
    for plan in (_STANDING, _SPEEDS_UP, _LEFT):
        found = check_consistency("", reasoning, plan, made_agents(_CAR), no_lines())
        assert [finding.verdict for finding in found.of_kind(Kind.CAUSE)] == [U]
        assert found.consistent is None


def test_who_may_be_farther_than_detections_reach_is_no_contradiction() -> None:
    for speed, expected in ((4.0, X), (12.0, U)):
        found = check_consistency("", "since a truck has stopped ahead", made_plan(speed), made_agents(_CAR))
        assert [f.verdict for f in found.of_kind(Kind.CAUSE)] == [expected]
    (far,) = check_consistency("", "as a car is coming towards it", _STANDING, made_agents(_CAR)).of_kind(Kind.CAUSE)
    assert far.verdict is U
    found = check_consistency(
        "", "since a truck has stopped ahead", made_plan(12.0), made_agents(_CAR), settings=_FAR_SIGHTED
    )
    assert found.consistent is False


def test_free_road() -> None:
    near, far = (
        made_agents(("car", 0.2, 8.0, 0.0, 0.0)),
        made_agents(("car", 0.2, 40.0, 0.0, 0.0), ("car", 5.0, 8.0, 0.0, 0.0)),
    )
    verdicts = [
        check_consistency("", "the road ahead is clear", _STEADY, agents).of_kind(Kind.CAUSE)[0].verdict
        for agents in (far, made_agents(), near, replace(near, scores=np.float32([0.3])))
    ]
    assert verdicts == [C, C, X, C]


def test_places() -> None:
    text = "the vehicle waits in front of the pedestrian crossing"
    verdicts = [
        check_consistency(text, "", _STANDING, None, lines).of_kind(Kind.PLACE)[0].verdict
        for lines in (crossing_at(6.0), crossing_at(40.0), no_lines(), None)
    ]
    assert verdicts == [C, X, X, U]
    behind = "the car stops behind a white truck"
    found = []
    for agents in (made_agents(("truck", 0, 9, 0, 0)), made_agents(_CAR)):
        found += check_consistency(behind, "", _STOPS, agents).of_kind(Kind.PLACE)
    assert [(f.verdict, f.rows) for f in found] == [(C, (0,)), (X, ())]


def test_an_object_in_a_turn_is_found_along_the_plan() -> None:
    agents = made_agents(("car", -11.0, 14.0, 0.0, 1.2))
    reasoning = "since a car has stopped ahead"
    found = [check_consistency("", reasoning, plan, agents).consistent for plan in (_LEFT, _RIGHT)]
    assert found == [True, False]


def test_broken_plans_are_refused() -> None:
    for plan in (np.zeros((1, 2)), np.zeros((6, 3)), np.full((6, 2), np.nan)):
        with pytest.raises(ValueError, match="finite"):
            check_consistency("", "", plan)


def test_needs_no_torch() -> None:
    code = "import sys, aln_p3_core.explainer.consistency; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


_NARRATIONS = (
    "the car turns {0}", "the vehicle changes to the {0} lane and accelerates", "the car bears slightly {0}",
    "the ego car brakes in a {0} curve", "the car steers {0}", "the car keeps to the {0}, then turns {1}",
    "it is not turning {0}", "the car keeps its speed with a car ahead", "the car moves into the lane on its {0}",
)  # fmt: skip
_REASONS = (
    "its turn to the {0} is near", "a car is coming from the {0}", "to pass a car parked on the {0}",
    "a pedestrian is on the road on the {1}", "the road bends to the {0}", "a car cuts in from the {0}",
    "its route turns {0} here", "a bus on the {0} has stopped, and a cyclist is riding ahead on the {1}",
)  # fmt: skip
_NUMBERS = st.floats(-25.0, 40.0, allow_nan=False, width=32)
_ROWS = st.tuples(
    st.sampled_from(("car", "truck", "bus", "bicycle", "pedestrian", "traffic_cone")),
    st.floats(0.5, 12.0, width=32).flatmap(lambda x: st.sampled_from((x, -x))),
    _NUMBERS, st.floats(0.0, 10.0, width=32), st.floats(-3.0, 3.0, width=32),
)  # fmt: skip


def mirrored(agents: Agents) -> Agents:
    flip = np.float32([-1, 1])
    return replace(
        agents,
        centers_model=agents.centers_model * np.float32([-1, 1, 1]),
        headings_model=np.float32(np.pi) - agents.headings_model,
        velocities_model=agents.velocities_model * flip,
    )


def told(found: Consistency, *, swap: bool) -> list[tuple[object, ...]]:
    names = {"left": "right", "right": "left"} if swap else {}
    return [
        (f.kind, f.verdict, f.rows, *(" ".join(names.get(w, w) for w in s.split()) for s in (f.stated, f.found)))
        for f in found.statements
    ]


@settings(max_examples=40, deadline=None)
@given(
    narration=st.sampled_from(_NARRATIONS),
    reasoning=st.sampled_from(_REASONS),
    speed=st.floats(0.0, 15.0),
    end=st.floats(0.0, 15.0),
    turned=st.floats(0.01, 1.5),
    rows=st.lists(_ROWS, max_size=6),
)
def test_mirroring_the_world_and_the_words_mirrors_the_findings(
    narration: str, reasoning: str, speed: float, end: float, turned: float, rows: list[tuple]
) -> None:
    plan, agents = made_plan(speed, end, turned), made_agents(*rows)
    one = check_consistency(narration.format("left", "right"), reasoning.format("left", "right"), plan, agents)
    other = check_consistency(
        narration.format("right", "left"), reasoning.format("right", "left"), plan * [-1, 1], mirrored(agents)
    )
    assert told(one, swap=False) == told(other, swap=True)


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=80), other=st.text(alphabet="aeilnorst ", max_size=60))
def test_no_text_raises(text: str, other: str) -> None:
    found = check_consistency(text, other, _STEADY, made_agents(_CAR), crossing_at(5.0), 8.0)
    assert found.of_kind(Kind.SPEED) and found.of_kind(Kind.DIRECTION) and found.of_kind(Kind.CAUSE)


@settings(max_examples=25, deadline=None)
@given(speed=st.floats(2.0, 14.0), change=st.floats(-1.0, 1.0), turned=st.floats(-1.2, 1.2))
def test_opposite_statements_never_both_hold(speed: float, change: float, turned: float) -> None:
    plan = made_plan(speed, speed * (1 + 0.6 * change), turned)
    for texts, kind in (
        (("the car accelerates", "the car slows down"), Kind.SPEED),
        (("the car turns left", "the car turns right"), Kind.DIRECTION),
        (("the car stands still", "the car is driving"), Kind.SPEED),
    ):
        assert [verdict(text, plan, kind) for text in texts].count(C) <= 1
