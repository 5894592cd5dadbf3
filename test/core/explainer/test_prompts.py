from __future__ import annotations

import numpy as np
import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.prompts import command_answer, prompt_for, wrapped
from aln_p3_core.explainer.tasks import Task


def test_every_task_has_a_prompt_of_its_own() -> None:
    asked = (Task.QUESTION, Task.DRIVELM)
    prompts = [prompt_for(task) for task in Task if task not in asked]
    assert len(set(prompts)) == len(prompts) == 7
    for task in asked:
        with pytest.raises(ConfigError, match="needs words"):
            prompt_for(task, "  ")
    with pytest.raises(ConfigError, match="prompt of its own"):
        prompt_for(Task.PLAN, "Where to?")


def test_the_prompts_that_the_shipped_explainer_was_trained_with() -> None:
    assert prompt_for(Task.QUESTION, " Are there any cars? ") == "Are there any cars?"
    assert {task.value: prompt_for(task) for task in Task if task not in (Task.QUESTION, Task.DRIVELM)} == {
        "explanation": "Describe what the ego car does and why.",
        "caption": "Describe the object.",
        "command": "Which command does the ego car follow?",
        "count": "How many objects are detected?",
        "position": "Where is the object?",
        "motion": "How does the object move?",
        "plan": "Tell the next five points of the plan.",
    }


def test_the_same_question_of_two_data_sets_tells_which_answer_is_wanted() -> None:
    assert prompt_for(Task.DRIVELM, " What is moving? ") == "Answer in sentences: What is moving?"
    assert prompt_for(Task.DRIVELM, "What is moving?") != prompt_for(Task.QUESTION, "What is moving?")


def test_styles() -> None:
    class Templated:
        chat_template = "yes"

        def apply_chat_template(self, messages: list[dict[str, str]], **options: bool) -> str:
            assert options == {"tokenize": False, "add_generation_prompt": True}
            return f"<user>{messages[0]['content']}<assistant>"

    assert wrapped("Why?", "plain", None) == "Why?\n"
    assert wrapped("Why?", "alpaca", None) == "### Instruction:\nWhy?\n\n### Response:\n"
    assert wrapped("Why?", "chat", Templated()) == "<user>Why?<assistant>"
    with pytest.raises(ConfigError, match="no chat template"):
        wrapped("Why?", "chat", None)


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        ([(0.0, 3.0)] * 6, "go straight and keep speed"),
        ([(0.0, 3.0 + 0.3 * k) for k in range(6)], "go straight and accelerate"),
        ([(0.0, 3.0 - 0.3 * k) for k in range(6)], "go straight and decelerate"),
        ([(0.0, 2.0 - 0.4 * k) for k in range(6)], "go straight and stop"),
        ([(0.4, 3.0)] * 6, "turn right and keep speed"),
        ([(-0.4, 3.0)] * 6, "turn left and keep speed"),
        ([(0.0, 0.0)] * 6, "go straight and stop"),
    ],
)
def test_commands_of_plans(steps: list[tuple[float, float]], answer: str) -> None:
    assert command_answer(np.cumsum(np.array(steps), axis=0), step_s=0.5) == answer
