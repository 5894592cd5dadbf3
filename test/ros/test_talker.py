"""The speaking thread: always about the newest plan, never about one that is too old, and it gives way to questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from driver_helpers import wait_until
from speaker_helpers import PlainSpeaker, raw_scene

from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.talker import Question, Reply, Talker

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 10**9


class Talk:
    """A talker with a clock that stands where the test puts it."""

    def __init__(self, **settings: object) -> None:
        self.now_ns = NOW_NS
        self.speaker = PlainSpeaker()
        self.published: list[tuple[str, str, str]] = []
        self.errors: list[str] = []
        self.talker = Talker(
            self.speaker,
            ExplainerSettings(**settings),
            now_ns=lambda: self.now_ns,
            publish=lambda heard, spoken, question: self.published.append(
                (heard.tokens.plan_id, spoken.text, question)
            ),
            log_error=self.errors.append,
        )
        self.state = self.talker.state

    def show(self, plan_id: str, age_s: float = 0.1, **kwargs: object) -> None:
        self.talker.show(raw_scene(self.now_ns - round(age_s * SECOND_NS), plan_id, **kwargs))

    def ask(self, text: str = "how many cars?", limit_s: float = 60.0) -> list[Reply]:
        replies: list[Reply] = []
        self.talker.ask(Question(text, limit_s, replies.append))
        return replies

    def plans(self) -> list[str]:
        return [plan_id for plan_id, _, question in self.published if not question]


@contextmanager
def talk(**settings: object) -> Iterator[Talk]:
    one = Talk(**settings)
    one.talker.start()
    try:
        yield one
    finally:
        assert one.talker.stop(30.0)


def test_the_newest_plan_is_explained_and_those_in_between_are_passed_over() -> None:
    with talk() as one:
        one.speaker.gate.clear()
        one.show("p-1")
        wait_until(lambda: one.speaker.scenes == ["p-1"], "the first plan")
        for number in range(2, 6):
            one.show(f"p-{number}")
        assert one.speaker.scenes == ["p-1"], "a newer plan does not interrupt"
        one.speaker.gate.set()
        wait_until(lambda: one.plans() == ["p-1", "p-5"], "the newest plan")
        assert one.state.passed_over == 3 and one.state.explained == 2 and one.state.plan_id == "p-5"
        assert one.talker.latency.summary()["speaking"][0] == 250.0
        assert one.talker.rate_hz > 0


def test_a_plan_that_is_too_old_is_not_explained() -> None:
    with talk(max_age_s=2.0) as one:
        one.show("old", age_s=2.5)
        wait_until(lambda: one.state.too_old == 1, "the drop")
        assert one.speaker.scenes == []
        one.show("of another time", age_s=-10.0)
        wait_until(lambda: one.state.too_old == 2, "the drop of a plan from the future")
        assert one.speaker.scenes == [] and not one.published and one.state.dropped_in_a_row == 1


def test_words_about_a_plan_that_has_become_too_old_are_dropped() -> None:
    with talk(max_age_s=2.0) as one:
        one.speaker.gate.clear()
        one.show("p-1")
        wait_until(lambda: one.speaker.scenes, "the beginning")
        one.now_ns += 3 * SECOND_NS
        one.speaker.gate.set()
        wait_until(lambda: one.state.outdated == 1, "the drop")
        assert not one.published and one.state.explained == 0
        one.show("p-2")
        wait_until(lambda: one.plans() == ["p-2"], "the next plan")


def test_a_question_interrupts_and_is_answered_about_the_newest_scene() -> None:
    with talk() as one:
        one.speaker.gate.clear()
        one.show("p-1")
        wait_until(lambda: one.speaker.scenes, "the beginning")
        replies = one.ask()
        wait_until(lambda: one.state.gave_way == 1, "giving way")
        one.speaker.gate.set()
        (reply,) = wait_until(lambda: replies, "the answer")
        assert reply.spoken.text == "two, as to how many cars?" and not reply.spoken.truncated
        assert (reply.plan_id, reply.problem) == ("p-1", "") and reply.stamp_ns == NOW_NS - SECOND_NS // 10
        assert one.published == [("p-1", reply.spoken.text, "how many cars?")] and one.state.answered == 1


def test_an_answer_is_cut_off_at_its_time_limit() -> None:
    with talk() as one:
        one.show("p-1")
        wait_until(one.plans, "the plan")
        one.speaker.gate.clear()
        replies = one.ask(limit_s=0.2)
        (reply,) = wait_until(lambda: replies, "the answer")
        assert reply.spoken.text == "two" and reply.spoken.truncated
        late = one.ask(limit_s=0.0)
        (reply,) = wait_until(lambda: late, "the answer")
        assert reply.spoken is None and "time limit" in reply.problem


def test_every_question_has_its_reply_in_time() -> None:
    """Whatever the model is busy with, and another question before it."""
    with talk() as one:
        one.show("p-1")
        wait_until(one.plans, "the plan")
        one.speaker.deaf = True  # as in reading a long text, which cannot be broken off
        one.speaker.gate.clear()
        first, second = one.ask("first?", limit_s=0.2), one.ask("second?", limit_s=0.2)
        wait_until(lambda: first and second, "both replies")
        assert all("time limit of 0.2 s was over" in replies[0].problem for replies in (first, second))
        one.speaker.gate.set()
        third = one.ask("third?")
        (reply,) = wait_until(lambda: third, "the answer")
        assert reply.spoken.text.endswith("third?") and [len(first), len(second)] == [1, 1]
        assert one.state.answered == 1 and one.published[-1][2] == "third?", "nobody hears what comes too late"


def test_words_about_a_plan_are_none_about_a_stop() -> None:
    with talk() as one:
        one.speaker.gate.clear()
        one.show("p-1")
        wait_until(lambda: one.speaker.scenes, "the beginning")
        one.talker.show_stop("no images come")
        wait_until(lambda: one.state.stopped == 1, "the words broken off")
        replies = one.ask("why do you stop?")
        (reply,) = wait_until(lambda: replies, "the reply")
        assert reply.spoken is None and reply.problem == "the driver has declared a stop: no images come"
        one.speaker.gate.set()
        one.show("p-2")
        wait_until(lambda: one.state.stopped == 2, "a plan from before the stop")
        one.talker.show_plan(one.now_ns)
        replies = one.ask()
        (reply,) = wait_until(lambda: replies, "the reply")
        assert "had declared a stop" in reply.problem, "the newest scene is from before"
        one.show("p-3", age_s=0.0)
        wait_until(lambda: one.plans() == ["p-3"], "the first plan after it")


def test_a_stop_of_the_time_before_a_jump_silences_nothing() -> None:
    """As in a clip that starts over."""
    with talk() as one:
        one.talker.show_stop("no images come")
        one.talker.show_plan(one.now_ns)
        one.now_ns -= 60 * SECOND_NS
        one.talker.show_plan(one.now_ns - SECOND_NS)
        one.show("p-1")
        wait_until(lambda: one.plans() == ["p-1"], "the first plan of the new time")


def test_an_answer_about_a_scene_that_has_become_too_old_is_none() -> None:
    with talk(max_age_s=2.0) as one:
        one.show("p-1")
        wait_until(one.plans, "the plan")
        one.speaker.gate.clear()
        replies = one.ask()
        one.now_ns += 3 * SECOND_NS
        (reply,) = wait_until(lambda: replies, "the reply")
        assert reply.spoken is None and "s old" in reply.problem and len(one.published) == 1


def test_there_is_no_answer_without_a_fresh_scene() -> None:
    with talk(max_age_s=2.0) as one:
        replies = one.ask()
        wait_until(lambda: replies, "the reply")
        assert "no scene" in replies[0].problem
        one.show("p-1")
        wait_until(one.plans, "the plan")
        one.now_ns += 9 * SECOND_NS
        replies = one.ask()
        wait_until(lambda: replies, "the reply")
        assert "9.1 s old" in replies[0].problem and replies[0].spoken is None


def test_tokens_of_another_driver_are_refused_with_the_reason() -> None:
    with talk() as one:
        one.show("p-1", checkpoint_hash="ffff")
        wait_until(lambda: one.state.refused, "the refusal")
        assert "ffff" in one.state.refused and "0123abcd" in one.state.refused
        one.show("p-2", checkpoint_hash="ffff")
        replies = one.ask()
        wait_until(lambda: replies, "the reply")
        assert replies[0].problem == one.state.refused and not one.speaker.scenes
        assert one.errors == [one.state.refused], "said once"
        one.show("p-3")
        wait_until(lambda: one.plans() == ["p-3"], "the right driver")
        assert not one.state.refused


def test_an_error_is_counted_and_the_next_plan_is_explained() -> None:
    with talk() as one:
        one.speaker.error = RuntimeError("the model burst")
        one.show("p-1")
        wait_until(lambda: one.state.errors == 1, "the error")
        replies = one.ask()
        wait_until(lambda: replies, "the reply")
        assert "the model burst" in replies[0].problem and one.state.errors == 2 and one.state.failing
        one.speaker.error = None
        one.show("p-2")
        wait_until(lambda: one.plans() == ["p-2"], "the next plan")
        assert "RuntimeError: the model burst" in one.state.last_error and len(one.errors) == 2
        assert not one.state.failing


def test_contradictions_are_counted() -> None:
    with talk() as one:
        one.speaker.contradictions = ("says it turns left, the plan turns right",)
        one.show("p-1")
        wait_until(one.plans, "the plan")
        wait_until(lambda: one.state.contradictions == 1, "the count")


@pytest.mark.parametrize("asked", [True, False])
def test_stopping_cuts_speech_off_and_publishes_nothing(asked: bool) -> None:
    with talk() as one:
        one.speaker.gate.clear()
        one.show("p-1")
        wait_until(lambda: one.speaker.scenes, "the beginning")
        first = one.ask() if asked else []
        second = one.ask() if asked else []
        assert one.talker.stop(30.0)
        assert not one.published
        for replies in (first, second):
            if asked:
                assert len(replies) == 1 and "stopped" in replies[0].problem
        late = one.ask()
        assert "stopped" in late[0].problem


def test_what_was_shown_before_the_clock_jumped_back_is_spoken_of_no_more() -> None:
    """Not even where it is as fresh as ever: a short jump, or a clock that comes to its stamp again."""
    with talk(max_age_s=5.0) as one:
        one.speaker.gate.clear()
        one.show("p-1", age_s=4.0)
        wait_until(lambda: one.speaker.scenes, "the beginning")
        one.show("p-2", age_s=3.9)
        one.now_ns -= 2 * SECOND_NS
        one.talker.forget()
        wait_until(lambda: one.state.outdated == 1, "the words broken off")
        replies = one.ask()
        (reply,) = wait_until(lambda: replies, "the reply")
        assert reply.spoken is None and "no scene has come yet" in reply.problem
        one.speaker.gate.set()
        one.show("q-1")
        wait_until(lambda: one.plans() == ["q-1"], "the first plan of the new time")
        assert one.speaker.scenes == ["p-1", "q-1"] and one.state.dropped_in_a_row == 0


def test_a_plan_in_the_future_is_not_one_that_came_too_late() -> None:
    with talk() as one:
        one.show("p-1", age_s=-9.0)
        wait_until(lambda: one.state.too_old == 1, "the refusal")
        assert one.state.dropped_in_a_row == 0, "it would advise to say less"
        replies = one.ask()
        (reply,) = wait_until(lambda: replies, "the reply")
        assert "9.0 s in the future" in reply.problem


def test_more_questions_than_can_wait_are_refused() -> None:
    with talk() as one:
        one.speaker.gate.clear()
        one.show("p-1")
        first = one.ask("first?")
        wait_until(lambda: not one.talker._questions, "the first question")
        waiting = [one.ask("and?") for _ in range(8)]
        (reply,) = one.ask("one more?")
        assert reply.spoken is None and reply.problem == "8 questions wait already"
        one.speaker.gate.set()
        wait_until(lambda: first and all(waiting), "all the others")
        assert all(replies[0].spoken for replies in (first, *waiting))
