"""DriveLM-nuScenes: questions and answers about key objects, in four steps of driving (arXiv 2312.14150).

The file is `{scene_token: {"key_frames": {sample_token: {"QA": {step: [{"Q", "A", ...}]}, ...}}}}`. Objects are named
by tags such as `<c1,CAM_FRONT,714.3,503.6>` within the texts: number, camera, pixel of the box's centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.datasets.language_files import read_json, rows_by_token, text_field
from aln_p3_core.errors import DataError

#: Steps of driving that questions belong to, in their order.
TOPICS = ("perception", "prediction", "planning", "behavior")


@dataclass(frozen=True, slots=True)
class DriveLmQuestion:
    """A question with its answer, texts with object tags in them."""

    question: str
    answer: str


def load_drivelm(path: str | Path) -> dict[str, tuple[DriveLmQuestion, ...]]:
    """Questions that have an answer by sample token, in the file's order; the published validation file has none.

    Raises:
        DataError: naming the file, and the scene, sample or question whose entry is broken.
    """
    found: dict[str, tuple[DriveLmQuestion, ...]] = {}
    for scene_token, scene in rows_by_token(path, read_json(path), "scene token").items():
        key_frames = scene.get("key_frames") if isinstance(scene, Mapping) else None
        if not isinstance(key_frames, Mapping):
            raise DataError(f"{path}: scene {scene_token} has no key_frames; {_layout()}")
        for token, frame in key_frames.items():
            questions = _questions(path, token, frame)
            if questions:
                found[token] = questions
    return found


def _questions(path: str | Path, token: str, frame: object) -> tuple[DriveLmQuestion, ...]:
    asked = frame.get("QA") if isinstance(frame, Mapping) else None
    if not isinstance(asked, Mapping):
        raise DataError(f"{path}: sample {token} has no QA; {_layout()}")
    found = []
    for topic, rows in asked.items():
        if topic not in TOPICS or not isinstance(rows, list):
            raise DataError(f"{path}: sample {token} has QA under {topic!r}, not {', '.join(TOPICS)}; {_layout()}")
        for number, row in enumerate(rows):
            entry = f"sample {token}, {topic} question {number}"
            question = text_field(path, entry, row, "Q")
            answer = text_field(path, entry, row, "A") if row.get("A") is not None else ""
            if answer.strip():
                found.append(DriveLmQuestion(question, answer))
    return tuple(found)


def _layout() -> str:
    return "this reads version 1.1 of DriveLM-nuScenes (v1_1_train_nus.json)"
