"""Parity of question answering with NuScenes-QA's evaluation: `check_nuscenes_qa(folder)`.

The folder holds questions.json (official layout), predictions.json ("answer_text") and expected.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aln_p3_core.datasets.nuscenes_qa import ANSWERS, load_questions
from aln_p3_core.evaluation.language.nuscenes_qa import question_accuracy
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json

FOLDER = "nuscenes_qa"


def check_nuscenes_qa(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line a row. Raises DataError naming a file that is missing or broken."""
    folder = Path(folder)
    by_sample = load_questions(folder / "questions.json")
    predictions, expected = read_json(folder / "predictions.json"), read_json(folder / "expected.json")
    tokens = [row["sample_token"] for row in read_json(folder / "questions.json")["questions"]]
    # Back in the file's order, in which the predictions are: each sample's questions come in theirs.
    waiting = {token: iter(questions) for token, questions in by_sample.items()}
    found = question_accuracy([next(waiting[token]) for token in tokens], predictions["answer_text"])
    named = [predictions["answer_list"][index] for index in predictions["answer_index"]]
    yield compare(FOLDER, "answers by index", [a == b for a, b in zip(named, predictions["answer_text"], strict=True)],
                  [True] * len(named))  # fmt: skip
    yield compare(FOLDER, "answers known", [a in ANSWERS for a in predictions["answer_list"]], [True] * len(ANSWERS))
    rows, pooled = expected["official_rows"], expected["derived_hop_pooled"]
    yield compare(FOLDER, "rows", [name in found for name in (*rows, *pooled)], [True] * (len(rows) + len(pooled)))
    yield compare(FOLDER, "number of rows", len(found), len(rows) + len(pooled))
    for name, row in rows.items():
        ours = [found[name].correct, found[name].total, round(100 * found[name].value, 2)]
        yield compare(FOLDER, name, ours, [row["correct"], row["total"], row["acc_percent_2dp"]], 1e-9)
    for name, row in pooled.items():
        ours = [found[name].correct, found[name].total, 100 * found[name].value]
        yield compare(FOLDER, name, ours, [row["correct"], row["total"], row["acc_percent"]], 1e-9)
