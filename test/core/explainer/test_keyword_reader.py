from __future__ import annotations

import pytest

from aln_p3_core.explainer.keyword_reader import read_narration, read_reasons
from aln_p3_core.explainer.statement import read_statement
from aln_p3_core.world.language.grammar import SPLITS, Chooser
from aln_p3_core.world.language.sentences import say_narration, say_reasoning
from aln_p3_core.world.language.stated import Action, NamedObject, Narration, Pace, Reason, Reasoning, Side, Where
from aln_p3_core.world.language.wording_ego import LATERAL_REASONS, REASONS
from aln_p3_core.world.planners.planner import Cause, LateralManeuver, Maneuver

L, M = LateralManeuver, Maneuver
_WHO = {
    Cause.PEDESTRIAN: "child", Cause.CYCLIST: "cyclist", Cause.OBSTACLE: "barrier", Cause.BUS_AT_STOP: "bus",
    Cause.WORKS: "traffic cone",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "speeds", "laterals"),
    [
        ("the car accelerates slowly", (M.ACCELERATE,), ()),
        ("The car is stopped.", (M.WAIT, M.STOP), ()),
        ("the car makes a left turn and speeds up", (M.ACCELERATE,), (L.TURN_LEFT,)),
        ("the vehicle is about to turn right", (), ()),
        ("the car waits to turn left", (M.WAIT,), ()),
        ("the ego vehicle is not turning left, it drives straight ahead", (), (L.KEEP_LANE,)),
        ("the car slows to a complete stop behind a bus", (M.STOP,), ()),
        ("the car merges into the left lane", (), (L.CHANGE_LEFT,)),
        ("the car begins to slow down", (M.DECELERATE,), ()),
        ("the car drives on without slowing down", (), ()),
        ("the vehicle does not stop", (), ()),
        ("the vehicle isn't moving", (M.WAIT,), ()),
        ("the vehicle starts and then turns to the left", (M.START,), (L.TURN_LEFT,)),
        ("the ego vehicle maintains a steady speed in its lane", (M.KEEP_SPEED,), ()),
        ("the car turns slightly left", (), (L.NUDGE_LEFT, L.TURN_LEFT)),
        ("the car changes lanes", (), (L.CHANGE_LEFT, L.CHANGE_RIGHT)),
        ("the ego vehicle prepares to stop", (), ()),
        ("the car turns right ahead of the crossing", (), (L.TURN_RIGHT,)),
        ("the car is waiting right behind a truck", (M.WAIT,), ()),
        ("the car drives in the left lane", (), ()),
        ("teh car turns leftt", (), ()),
    ],
)
def test_narrations_in_other_words(text: str, speeds: tuple[M, ...], laterals: tuple[L, ...]) -> None:
    read = read_narration(text)
    assert (read.speeds, read.laterals) == (speeds, laterals)


@pytest.mark.parametrize(
    ("text", "cause", "action", "noun", "side"),
    [
        ("because the light just turned red", Cause.RED_LIGHT, Action.PRESENT, "", Side.NONE),
        ("as there is a car stopped in front", Cause.STOPPED_VEHICLE, Action.AHEAD, "car", Side.NONE),
        ("because pedestrians are crossing the street", Cause.PEDESTRIAN, Action.CROSSING, "pedestrian", Side.NONE),
        ("a person is waiting to cross on the right", Cause.PEDESTRIAN, Action.WAITING, "pedestrian", Side.RIGHT),
        ("to avoid the parked cars on the right", Cause.STOPPED_VEHICLE, Action.PARKED, "car", Side.RIGHT),
        ("because it needs to turn left", Cause.CURVE, Action.TURN, "", Side.LEFT),
        ("since the truck in front is slowing down", Cause.LEAD_BRAKING, Action.PRESENT, "truck", Side.NONE),
        ("since the car ahead isn't moving", Cause.STOPPED_VEHICLE, Action.AHEAD, "car", Side.NONE),
        ("because no pedestrian is on the crosswalk", Cause.FREE_ROAD, Action.PRESENT, "", Side.NONE),
        ("the lane is not blocked", Cause.FREE_ROAD, Action.PRESENT, "", Side.NONE),
        ("because there's construction ahead", Cause.WORKS, Action.PRESENT, "", Side.NONE),
        ("as the oncoming traffic has the right of way", Cause.ONCOMING_TRAFFIC, Action.PRESENT, "vehicle", Side.NONE),
        ("to let the bus merge from the right", Cause.MERGING_TRAFFIC, Action.PRESENT, "bus", Side.RIGHT),
    ],
)  # fmt: skip
def test_reasons_in_other_words(text: str, cause: Cause, action: Action, noun: str, side: Side) -> None:
    (reason,) = read_reasons(text)
    assert reason == Reason(cause, action, NamedObject(noun) if noun else None, side)


def test_several_reasons_and_none() -> None:
    assert [r.cause for r in read_reasons("the light turned green and there are no cars ahead")] == [
        Cause.GREEN_LIGHT, Cause.FREE_ROAD,
    ]  # fmt: skip
    assert read_reasons("it is raining") == read_reasons("") == ()


def test_the_grammar_is_read_exactly_and_slips_by_keywords() -> None:
    exact = read_statement("the car is accelerating and draws a bit to the left", "as the signal shows green")
    assert exact.exact_narration and exact.exact_reasoning
    slip = read_statement("the car is is accelerating and draws a bit bit to the left", "as signal shows green")
    assert not slip.exact_narration and not slip.exact_reasoning
    assert (slip.narration.speeds, slip.narration.laterals) == (exact.narration.speeds, exact.narration.laterals)
    assert slip.reasons[0].cause is exact.reasons[0].cause is Cause.GREEN_LIGHT


def test_keywords_agree_with_the_grammar_on_its_own_narrations() -> None:
    """Every speed, pace, direction and place in the wording of every split."""
    narrations = [Narration(speed, lateral) for speed in Maneuver for lateral in LateralManeuver]
    narrations += [
        Narration(M.KEEP_SPEED, pace=pace, where=where) for pace in Pace for where in Where if where is not Where.BEHIND
    ]
    narrations += [Narration(M.STOP, where=Where.BEHIND, leader=NamedObject("truck", "white"))]
    for split in SPLITS:
        for seed in range(4):
            for key, narration in enumerate(narrations):
                text, _ = say_narration(narration, Chooser(split, seed), key)
                exact, read = read_statement(text, "").narration, read_narration(text)
                assert (read.speeds, read.laterals, read.pace) == (exact.speeds, exact.laterals, exact.pace), text
                assert (read.leader is None) == (exact.leader is None), text


def test_keywords_agree_with_the_grammar_on_its_own_causes() -> None:
    wrong, total = set(), set()
    for split in SPLITS:
        for table, aside in ((REASONS, False), (LATERAL_REASONS, True)):
            for cause, action in table:
                noun = _WHO.get(cause, "van")
                reason = Reason(cause, action, NamedObject(noun), Side.LEFT)
                for seed in range(4):
                    why = Reasoning(None, reason) if aside else Reasoning(reason)
                    text, _ = say_reasoning(why, Chooser(split, seed), seed)
                    total.add(text)
                    if [r.cause for r in read_reasons(text)] != [cause]:
                        wrong.add(text)
    assert len(wrong) <= 0.02 * len(total), sorted(wrong)
