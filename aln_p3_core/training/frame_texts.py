"""The texts that go with one frame, as a clip carries them: plain data, no tensors."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.explainer.tasks import Task


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text to learn with a frame.

    Attributes:
        task: kind of text.
        prompt: what is asked.
        answer: what is to be said; "" where only the driver's output tells: online tasks, and captions, which are
            those of one of the detected objects.
        pick: of tasks about one object, which of those that are there, in 0..1 of their number.
    """

    task: Task
    prompt: str
    answer: str = ""
    pick: float = 0.0


@dataclass(frozen=True, slots=True)
class AgentCaption:
    """What is known of a target agent: its whole caption, and the part about its motion ("" where there is none)."""

    agent: int
    text: str
    motion: str


@dataclass(frozen=True, slots=True)
class FrameTexts:
    """Texts of one frame.

    Attributes:
        items: to be learnt by the language model.
        captions: of some target agents, in the order of a lot.
        explanation: of the frame, as an answer; "" where there is none.
    """

    items: tuple[TextItem, ...] = ()
    captions: tuple[AgentCaption, ...] = ()
    explanation: str = ""
