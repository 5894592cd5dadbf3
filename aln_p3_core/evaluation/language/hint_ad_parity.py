"""Parity with Hint-AD's scorers, of both sub-projects: `check_hint_ad(folder)`.

The folder holds caption_results.json ([[questions], [answers], [truths]] batches) and expected.json (by sub-project).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aln_p3_core.evaluation.language.captions import CaptionScores, caption_scores
from aln_p3_core.evaluation.language.captions_parity import FILE_NAMES
from aln_p3_core.evaluation.language.hint_ad import Item, command_accuracy, released_part, released_questions
from aln_p3_core.evaluation.language.hint_ad_alignment import (
    AlignmentErrors,
    Project,
    count_errors,
    motion_errors,
    plan_errors,
    position_errors,
)
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json

FOLDER = "hint_ad"
_TOLERANCE = 1e-9
_PROJECTS: tuple[Project, ...] = ("Hint_VAD", "Hint-UniAD")
# The released names of the errors: the mean's, and that of the list of all items.
_MEANS = {
    ("count", "count"): ("mean_count_disalignment", "diff_list"),
    ("position", "distance"): ("mean_distance_disalignment", "distance_diff_list"),
    ("position", "direction"): ("mean_direction_disalignment", "direction_diff_list"),
    ("position", "position"): ("mean_position_disalignment", "position_diff_list"),
    ("motion", "speed"): ("mean_velocity_disalignment", "velocity_diff_list"),
    ("motion", "direction"): ("mean_velocity_direction_disalignment", "direction_diff_list"),
    ("motion", "motion"): ("mean_motion_disalignment", "motion_diff_list"),
}


def check_hint_ad(folder: str | Path) -> Iterator[MetricLine]:
    """Compares both sub-projects, a line each number.

    Raises:
        DataError: naming a file that is missing or broken.
        ConfigError: without Java or pycocoevalcap.
    """
    folder = Path(folder)
    batches = read_json(folder / "caption_results.json")
    items = [Item(*texts) for batch in batches for texts in zip(*batch, strict=True)]
    by_task: dict[str, list[Item]] = {}
    for item in items:
        by_task.setdefault(item.tags[0], []).append(item)
    captions = {
        "Scoring Narration": caption_scores(*released_part(by_task["caption"], "Narration")),
        "Scoring Reasoning": caption_scores(*released_part(by_task["caption"], "Reasoning")),
        "Scoring tod3": caption_scores([i.truth for i in by_task["tod3"]], [i.answer for i in by_task["tod3"]]),
    }
    for project in _PROJECTS:
        golden = read_json(folder / "expected.json")[project]
        for title, scores in captions.items():
            yield from _captions(f"{project} {title}", scores, golden[title])
        for hop, (value, count) in released_questions(by_task["QA"]).items():
            yield _line(f"{project} {hop}", value, golden["Scoring Q&A"][f"{hop} Acc"])
            yield _line(f"{project} {hop} count", count, golden["Scoring Q&A"][f"{hop}_count"])
        commands = by_task["command"]
        found = command_accuracy([i.truth for i in commands], [i.answer for i in commands], as_released=True)
        assert found is not None
        for ours, name in ((found.both, "command"), (found.direction, "direction"), (found.speed, "velocity")):
            yield _line(f"{project} Acc of {name}", ours, golden["Scoring command"][f"Acc of {name}"])
        yield from _alignment(project, by_task, golden)


def _alignment(
    project: Project, by_task: Mapping[str, Sequence[Item]], golden: Mapping[str, Any]
) -> Iterator[MetricLine]:
    means, per_item = golden["Scoring align"], golden["per_item"]
    found: dict[str, AlignmentErrors] = {
        "count": count_errors(by_task["align_count"], project),
        "position": position_errors(by_task["align_position"], project),
        "motion": motion_errors(by_task["align_motion"], project),
    }
    for (task, name), (mean, items) in _MEANS.items():
        yield _line(f"{project} {mean}", found[task].means()[name], means[mean])
        yield compare(FOLDER, f"{project} {task} {items}", found[task].errors[name], per_item[task][items], _TOLERANCE)
    plans = plan_errors(by_task["align_plan"], project)
    yield _line(f"{project} mean_trajectory_disalignment", plans.means()["plan"], means["mean_trajectory_disalignment"])
    items = "mean_distances" if project == "Hint_VAD" else "trajectory_diff_list"
    yield compare(FOLDER, f"{project} plan {items}", plans.errors["plan"], per_item["plan"][items], _TOLERANCE)


def _captions(title: str, scores: CaptionScores, golden: Mapping[str, float]) -> Iterator[MetricLine]:
    for key, name in FILE_NAMES.items():
        yield _line(f"{title} {name}", scores.corpus[key], golden["Cider" if name == "CIDEr" else name])


def _line(name: str, ours: float | None, expected: float) -> MetricLine:
    return compare(FOLDER, name, ours, expected, _TOLERANCE)
