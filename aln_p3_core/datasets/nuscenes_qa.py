"""NuScenes-QA: questions about a key frame with short answers (arXiv 2305.14836).

The file is `{"questions": [{split, sample_token, question, answer, num_hop, template_type}]}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.language_files import AS_PUBLISHED, read_json, text_field
from aln_p3_core.errors import DataError

#: Every answer of the published set.
ANSWERS = (
    *(str(count) for count in range(11)),
    *("yes", "no"),
    *("barrier", "bicycle", "bus", "car", "construction vehicle", "motorcycle", "pedestrian", "traffic cone"),
    *("trailer", "truck"),
    *("moving", "parked", "stopped", "standing", "not standing", "with rider", "without rider"),
)


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """A question with its answer.

    Attributes:
        question, answer: the texts; a count is a text too ("3").
        num_hop: 0, or 1 where an object is named by its relation to another.
        template_type: "exist", "count", "object", "status" or "comparison".
    """

    question: str
    answer: str
    num_hop: int
    template_type: str


def load_questions(path: str | Path) -> dict[str, list[QuestionAnswer]]:
    """Questions by sample token, in the file's order.

    Raises:
        DataError: naming the file, and the question whose entry is broken.
    """
    content = read_json(path)
    rows = content.get("questions") if isinstance(content, Mapping) else None
    if not isinstance(rows, list):
        raise DataError(f'{path} must hold {{"questions": [...]}}; {AS_PUBLISHED}')
    found: dict[str, list[QuestionAnswer]] = {}
    for number, row in enumerate(rows):
        token = text_field(path, f"question {number}", row, "sample_token")
        found.setdefault(token, []).append(_question(path, f"question {number} (sample {token})", row))
    return found


def _question(path: str | Path, entry: str, row: Mapping[str, Any]) -> QuestionAnswer:
    # Counts are numbers in some rows of the published files and texts in others.
    if not isinstance(row.get("answer"), str | int) or not isinstance(row.get("num_hop"), int | str):
        raise DataError(f"{path}: {entry} has no answer or no num_hop; {AS_PUBLISHED}")
    try:
        num_hop = int(row["num_hop"])
    except ValueError:
        raise DataError(f"{path}: {entry} has num_hop {row['num_hop']!r}, no number; {AS_PUBLISHED}") from None
    question, kind = (text_field(path, entry, row, name) for name in ("question", "template_type"))
    return QuestionAnswer(question, str(row["answer"]), num_hop, kind)
