"""What one reaches without a look at the scene: rows to compare an explainer's words with.

The most frequent texts are those of a training split. Where there is none, they are those of the other scenes of the
evaluated split, the frame's own left out (as `world.recorder.answer_prior` does), and the rows' names say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aln_p3_core.datasets.language_files import NU_X_FILE, QUESTIONS_FILE, find_language
from aln_p3_core.datasets.nu_x import Explanation, load_nu_x
from aln_p3_core.datasets.nuscenes_qa import QuestionAnswer, load_questions
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.language.hint_ad import explanation_scores
from aln_p3_core.evaluation.language.nuscenes_qa import Accuracy, prior_answers, question_accuracy

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.evaluation.language.captions import CaptionScores
    from aln_p3_core.evaluation.language.scores import LanguageScores

TRAIN = "train"
#: A row's name where the true texts are dealt out anew.
OTHER_FRAME = "true text of another frame"
_Text = TypeVar("_Text", Explanation, QuestionAnswer)


@dataclass(frozen=True, slots=True)
class KnownTexts(Generic[_Text]):
    """Texts that are known without a look at the scene.

    Attributes:
        texts: all of them. scenes: of each, by which those of the own scene are left out; "" in training texts.
        split: "" for training texts, else the evaluated split.
        file: that they come from; None where there are none.
    """

    texts: tuple[_Text, ...] = ()
    scenes: tuple[str, ...] = ()
    split: str = ""
    file: Path | None = None

    @property
    def suffix(self) -> str:
        """Of a row's name: "" for training texts."""
        return f", other scenes of {self.split}" if self.split else ""

    @property
    def note(self) -> str:
        """What a table tells beside: "" for training texts."""
        if self.file is None:
            return (
                " There is no row of what is most frequent: no training texts were found, and no text of another scene "
                "of the split; --train-texts ROOT names the root whose training texts shall be taken."
            )
        if not self.split:
            return ""
        return (
            " No training texts were found, so that what is most frequent is counted over the evaluated split without "
            "the frame's own scene; --train-texts ROOT names the root whose training texts shall be taken."
        )


@dataclass(frozen=True, slots=True)
class PriorTexts:
    """Texts of both kinds that priors are made of."""

    explanations: KnownTexts[Explanation] = field(default_factory=KnownTexts)
    questions: KnownTexts[QuestionAnswer] = field(default_factory=KnownTexts)


@dataclass(frozen=True, slots=True)
class Priors:
    """Rows to compare with, by name, and the texts that they were made of."""

    explanations: Mapping[str, Mapping[str, CaptionScores]]
    questions: Mapping[str, Mapping[str, Accuracy]]
    texts: PriorTexts

    def to_json(self) -> dict[str, Any]:
        """Numbers by row, and the files of the most frequent texts."""
        files = {"explanations": self.texts.explanations.file, "questions": self.texts.questions.file}
        return {
            "explanations": {name: scores_json(parts) for name, parts in self.explanations.items()},
            "questions": {name: accuracies_json(groups) for name, groups in self.questions.items()},
            "files": {kind: None if file is None else str(file) for kind, file in files.items()},
        }


def prior_texts(
    dataset: NuScenesDataset, split: str, texts: Path | None = None, train_texts: Path | None = None
) -> PriorTexts:
    """Texts of the training split, of each kind; else those of the evaluated split.

    Args:
        dataset: that is evaluated. split: likewise; its own texts are no training texts.
        texts: folder with the texts; None: those of the data set's root.
        train_texts: root or folder with the texts of a training; None: where the evaluated ones lie.

    Raises:
        DataError: for a broken file, or when the named folder has no training texts.
    """
    evaluated = find_language(texts or dataset.root, split)
    train = find_language(train_texts or texts or dataset.root, TRAIN)
    if train_texts is not None and train.nu_x is None and train.questions is None:
        names = " nor ".join(name.format(split=TRAIN) for name in (NU_X_FILE, QUESTIONS_FILE))
        raise DataError(
            f"{train_texts} has no texts of a training: neither it nor its folder language holds {names}; name the "
            "root that was trained on, or its folder of texts (--train-texts)"
        )
    scenes = {token: name for name in dataset.scenes for token in dataset.scene_tokens(name)}

    def known(
        train_file: Path | None, own: Path | None, load: Callable[[Path], Mapping[str, list[_Text]]]
    ) -> KnownTexts[_Text]:
        if train_file is not None and (own is None or train_file.resolve() != own.resolve()):
            said = [text for of_frame in load(train_file).values() for text in of_frame]
            return KnownTexts(tuple(said), ("",) * len(said), file=train_file)
        if own is None:
            return KnownTexts()
        rows = [(text, scenes.get(token, "")) for token, of_frame in load(own).items() for text in of_frame]
        if len({scene for _, scene in rows}) < 2:
            return KnownTexts()
        return KnownTexts(tuple(text for text, _ in rows), tuple(scene for _, scene in rows), split, own)

    return PriorTexts(
        known(train.nu_x, evaluated.nu_x, lambda file: {token: [said] for token, said in load_nu_x(file).items()}),
        known(train.questions, evaluated.questions, load_questions),
    )


def most_frequent(known: KnownTexts[Explanation], scenes: Sequence[str]) -> list[Explanation]:
    """The most frequent explanation for a frame of each scene; [] where one has none."""
    counts = Counter(known.texts)
    own: Mapping[str, Counter[Explanation]] = defaultdict(Counter)
    for text, scene in zip(known.texts, known.scenes, strict=True):
        own[scene][text] += 1

    def often(scene: str) -> Explanation | None:
        others = counts - own[scene] if known.split and scene else counts
        return min(others, key=lambda said: (-others[said], said.narration, said.reasoning)) if others else None

    by_scene = {scene: often(scene) for scene in dict.fromkeys(scenes)}
    found = [said for scene in scenes if (said := by_scene[scene]) is not None]
    return found if len(found) == len(scenes) else []


def priors_of(scores: LanguageScores, texts: PriorTexts) -> Priors:
    """Scores that take no look, for the frames and questions of an explainer's scores: the most frequent texts, and
    the true text of a frame half the set away."""
    return Priors(_explanations(scores, texts.explanations), _answers(scores, texts.questions), texts)


def moved(texts: list[Explanation]) -> list[Explanation]:
    """Each frame gets the text of the frame half the set away."""
    half = len(texts) // 2
    return [*texts[half:], *texts[:half]]


def scores_json(parts: Mapping[str, CaptionScores]) -> dict[str, Any]:
    """Numbers of caption scores by name."""
    return {name: {"protocol": found.protocol, "number": len(found), **found.corpus} for name, found in parts.items()}


def accuracies_json(groups: Mapping[str, Accuracy]) -> dict[str, Any]:
    """Numbers of accuracies by group."""
    return {name: asdict(group) | {"value": group.value} for name, group in groups.items()}


def _explanations(scores: LanguageScores, known: KnownTexts[Explanation]) -> dict[str, dict[str, CaptionScores]]:
    explained = scores.explanations
    if explained is None:
        return {}
    true = list(explained.true)
    often = f"most frequent text{known.suffix or ' of training'}"
    said = {often: most_frequent(known, explained.scenes), OTHER_FRAME: moved(true) if len(true) > 1 else []}
    return {name: explanation_scores(true, each, meteor="optional") for name, each in said.items() if each}


def _answers(scores: LanguageScores, known: KnownTexts[QuestionAnswer]) -> dict[str, dict[str, Accuracy]]:
    if not known.texts or not scores.asked:
        return {}
    titles = {"prior": "prior of type and hops", "question_prior": "prior of the question's words"}
    # Training texts are of other scenes anyway.
    scenes = (known.scenes, scores.asked_scenes) if known.split else ()
    guesses = prior_answers(known.texts, scores.asked, *scenes)
    return {titles[name] + known.suffix: question_accuracy(scores.asked, each) for name, each in guesses.items()}
