"""The words of each prompt, what stands around them, and the answer of the command task.

Prompts are short: every token of them is computed in every step and before every answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.settings import PromptStyle
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.geometry import FloatArray

_PROMPTS = {
    Task.EXPLANATION: "Describe what the ego car does and why.",
    Task.CAPTION: "Describe the object.",
    Task.COMMAND: "Which command does the ego car follow?",
    Task.COUNT: "How many objects are detected?",
    Task.POSITION: "Where is the object?",
    Task.MOTION: "How does the object move?",
    Task.PLAN: "Tell the next five points of the plan.",
}

# Of the tasks whose questions are the data set's. Without it nothing would tell whether NuScenes-QA's one word is
# wanted or DriveLM's sentences.
_BEFORE_QUESTIONS = {Task.QUESTION: "", Task.DRIVELM: "Answer in sentences: "}

# A plan that ends so far to the side is a turn (VAD's rule for commands, method: section 6.1), m.
_TURN_M = 2.0
# A slower plan stands, and a change of speed below the second is none, m/s.
_STANDING_MS = 0.3
_STEADY_MS = 1.0


def prompt_for(task: Task, question: str = "") -> str:
    """What is asked.

    Args:
        task: kind of text.
        question: of a QUESTION or DRIVELM.

    Raises:
        ConfigError: for a question without words, or words for a task that has its own.
    """
    if task in _BEFORE_QUESTIONS:
        if not question.strip():
            raise ConfigError("a question needs words")
        return _BEFORE_QUESTIONS[task] + question.strip()
    if question:
        raise ConfigError(f"the task {task.value} has a prompt of its own; ask a question as task question")
    return _PROMPTS[task]


def wrapped(prompt: str, style: PromptStyle, tokenizer: Any) -> str:
    """A prompt as the language model reads it, its answer follows right behind (`settings.LanguageModelSettings`).

    Raises:
        ConfigError: for style "chat" with a tokenizer that has no chat template.
    """
    if style == "plain":
        return f"{prompt}\n"
    if style == "alpaca":
        return f"### Instruction:\n{prompt}\n\n### Response:\n"
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("this tokenizer has no chat template: set language_model.prompt_style to plain or alpaca")
    messages = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def command_answer(plan_T2: FloatArray, step_s: float) -> str:
    """The COMMAND task's answer from a plan: its direction and its change of speed.

    Args:
        plan_T2: positions, m, model frame (x right, y forward), the first `step_s` from now.
        step_s: seconds between positions.
    """
    lengths_T = np.linalg.norm(np.diff(plan_T2, axis=0, prepend=np.zeros((1, 2))), axis=1)
    first, last = lengths_T[0] / step_s, lengths_T[-1] / step_s
    side = float(plan_T2[-1, 0])
    direction = "turn right" if side >= _TURN_M else "turn left" if side <= -_TURN_M else "go straight"
    if last < _STANDING_MS:
        speed = "stop"
    elif abs(last - first) < _STEADY_MS:
        speed = "keep speed"
    else:
        speed = "accelerate" if last > first else "decelerate"
    return f"{direction} and {speed}"
