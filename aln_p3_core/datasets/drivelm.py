"""DriveLM-nuScenes: questions and answers about key objects, in four steps of driving (arXiv 2312.14150).

The file is `{scene_token: {"scene_description", "key_frames": {sample_token: {"key_object_infos", "QA", ...}}}}`.
Objects are named by tags such as `<c1,CAM_FRONT,714.3,503.6>`: number, camera, pixel of the box's centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.language_files import AS_PUBLISHED, read_json, rows_by_token, text_field
from aln_p3_core.errors import DataError

#: Steps of driving that questions belong to, in their order.
TOPICS = ("perception", "prediction", "planning", "behavior")


@dataclass(frozen=True, slots=True)
class KeyObject:
    """An object that questions speak of.

    Attributes:
        tag: "<c1,CAM_FRONT,714.3,503.6>". category, status, description: as annotated; "" where not given.
        box_2d: x1, y1, x2, y2 in pixels of the full image; None where not given.
    """

    tag: str
    category: str
    status: str
    description: str
    box_2d: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class DriveLmQuestion:
    """A question with its answer ("" in the published validation file, which keeps its answers back).

    Attributes:
        topic: of TOPICS. question, answer: texts with object tags in them.
        metrics: of the challenge: 0 accuracy, 1 judged by a language model, 2 language scores, 3 matching of tags.
    """

    topic: str
    question: str
    answer: str
    metrics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DriveLmFrame:
    """What is asked about one key frame; `description` is of the whole scene, "" where not given."""

    scene_token: str
    description: str
    objects: tuple[KeyObject, ...]
    questions: tuple[DriveLmQuestion, ...]


def load_drivelm(path: str | Path) -> dict[str, DriveLmFrame]:
    """Key frames by sample token.

    Raises:
        DataError: naming the file, and the scene, sample or question whose entry is broken.
    """
    frames: dict[str, DriveLmFrame] = {}
    for scene_token, scene in rows_by_token(path, read_json(path), "scene token").items():
        key_frames = scene.get("key_frames") if isinstance(scene, Mapping) else None
        if not isinstance(key_frames, Mapping):
            raise DataError(f"{path}: scene {scene_token} has no key_frames; {_layout()}")
        description = str(scene.get("scene_description") or "")
        for token, frame in key_frames.items():
            frames[token] = _frame(path, scene_token, description, token, frame)
    return frames


def _frame(path: str | Path, scene_token: str, description: str, token: str, frame: object) -> DriveLmFrame:
    asked = frame.get("QA") if isinstance(frame, Mapping) else None
    if not isinstance(frame, Mapping) or not isinstance(asked, Mapping):
        raise DataError(f"{path}: sample {token} has no QA; {_layout()}")
    questions = []
    for topic, rows in asked.items():
        if topic not in TOPICS or not isinstance(rows, list):
            raise DataError(f"{path}: sample {token} has QA under {topic!r}, not {', '.join(TOPICS)}; {_layout()}")
        for number, row in enumerate(rows):
            entry = f"sample {token}, {topic} question {number}"
            question, answer = (text_field(path, entry, row, name) for name in ("Q", "A"))
            questions.append(DriveLmQuestion(topic, question, answer, tuple(map(int, row.get("tag") or ()))))
    objects = frame.get("key_object_infos") or {}
    if not isinstance(objects, Mapping):
        raise DataError(f"{path}: key_object_infos of sample {token} is no object by tag; {_layout()}")
    things = tuple(_key_object(path, token, tag, row) for tag, row in objects.items())
    return DriveLmFrame(scene_token, description, things, tuple(questions))


def _key_object(path: str | Path, token: str, tag: str, row: Mapping[str, Any]) -> KeyObject:
    try:
        box = row.get("2d_bbox")
        x1, y1, x2, y2 = (float(v) for v in box) if box is not None else (0.0,) * 4
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: sample {token}, object {tag} is broken ({error!r}); {AS_PUBLISHED}") from error
    category, status, description = (str(row.get(name) or "") for name in ("Category", "Status", "Visual_description"))
    return KeyObject(tag, category, status, description, None if box is None else (x1, y1, x2, y2))


def _layout() -> str:
    return "this reads version 1.1 of DriveLM-nuScenes (v1_1_train_nus.json)"
