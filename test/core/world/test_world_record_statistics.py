"""Figures of a recorded root, the guessing of answers, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from aln_p3_core.commands.world_stats import command
from aln_p3_core.errors import DataError
from aln_p3_core.world.recorder.answer_prior import prior_table
from aln_p3_core.world.recorder.statistics import root_statistics


def question(scene: int, text: str, answer: str, kind: str = "exist", hops: int = 0) -> dict[str, object]:
    return {
        "sample_token": f"s{scene}",
        "question": text,
        "answer": answer,
        "num_hop": hops,
        "template_type": kind,
    }


SCENES = {f"s{k}": f"scene-{k}" for k in range(4)}


def test_a_guess_is_the_most_frequent_answer_in_training() -> None:
    train = [
        question(0, "any cars?", "yes"),
        question(0, "any cars?", "yes"),
        question(1, "any buses?", "no"),
        question(1, "how many?", "3", "count"),
    ]
    val = [
        question(2, "any cars?", "yes"),
        question(2, "any buses?", "no"),  # the type says yes, the text says no
        question(3, "how many?", "2", "count"),
        question(3, "what is it?", "car", "object", 1),  # nothing like it in training
    ]
    table = prior_table({"train": train, "val": val}, "val", SCENES)
    assert table["reference"] == "train" and table["count"] == 4
    assert table["answers"] == {"2": 1, "car": 1, "no": 1, "yes": 1}
    assert table["prior_accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert table["question_prior_accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert table["by_type"]["exist, 0 hops"]["prior_accuracy"] == 0.5
    assert table["by_type"]["object, 1 hop"]["prior_accuracy"] is None


def test_within_a_split_the_own_scene_is_left_out() -> None:
    asked = [question(0, "any cars?", "yes"), question(0, "any cars?", "yes"), question(1, "any cars?", "no")]
    table = prior_table({"mini": asked}, "mini", SCENES)
    # Scene 0 guesses "no" from scene 1, and scene 1 "yes" from scene 0: all wrong.
    assert table["reference"] == "mini" and table["prior_accuracy"] == table["question_prior_accuracy"] == 0.0
    alone = prior_table({"mini": asked[:2]}, "mini", SCENES)
    assert alone["prior_accuracy"] is None


def test_figures_of_a_root(recorded_root: Path) -> None:
    figures = root_statistics(recorded_root)["splits"]["mini"]
    assert (figures["scenes"], figures["key_frames"]) == (2, 8)
    boxes = json.loads((recorded_root / "v1.0-world" / "sample_annotation.json").read_text())
    assert figures["boxes"] == len(boxes) == sum(row["boxes"] for row in figures["categories"].values())
    assert sum(figures["distance_m"]["counts"]) == len(boxes)
    assert sum(figures["commands"].values()) == sum(figures["speed"]["counts"]) == 8
    assert sum(figures["causes"].values()) == sum(figures["maneuvers"].values()) == 8
    assert sum(figures["visibility"].values()) == len(boxes)
    assert figures["plan_sources"] == {"expert": 8} and figures["narration"]["entries"] == 8
    assert sum(figures["conditions"].values()) == sum(figures["scenarios"].values()) == 2
    questions = json.loads((recorded_root / "language" / "NuScenes_mini_questions.json").read_text())["questions"]
    assert figures["questions"]["count"] == len(questions)
    assert 0.0 < figures["questions"]["prior_accuracy"] < 0.9


def test_the_page(recorded_root: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(recorded_root), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "mini: 2 scenes, 8 key frames" in result.output and "guessing" in result.output
    page = (tmp_path / "index.html").read_text()
    for name in ("boxes", "motion", "decisions", "conditions", "answers"):
        picture = cv2.imread(str(tmp_path / f"{name}.png"))
        assert picture is not None and picture.std() > 5
        assert f"alt='{name}'" in page
    assert "vehicle.car" in page and "prior of the text" in page
    assert json.loads((tmp_path / "statistics.json").read_text())["splits"]["mini"]["scenes"] == 2


def test_a_root_without_tables_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scenes\.json is missing"):
        root_statistics(tmp_path)
