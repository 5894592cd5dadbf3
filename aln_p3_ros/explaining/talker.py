"""The thread that speaks: about the newest plan, or in answer to a question, never about a plan that is too old.

The executor only hands over; it never waits for this thread, and no lock is held while the model speaks. A newer plan
takes the place of one that waits, and does not interrupt. A question does: a person waits for the answer, and the next
plan can be explained as well.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.explainer.speaking import Spoken
from aln_p3_ros.driving.diagnostics import LatencyWindow
from aln_p3_ros.driving.worker import WorkThread
from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
from aln_p3_ros.explaining.scene_inputs import HeardScene, RawScene

#: Clocks of two processes that follow one /clock differ by a few messages: a plan may be this far in the future.
AHEAD_S = 0.5
#: So long after its time limit a question is given up that is being answered.
_GRACE_S = 0.5
#: Questions that may wait: each keeps a thread until its time is over.
_MAX_WAITING = 8
#: Explanations that the rate is told of.
_RATE_WINDOW = 20


class Speaker(Protocol):
    """What the node needs of an explainer; `model_loading.HeardSpeaker` is one.

    Attributes:
        model_id: name of the explainer with the beginning of its weights' hash.
        description: for people.
        driver_hash: of the driver's weights whose tokens it reads; "" when it does not say.
    """

    model_id: str
    description: str
    driver_hash: str

    def explain(
        self,
        scene: HeardScene,
        *,
        captions: int,
        max_new_tokens: int,
        check: bool,
        stop: Callable[[], bool],
    ) -> Spoken | None:
        """What the vehicle does and why; None when `stop` said so before the end."""

    def answer(self, scene: HeardScene, question: str, *, max_new_tokens: int, stop: Callable[[], bool]) -> Spoken:
        """The answer to a question; what there is of it when `stop` says so."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a question: words about a plan, and what goes with them, or why there are none."""

    spoken: Spoken | None = None
    plan_id: str = ""
    stamp_ns: int = 0
    seconds: float = 0.0
    problem: str = ""
    warnings: tuple[str, ...] = ()


class Question:
    """A question that waits for its answer, and gets one when its time is over, whatever the speaking thread does.

    Attributes:
        text: what is asked.
        limit_s: from `asked` (time.monotonic()) on.
    """

    def __init__(self, text: str, limit_s: float, on_reply: Callable[[Reply], None]) -> None:
        """
        Args:
            text, limit_s: see above.
            on_reply: called once, in the thread that has the answer.
        """
        self.text, self.limit_s, self.asked = text, limit_s, time.monotonic()
        self._on_reply = on_reply
        self._lock = threading.Lock()
        self._answered = False
        # An answer that is being given is cut off at the limit, which takes one more token.
        self._timer = threading.Timer(limit_s + _GRACE_S, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() - self.asked >= self.limit_s

    @property
    def answered(self) -> bool:
        """Whether nobody waits any more."""
        return self._answered

    def reply(self, reply: Reply) -> bool:
        """Answers; False when it was answered before."""
        with self._lock:
            if self._answered:
                return False
            self._answered = True
        self._timer.cancel()
        self._on_reply(reply)
        return True

    def _give_up(self) -> None:
        spent = time.monotonic() - self.asked
        self.reply(Reply(problem=f"no answer: the time limit of {self.limit_s:g} s was over", seconds=spent))


@dataclass(slots=True)
class TalkState:
    """What the speaking was like; read by diagnostics.

    Attributes:
        explained, answered: how many were published.
        passed_over: plans that a newer one replaced while they waited.
        too_old: plans that were older than `max_age_s`, or in the future, before a word was said.
        outdated: explanations that were broken off or dropped because their plan had become older than that, or the
            clock had jumped back.
        gave_way: explanations that a question interrupted.
        stopped: plans that were not explained because the driver had declared a stop meanwhile.
        contradictions: explanations that contradict their plan or objects.
        errors: how often speaking failed. last_error: how, the last time. failing: whether it did the last time.
        dropped_in_a_row: plans that became too old since one was explained.
        refused: why the newest tokens cannot be read, or "".
        plan_id: that was explained last. age_s: of that plan when it was explained.
    """

    explained: int = 0
    answered: int = 0
    passed_over: int = 0
    too_old: int = 0
    outdated: int = 0
    gave_way: int = 0
    stopped: int = 0
    contradictions: int = 0
    errors: int = 0
    last_error: str = ""
    failing: bool = False
    dropped_in_a_row: int = 0
    refused: str = ""
    plan_id: str = ""
    age_s: float = 0.0


class Talker:
    """Speaks in a thread of its own.

    Args:
        speaker: the model; used by this thread only.
        settings: of the node; may be replaced while the thread runs.
        now_ns: the node's clock.
        publish: takes what was said: scene, words, and the question ("" for an explanation).
        log_error: told of errors.
    """

    def __init__(
        self,
        speaker: Speaker,
        settings: ExplainerSettings,
        *,
        now_ns: Callable[[], int],
        publish: Callable[[HeardScene, Spoken, str], None],
        log_error: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.state = TalkState()
        self.latency = LatencyWindow()
        self._speaker = speaker
        self._now_ns = now_ns
        self._publish = publish
        self._log_error = log_error
        self._condition = threading.Condition()
        self._newest: RawScene | None = None
        self._is_new = False
        self._questions: deque[Question] = deque()
        self._stop_reasons: str | None = None
        self._driving_since_ns = 0
        # Of now, and of the scene that is spoken about: `forget` begins another.
        self._era = self._speaking_era = 0
        self._stopping = False
        self._times: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._thread = WorkThread(self._run, "talker")

    def start(self) -> None:
        """Starts the thread; once."""
        self._thread.start()

    def show(self, scene: RawScene) -> None:
        """Hands over a newer scene; one that still waits is passed over."""
        with self._condition:
            self.state.passed_over += self._is_new
            self._newest, self._is_new = scene, True
            self._condition.notify()

    def forget(self) -> None:
        """Tells that the clock has jumped back: what was shown before is of another time, and so are words about it."""
        with self._condition:
            self._newest, self._is_new = None, False
            self._era += 1

    def show_stop(self, reasons: str) -> None:
        """Tells of a declared stop: earlier plans are no longer what the vehicle does."""
        with self._condition:
            self._stop_reasons = reasons

    def show_plan(self, stamp_ns: int) -> None:
        """Tells of a plan that is followed; it ends a stop. A stamp that steps back is of a time that began anew."""
        with self._condition:
            if self._stop_reasons is not None or stamp_ns < self._driving_since_ns:
                self._stop_reasons, self._driving_since_ns = None, stamp_ns

    def ask(self, question: Question) -> None:
        """Hands over a question; its `reply` is called in any case."""
        problem = ""
        with self._condition:
            if self._stopping:
                problem = "the explainer is being stopped"
            elif sum(not other.answered for other in self._questions) >= _MAX_WAITING:
                problem = f"{_MAX_WAITING} questions wait already"
            else:
                self._questions.append(question)
                self._condition.notify()
        if problem:
            question.reply(Reply(problem=problem))

    def stop(self, timeout_s: float) -> bool:
        """Cuts speech off at the next token and waits. Returns False when the thread still runs."""
        with self._condition:
            self._stopping = True
            waiting = list(self._questions)
            self._questions.clear()
            self._condition.notify()
        for question in waiting:
            question.reply(Reply(problem="the explainer is being stopped"))
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def rate_hz(self) -> float:
        """Explanations a second, over the last ones; 0 before there are two."""
        times = list(self._times)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._stopping or self._questions or self._is_new):
                    self._condition.wait()
                if self._stopping:
                    return
                question = self._questions.popleft() if self._questions else None
                scene, self._speaking_era = self._newest, self._era
                if question is None:
                    self._is_new = False
            if question is not None:
                if not question.answered:
                    self._answer(question, scene)
            elif scene is not None:
                self._guarded(self._explain, scene)

    def _guarded(self, work: Callable[[RawScene], None], scene: RawScene) -> str:
        """Runs one piece of work; an error is counted, logged and returned, and the thread goes on."""
        try:
            work(scene)
        except Exception as error:
            # Whatever the model does, the next plan is explained again.
            text = str(error) if isinstance(error, (AlnP3Error, ValueError)) else f"{type(error).__name__}: {error}"
            self.state.errors += 1
            self.state.last_error, self.state.failing = text, True
            self._log_error(f"speaking failed: {text}")
            return text
        return ""

    def _explain(self, raw: RawScene) -> None:
        if self._age_problem(raw):
            self.state.too_old += 1
            self.state.dropped_in_a_row += self._age_s(raw) > self.settings.max_age_s
            return
        if self._stop_problem(raw):
            self.state.stopped += 1
            return
        heard = self._read(raw)
        if heard is None:
            return
        settings = self.settings
        begun = time.monotonic()
        spoken = self._speaker.explain(
            heard,
            captions=settings.captions,
            max_new_tokens=settings.max_new_tokens,
            check=settings.check,
            stop=lambda: self._stopping or bool(self._questions) or bool(self._problem(raw)),
        )
        self.state.failing = False
        if self._stopping:
            return
        if self._age_problem(raw):
            self.state.outdated += 1
            self.state.dropped_in_a_row += self._age_s(raw) > self.settings.max_age_s
            return
        if self._stop_problem(raw):
            self.state.stopped += 1
            return
        if spoken is None:
            self.state.gave_way += 1
            return
        self._publish(heard, spoken, "")
        done = time.monotonic()
        self._times.append(done)
        self.state.explained += 1
        self.state.dropped_in_a_row = 0
        self.state.plan_id = heard.tokens.plan_id
        self.state.age_s = self._age_s(raw)
        if spoken.consistency is not None:
            self.state.contradictions += bool(spoken.consistency.contradictions)
        self.latency.add({"speaking": spoken.seconds * 1e3, "total": (done - begun) * 1e3})

    def _answer(self, question: Question, raw: RawScene | None) -> None:
        reply = Reply(problem="no scene has come yet: is the driver active?")
        if raw is not None:
            problem = self._problem(raw)
            if problem:
                reply = Reply(problem=problem)
            elif question.late:
                reply = Reply(problem=f"the time limit of {question.limit_s:g} s was over before the answer began")
            else:
                replies: list[Reply] = []
                failure = self._guarded(lambda scene: replies.append(self._say(question, scene)), raw)
                reply = replies[0] if replies else Reply(problem=f"speaking failed: {failure}")
        question.reply(reply)

    def _say(self, question: Question, raw: RawScene) -> Reply:
        heard = self._read(raw)
        if heard is None:
            return Reply(problem=self.state.refused)
        spoken = self._speaker.answer(
            heard,
            question.text,
            max_new_tokens=self.settings.max_new_tokens,
            stop=lambda: self._stopping or question.late or bool(self._problem(raw)),
        )
        self.state.failing = False
        seconds = time.monotonic() - question.asked
        common = {"plan_id": heard.tokens.plan_id, "stamp_ns": raw.stamp_ns, "seconds": seconds}
        if self._stopping:
            return Reply(problem="the explainer is being stopped", **common)
        if problem := self._problem(raw):
            return Reply(problem=problem, **common)
        if question.answered:
            return Reply(problem="nobody waits any more", **common)
        if not spoken.text:
            why = f"the time limit of {question.limit_s:g} s was over" if question.late else "it had nothing to say"
            return Reply(problem=f"no answer: {why}", **common)
        self._publish(heard, spoken, question.text)
        self.state.answered += 1
        return Reply(spoken=spoken, warnings=heard.warnings, **common)

    def _read(self, raw: RawScene) -> HeardScene | None:
        """Unpacks a scene; None, and `state.refused` says why, when it is of another driver than the explainer's."""
        heard = raw.read()
        theirs, ours = heard.tokens.checkpoint_hash, self._speaker.driver_hash
        if ours and theirs != ours:
            refused = (
                f"the scene tokens are of the driver with weights {theirs or 'unknown'}, this explainer "
                f"({self._speaker.model_id}) was trained on those of {ours}: run the driver that belongs to it, or "
                "name another explainer"
            )
            if self.state.refused != refused:
                self._log_error(refused)
            self.state.refused = refused
            return None
        self.state.refused = ""
        return heard

    def _problem(self, raw: RawScene) -> str:
        """Why a scene is not what the vehicle does now, or ""."""
        return self._age_problem(raw) or self._stop_problem(raw)

    def _stop_problem(self, raw: RawScene) -> str:
        """The declared stop that came after the scene's plan, or ""."""
        reasons = self._stop_reasons
        if reasons is not None:
            return f"the driver has declared a stop: {reasons}"
        return "the driver had declared a stop after it" if raw.stamp_ns < self._driving_since_ns else ""

    def _age_s(self, raw: RawScene) -> float:
        return (self._now_ns() - raw.stamp_ns) * 1e-9

    def _age_problem(self, raw: RawScene) -> str:
        """Why a scene is not fit to be spoken about, by its age; "" when it is."""
        if self._speaking_era != self._era:
            return "the clock has jumped back since the scene came"
        age_s = self._age_s(raw)
        if -AHEAD_S <= age_s <= self.settings.max_age_s:
            return ""
        if age_s < 0:
            return f"the newest scene lies {-age_s:.1f} s in the future: the clock has jumped back, or is another"
        return f"the newest scene is {age_s:.1f} s old, at most {self.settings.max_age_s:g} s are explained"
