"""Words about one driving scene, with a check of what they say: what the explainer node and `aln-p3 explain` share.

The module itself is light (no torch): whoever only handles words imports it cheaply.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aln_p3_core.explainer.consistency import Consistency, check_consistency
from aln_p3_core.explainer.tasks import Answer, Prompt, Task, parse_explanation
from aln_p3_core.scene import DrivingScene

if TYPE_CHECKING:
    from aln_p3_core.explainer.explainer import Explainer

#: Characters of a hash that are shown.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ObjectWords:
    """A caption, and the `query_id` of the object that it describes."""

    query_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said about a scene.

    Attributes:
        text: all of it, as it was said.
        narration: what the vehicle does. reasoning: why. Both "" for an answer to a question.
        captions: of objects, best score first.
        truncated: the text ended at a limit, not by itself.
        consistency: of an explanation with plan and objects; None where it was not checked, and for an answer.
        seconds: it took.
    """

    text: str
    narration: str = ""
    reasoning: str = ""
    captions: tuple[ObjectWords, ...] = ()
    truncated: bool = False
    consistency: Consistency | None = None
    seconds: float = 0.0


class SceneSpeaker:
    """An explainer that speaks about scenes, one at a time.

    Args:
        explainer: in evaluation mode.
        driver_hash: of the driver's weights whose tokens it reads.
        sha256: of the explainer's own trained weights.
    """

    def __init__(self, explainer: Explainer, *, driver_hash: str, sha256: str) -> None:
        self.explainer = explainer
        self.driver_hash = driver_hash
        self.model_id = f"{explainer.config.name} {sha256[:_SHOWN]}"
        self.description = f"explainer {explainer.config.name} on {explainer.device}, {explainer.description}"

    @classmethod
    def load(cls, name_or_path: str | Path, *, driver_hash: str | None = None, device: str = "auto") -> SceneSpeaker:
        """The explainer that ships under a name, or the one of a file.

        Args:
            driver_hash: of the driver whose tokens it will read; None: whoever brings them compares it.

        Raises:
            CheckpointError: when it is missing, damaged, or made for another driver or another copy of its language
                model.
            ConfigError: when its language model is not installed, or for an unknown device.
        """
        from aln_p3_core.device import resolve_device
        from aln_p3_core.explainer.checkpoint import load_explainer, read_file

        found = read_file(name_or_path)
        explainer = load_explainer(name_or_path, driver_hash=driver_hash, device=resolve_device(device))
        return cls(explainer, driver_hash=found.driver_hash, sha256=found.sha256)

    def explain(
        self,
        scene: DrivingScene,
        *,
        captions: int = 0,
        max_new_tokens: int = 64,
        speed_now_ms: float | None = None,
        check: bool = True,
        stop: Callable[[], bool] | None = None,
    ) -> Spoken | None:
        """What the vehicle does and why.

        Args:
            scene: with tokens.
            captions: so many objects are described too, best score first.
            max_new_tokens: of each text.
            speed_now_ms: of the vehicle, for the check; None: the plan's beginning tells.
            check: whether the words are compared with plan and objects.
            stop: asked after every token; True ends the speech.

        Returns:
            The words, or None when `stop` ended them.

        Raises:
            DataError: for a scene without tokens.
        """
        from aln_p3_core.explainer.prompts import prompt_for
        from aln_p3_core.explainer.scene_context import agent_rows

        begun = time.perf_counter()
        described = agent_rows(scene, self.explainer.config)[:captions]
        prompts = [Prompt(Task.EXPLANATION, prompt_for(Task.EXPLANATION))]
        prompts += [Prompt(Task.CAPTION, prompt_for(Task.CAPTION), focus=k) for k in range(len(described))]
        stopped = _Stopped(stop)
        answers = self._generate(scene, prompts, max_new_tokens, stopped)
        if stopped.happened:
            return None
        first, *others = answers
        narration, reasoning = parse_explanation(first.text)
        consistency = None
        if check:
            # Words in another form than "Narration: ... Reasoning: ..." are judged as a whole.
            told = (narration, reasoning) if narration or reasoning else (first.text, "")
            consistency = check_consistency(
                *told,
                scene.plan.points_model,
                scene.agents,
                scene.map_elements,
                speed_now_ms,
                step_s=scene.plan.step_s,
            )
        return Spoken(
            text=first.text,
            narration=narration,
            reasoning=reasoning,
            captions=tuple(
                ObjectWords(int(scene.agents.query_ids[row]), answer.text)
                for row, answer in zip(described, others, strict=True)
            ),
            truncated=any(answer.truncated for answer in answers),
            consistency=consistency,
            seconds=time.perf_counter() - begun,
        )

    def answer(
        self,
        scene: DrivingScene,
        question: str,
        *,
        max_new_tokens: int = 64,
        stop: Callable[[], bool] | None = None,
    ) -> Spoken:
        """The answer to a question about a scene, with tokens; what there is of it when `stop` says so.

        Raises:
            DataError: for a scene without tokens.
            ConfigError: for a question without words.
        """
        from aln_p3_core.explainer.prompts import prompt_for

        begun = time.perf_counter()
        prompt = Prompt(Task.QUESTION, prompt_for(Task.QUESTION, question))
        (answer,) = self._generate(scene, [prompt], max_new_tokens, stop)
        return Spoken(text=answer.text, truncated=answer.truncated, seconds=time.perf_counter() - begun)

    def _generate(
        self, scene: DrivingScene, prompts: list[Prompt], max_new_tokens: int, stop: Callable[[], bool] | None
    ) -> list[Answer]:
        from aln_p3_core.explainer.scene_context import context_from_scene

        context = context_from_scene(scene, self.explainer.config)
        return self.explainer.generate(context, prompts, max_new_tokens=max_new_tokens, stop=stop)


class _Stopped:
    """Asks `stop`, and remembers whether it ever said so."""

    def __init__(self, stop: Callable[[], bool] | None) -> None:
        self._stop = stop
        self.happened = False

    def __call__(self) -> bool:
        self.happened = self.happened or (self._stop is not None and self._stop())
        return self.happened
