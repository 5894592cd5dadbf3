"""Which texts a clip carries: drawn by kind from what is known of its last frame, from the clip's seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np

from aln_p3_core.explainer.prompts import prompt_for
from aln_p3_core.explainer.tasks import Task, explanation_answer
from aln_p3_core.training.frame_texts import AgentCaption, FrameTexts, TextItem
from aln_p3_core.training.text_library import TextLibrary
from aln_p3_core.training.text_settings import TextSettings

# Kinds about one of the objects that the driver sees: which one is settled when it has been run.
_ABOUT_OBJECTS = {"caption": Task.CAPTION, "position": Task.POSITION, "motion": Task.MOTION}
_ABOUT_SCENES = {"count": Task.COUNT, "plan": Task.PLAN}


@dataclass(frozen=True, slots=True, eq=False)
class TextSource:
    """Draws the texts of frames. Any process gives the same ones for the same frame and seed."""

    library: TextLibrary
    settings: TextSettings

    def draw(self, index: int, seed: int) -> FrameTexts:
        """Texts of a frame.

        Args:
            index: of the frame in the store.
            seed: of the draw.
        """
        random = np.random.default_rng([seed, index, 0x7E])
        pools = {kind: list(items) for kind, items in self._pools(index)}
        chosen: list[TextItem] = []
        for kind in self.settings.every_frame:
            if pools.get(kind) and len(chosen) < self.settings.per_frame:
                chosen.append(_taken(pools[kind], random))
        shares = asdict(self.settings.shares)
        while len(chosen) < self.settings.per_frame:
            kinds = [kind for kind, items in pools.items() if items and shares[kind] > 0]
            if not kinds:
                break
            weights = np.array([shares[kind] for kind in kinds])
            drawn = kinds[random.choice(len(kinds), p=weights / weights.sum())]
            chosen.append(_taken(pools[drawn], random))
        explanation = self.library.explanations[index]
        return FrameTexts(
            items=tuple(chosen),
            captions=self._captions(index, random),
            explanation="" if explanation is None else explanation_answer(explanation.narration, explanation.reasoning),
        )

    def _pools(self, index: int) -> Iterator[tuple[str, Iterator[TextItem]]]:
        """Every text that there is of a frame, by kind."""
        library = self.library
        explanation = library.explanations[index]
        if explanation is not None:
            answer = explanation_answer(explanation.narration, explanation.reasoning)
            yield "explanation", iter([TextItem(Task.EXPLANATION, prompt_for(Task.EXPLANATION), answer)])
        for kind, task, asked in (
            ("question", Task.QUESTION, library.questions[index]),
            ("drivelm", Task.DRIVELM, library.drivelm[index]),
        ):
            yield kind, iter([TextItem(task, prompt_for(task, one.question), one.answer) for one in asked])
        if library.commands[index]:
            yield "command", iter([TextItem(Task.COMMAND, prompt_for(Task.COMMAND), library.commands[index])])
        for kind, task in _ABOUT_SCENES.items():
            yield kind, iter([TextItem(task, prompt_for(task))])
        for kind, task in _ABOUT_OBJECTS.items():
            if task is not Task.CAPTION or any(library.captions[index]):
                yield kind, iter([TextItem(task, prompt_for(task))] * self.settings.per_frame)

    def _captions(self, index: int, random: np.random.Generator) -> tuple[AgentCaption, ...]:
        known = [(agent, told) for agent, told in enumerate(self.library.captions[index]) if told is not None]
        places = random.permutation(len(known))[: self.settings.pairs]
        return tuple(AgentCaption(agent, told.final, told.motion) for agent, told in (known[p] for p in places))


def _taken(pool: list[TextItem], random: np.random.Generator) -> TextItem:
    """One of a pool, which then lacks it."""
    item = pool.pop(int(random.integers(len(pool))))
    return replace(item, pick=float(random.random()))
