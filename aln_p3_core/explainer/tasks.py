"""What can be asked of the explainer, and the form of each answer (Hint-AD's tasks and forms).

| task | about | answer |
|---|---|---|
| EXPLANATION | the ego car | "Narration: the car slows down. Reasoning: because a bus has stopped ahead." |
| CAPTION | one object | "Red car about 16 meters away to the front left of the ego car is parked at the roadside" |
| QUESTION | the scene | "yes", "3", "bus", "moving" |
| DRIVELM | the scene | "The car should slow down, since <c1,CAM_FRONT,690.0,510.0> crosses its way." |
| COMMAND | the ego car | "turn left and decelerate" |
| COUNT | the scene | "There are 5 cars, 1 trucks, 0 construction_vehicles, ... in this frame." |
| POSITION | one object | "It's about 16.4 meters away at 11 o'clock direction." |
| MOTION | one object | "The object is moving at 5.25 m/s to its 2 o'clock direction.", "The object is stationary." |
| PLAN | the ego car | "The future trajectory points are [[0.01,2.31],[0.03,4.70],...,]." |

The last four are online alignment tasks: their answers are the driver's own predictions (`online_tasks`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_NARRATION = re.compile(r"narration\s*:\s*(.*?)\s*(?=reasoning\s*:|$)", re.IGNORECASE | re.DOTALL)
_REASONING = re.compile(r"reasoning\s*:\s*(.*?)\s*$", re.IGNORECASE | re.DOTALL)


class Task(Enum):
    """Kinds of text; the value is the name in files and metrics."""

    EXPLANATION = "explanation"
    CAPTION = "caption"
    QUESTION = "question"
    DRIVELM = "drivelm"
    COMMAND = "command"
    COUNT = "count"
    POSITION = "position"
    MOTION = "motion"
    PLAN = "plan"


#: Tasks about one object: their samples have a focus.
OBJECT_TASKS = (Task.CAPTION, Task.POSITION, Task.MOTION)
#: Tasks whose answers are the driver's own predictions.
ONLINE_TASKS = (Task.COUNT, Task.POSITION, Task.MOTION, Task.PLAN)


@dataclass(frozen=True, slots=True)
class TextSample:
    """One text to learn.

    Attributes:
        task: kind of text.
        prompt: what is asked, without what the prompt style puts around it (`prompts.prompt_for`).
        answer: what is to be said.
        scene: row of the batch of scenes.
        focus: row of the scene's agents that the text is about; -1: the whole scene.
        part: words of the answer that the alignments read; "" all of them.
    """

    task: Task
    prompt: str
    answer: str
    scene: int
    focus: int = -1
    part: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to ask; attributes as in `TextSample`."""

    task: Task
    prompt: str
    scene: int = 0
    focus: int = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the explainer said.

    Attributes:
        text: the words.
        truncated: True when the limit of new tokens came before the end token.
    """

    text: str
    truncated: bool


def explanation_answer(narration: str, reasoning: str) -> str:
    """The answer of an EXPLANATION sample, in the released form. Periods at the ends of the parts are not doubled."""
    return f"Narration: {narration.strip().rstrip('.')}. Reasoning: {reasoning.strip().rstrip('.')}."


def parse_explanation(text: str) -> tuple[str, str]:
    """Narration and reasoning of an explanation, without final period; "" for a part that is not there.

    Unlike the released scorer it does not cut at the first period, which "12.5 meters" holds (the benchmark's own
    form is in `evaluation.language.hint_ad`).
    """
    narration, reasoning = _NARRATION.search(text), _REASONING.search(text)
    return tuple(part[1].rstrip(".").rstrip() if part else "" for part in (narration, reasoning))  # type: ignore[return-value]
