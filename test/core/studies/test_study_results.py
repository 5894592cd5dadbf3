"""From reports to rows, tests and the table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from study_helpers import made_up_rows, small_study
from study_reports import planning_results, write_report

from aln_p3_core.studies.measures import MEASURES, read_drives, read_report
from aln_p3_core.studies.plan import plan_text
from aln_p3_core.studies.plots import draw_study
from aln_p3_core.studies.results import StudyResults, analyse, to_json
from aln_p3_core.studies.rows import collect, failed_row, rows_of_run
from aln_p3_core.studies.steps import Run, planned_runs
from aln_p3_core.studies.table import table_text
from aln_p3_core.whole_files import write_json


def results_with(effects: dict[str, float], **changes: object) -> StudyResults:
    study = small_study(**changes)
    return analyse(study, *made_up_rows(study, effects))


def test_measures_are_read_from_a_report(tmp_path: Path) -> None:
    write_report(tmp_path, planning=planning_results(0.004), language={
        "driver": {"given": {"measures": {"qa_accuracy": 0.5}, "by_scene": {"qa_accuracy": {"a": [2, 4]}}}}
    })  # fmt: skip
    results = read_report(tmp_path)
    collision = MEASURES["collision_vad"]
    # The driver's own row, not the baselines', and not the one without ego status.
    assert collision.read(results, "given") == pytest.approx(0.4)
    assert collision.read(results, "none") == pytest.approx(0.8)
    assert collision.read_scenes(results, "given") == {"a": (pytest.approx(1.2), 3), "b": (pytest.approx(0.4), 1)}
    assert MEASURES["qa_accuracy"].read(results, "given") == 50.0
    assert MEASURES["qa_accuracy"].read_scenes(results, "given") == {"a": (200.0, 4.0)}
    # Not measured: None, never 0.
    assert MEASURES["qa_accuracy"].read(results, "none") is None
    assert MEASURES["nds"].read(results, "given") is None


def test_closed_loop_is_read_by_route(tmp_path: Path) -> None:
    from aln_p3_core.world.closed_loop.statistics import summarise

    (tmp_path / "routes" / "last").mkdir(parents=True)
    reports = []
    for name, score, hits in (("a", 100.0, 0), ("b", 40.0, 2)):
        zero = dict.fromkeys(("red_light", "off_road", "wrong_way", "blocked", "route_deviation", "time_out"), 0)
        measures = {
            "driving_score": score, "success": score == 100, "success_own_fault": True, "route_completion": 90.0,
            "outside_share": 0.0, "counts": zero, "own_fault_collisions": hits, "lights_passed": 0, "comfort": 1.0,
            "collisions": {"pedestrian": 0, "cyclist": 0, "vehicle": hits, "static": 0}, "critical_ttc_share": 0.0,
            "min_ttc_s": None, "mean_speed": 5.0, "distance_m": 100.0, "duration_s": 20.0,
        }  # fmt: skip
        reports.append({"planner": "last", "repetition": 0, "episode": {"name": name, "scenario": "x"},
                        "measures": measures})  # fmt: skip
        (tmp_path / "routes" / "last" / f"{name}.json").write_text(json.dumps(reports[-1]))
    summary = {"groups": [group.to_json() for group in summarise(reports)]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    results = read_drives(tmp_path)
    assert MEASURES["driving_score"].read(results, "given") == 70.0
    assert MEASURES["driving_score"].read_scenes(results, "given") == {"a": (100.0, 1.0), "b": (40.0, 1.0)}
    # A total in the campaign's table; here a mean over routes, which compares whatever their number.
    assert MEASURES["collisions"].read(results, "given") == 1.0
    assert MEASURES["driving_score"].read(results, "none") is None


def test_rows_carry_what_they_were_made_with(tmp_path: Path) -> None:
    run = planned_runs(small_study(), tmp_path)[0]
    write_report(run.folder / "evaluate_val", planning=planning_results(0.004))
    (run.folder / "train").mkdir()
    card = {"state": "finished", "step": 2, "hardware": {"commit": "abc", "cpu": "a cpu", "cores": 2},
            "training": {"run": {"precision": "fp32"}}}  # fmt: skip
    (run.folder / "train" / "run.json").write_text(json.dumps(card))
    rows, scenes = rows_of_run(run, {"train": 12.5})
    assert [(row["split"], row["command"]) for row in rows] == [("val", "given"), ("val", "none")]
    given = rows[0]
    assert given["measures"] == {"collision_vad": 0.4, "l2_vad": 50.0 / 100}
    assert (given["study"], given["study_hash"], given["variant"], given["seed"]) == (
        "small",
        run.study.hash,
        "none",
        0,
    )
    assert (given["commit"], given["evaluation_commit"]) == ("abc", "def")
    assert given["hardware"] == {"cpu": "a cpu", "cores": 2} and given["dtype"] == {"train": "fp32"}
    assert given["evaluation_dtype"] == "fp32 on cpu" and given["seconds"] == {"train": 12.5}
    assert scenes["none 0 val given"]["collision_vad"] == {"a": [1.2, 3.0], "b": [0.4, 1.0]}


def test_rows_of_another_study_and_broken_files_do_not_count(tmp_path: Path) -> None:
    runs = planned_runs(small_study(), tmp_path)
    write_json(_made(runs[0]) / "rows.json", {"hash": "other", "rows": [{}], "scenes": {}})
    (_made(runs[1]) / "rows.json").write_text('{"hash": ')
    write_json(_made(runs[2]) / "failed.json", {"step": "train", "reason": "no memory"})
    rows, _ = collect(runs)
    assert [(row["variant"], row["state"], row["reason"]) for row in rows] == [
        (runs[2].variant.name, "failed", "train: no memory")
    ]


def _made(run: Run) -> Path:
    run.folder.mkdir(parents=True, exist_ok=True)
    return run.folder


def test_a_difference_is_found_and_named() -> None:
    found = results_with({"all": -1.0, "alone": 0.0})
    comparison = found.find("all", "none", "collision_vad")
    assert comparison is not None and comparison.estimate is not None
    assert comparison.verdict == "better" and comparison.estimate.value == pytest.approx(-1.0, abs=0.1)
    # Two planned tests: the language measure is missing, and counts.
    assert comparison.tests == 2 and comparison.p_corrected == pytest.approx(2 * comparison.estimate.p)
    assert comparison.detectable_corrected > comparison.detectable
    assert comparison.percent(comparison.estimate.value) == pytest.approx(
        100 * comparison.estimate.value / comparison.reference_mean
    )
    missing = found.find("all", "none", "qa_accuracy")
    assert missing is not None and missing.estimate is None and missing.verdict == "not measured"
    # A variant without words has no test of words at all.
    assert found.find("alone", "none", "qa_accuracy") is None
    alone = found.find("alone", "none", "collision_vad")
    assert alone is not None and alone.verdict == "no difference shown" and alone.tests == 1
    assert results_with({"all": 1.0}).find("all", "none", "collision_vad").verdict == "worse"  # type: ignore[union-attr]


def test_the_table_says_what_is_missing_and_what_failed() -> None:
    study = small_study()
    rows, scenes = made_up_rows(study, {"all": -1.0})
    run = Run(study, study.variant("all"), 2, Path("nowhere"))
    kept = [row for row in rows if (row["variant"], row["seed"]) != ("all", 2)]
    text = table_text(analyse(study, [*kept, failed_row(run, "train", "no memory left")], scenes), "aln-p3 ablate x")
    assert f"hash `{study.hash}`" in text and "`aln-p3 ablate x`" in text
    assert "- all, seed 2: train: no memory left" in text
    tests = [line for line in text.splitlines() if line.startswith("| collision (vad), % | all, none | 2 |")]
    assert len(tests) == 1 and "better" in tests[0] and "-27 %" in tests[0]
    assert any(line.startswith("| QA accuracy, % | all, none |") and "not measured" in line
               for line in text.splitlines())  # fmt: skip
    assert "| none | 3 |" in text and "| all | 2 |" in text
    assert "nan" not in text


def test_an_empty_study_has_a_table_too(tmp_path: Path) -> None:
    results = analyse(small_study(), [], {})
    assert "not measured" in table_text(results, "x")
    assert draw_study(results, tmp_path) == []
    assert json.loads(json.dumps(to_json(results)))["means"] == []


def test_json_holds_what_a_pilot_needs() -> None:
    tree = to_json(results_with({"all": -1.0}))
    comparison = next(c for c in tree["comparisons"] if c["variant"] == "all" and c["measure"] == "collision_vad")
    assert comparison["seed_sd"] >= 0 and comparison["scene_error"] > 0 and comparison["scenes"] == 12
    assert set(comparison["by_seed"]) == {"0", "1", "2"}
    json.dumps(tree, allow_nan=False)


def test_the_plan_tells_what_can_be_detected() -> None:
    assert "No pilot" in plan_text(small_study())
    text = plan_text(small_study(pilot={"collision_vad": {"seed_sd": 0.3, "scene_error": 0.0}}))
    # Three seeds: 0.3 / sqrt(3) times 5.65, of a non-central t distribution with two degrees; with two tests 8.02.
    expected = [0.3 / math.sqrt(3) * errors for errors in (5.65, 8.02)]
    assert f"| confirmatory | all, none | 3 | {expected[0]:.2f} and {expected[1]:.2f} |" in text


def test_pictures_are_drawn(tmp_path: Path) -> None:
    import cv2

    drawn = draw_study(results_with({"all": -1.0}), tmp_path)
    assert [path.name for path in drawn] == ["seeds.png", "differences.png", "forest.png"]
    for path in drawn:
        picture = cv2.imread(str(path))
        assert picture is not None and np.ptp(picture) > 150  # not blank; who drew before may have set other colours
