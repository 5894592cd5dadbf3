"""Running a study: to the end, broken off, failing, refused. Trainings are those of `stand_in`, processes are real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from study_helpers import small_study, small_tree

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.errors import ConfigError
from aln_p3_core.studies import steps
from aln_p3_core.studies.steps import Options, Run, planned_runs, steps_of
from aln_p3_core.studies.study import find_roots, open_study

_HERE = Path(__file__).resolve().parent
_STAND_IN = [sys.executable, str(_HERE / "stand_in.py")]
# `aln-p3 ablate` with the stand-in for what it calls.
_ABLATE = """
import sys
from aln_p3_core.studies import steps
steps._aln_p3 = lambda name: [sys.executable, STAND_IN, name]
from aln_p3_core.cli import CORE_COMMANDS, make_cli
make_cli(CORE_COMMANDS)(prog_name="aln-p3")
"""

Ablate = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working directory with a study file and its data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "_aln_p3", lambda name: [*_STAND_IN, name])
    (tmp_path / "out/world/v1.0-mini").mkdir(parents=True)
    (tmp_path / "out/world/v1.0-mini/scene.json").write_text("[]")
    _write(tmp_path)
    return tmp_path


@pytest.fixture
def ablate(place: Path) -> Ablate:
    """Calls the command on the study of `place`."""
    return lambda *arguments: CliRunner().invoke(
        make_cli(CORE_COMMANDS), ["ablate", "small.yaml", "--out", "study", "--threads", "1", *arguments]
    )


def _write(place: Path, **changes: Any) -> None:
    (place / "small.yaml").write_text(yaml.safe_dump(small_tree(**changes), sort_keys=False))


def _rows(place: Path) -> list[dict[str, Any]]:
    return json.loads((place / "study" / "ablation.json").read_text())


def _counted(place: Path, variant: str, seed: int) -> list[int]:
    file = place / "study" / "runs" / variant / f"seed_{seed}" / "train" / "counted"
    return [int(line) for line in file.read_text().split()]


def test_results_of_other_data_are_not_taken(ablate: Ablate, place: Path) -> None:
    assert ablate("--seeds", "0", "--results", "far").exit_code == 0
    shutil.rmtree(place / "study")
    (place / "out/world/v1.0-mini/scene.json").write_text("[{}]")
    other = ablate("--table", "--take", "far")
    assert other.exit_code == 1 and "made with other data" in other.output


def test_the_same_data_recorded_elsewhere_are_taken_when_that_is_said(ablate: Ablate, place: Path) -> None:
    assert ablate("--seeds", "0", "--results", "far").exit_code == 0
    shutil.rmtree(place / "study")
    (place / "out/world/v1.0-mini/scene.json").write_text("[{}]")
    refused = ablate("--seeds", "0,1", "--take", "far")
    hint = " ".join(refused.output.split("say so: ")[1].split())
    mark = hint.removeprefix("--same-data world=")
    assert json.loads((place / "far/ablation.json").read_text())[0]["data"] == {"world": mark}
    taken = ablate("--seeds", "0,1", "--take", "far", "--same-data", "world=other", *hint.split())
    assert taken.exit_code == 0 and "3 trainings taken from far" in taken.output, taken.output
    # Every row keeps the mark of what it was measured on, and the table names both.
    marks = {row["seed"]: row["data"]["world"] for row in _rows(place)}
    assert marks[0] == mark != marks[1] and f"world {mark}" in taken.output and f"world {marks[1]}" in taken.output


def test_a_study_runs_to_its_table_and_is_not_run_twice(ablate: Ablate, place: Path) -> None:
    result = ablate("--jobs", "2")
    assert result.exit_code == 0, result.output
    rows = _rows(place)
    finished = {(row["variant"], row["seed"], row["command"]) for row in rows if row["state"] == "finished"}
    assert len(finished) == 2 * (3 + 3 + 2)
    assert {row["study_hash"] for row in rows} == {small_study().hash}
    assert rows[0]["seconds"]["train"] == 7.5 and rows[0]["commit"] == "abc"
    study = place / "study"
    assert "all, none | 3 | -1.00" in (study / "table.md").read_text()
    scenes = json.loads((study / "ablation_scenes.json").read_text())
    assert scenes["all 1 val given"]["collision_vad"]["a"] == [pytest.approx(3.3), 3]
    for name in ("ablation_tests.json", "plan.md", "study.yaml", "seeds.png", "differences.png", "forest.png"):
        assert (study / name).is_file(), name
    # What only goes on from is gone, what was measured is there.
    run = study / "runs" / "all" / "seed_0"
    assert sorted(p.name for p in (run / "train").glob("*.safetensors")) == ["last.safetensors"]
    assert not (run / "train" / "checkpoints").exists() and not (run / "evaluate_val" / "predictions").exists()
    again = ablate()
    assert again.exit_code == 0 and "8 of them measured; 0 steps left" in again.output
    assert _counted(place, "all", 0) == [1, 2, 3, 4, 5]


def test_the_table_of_what_there_is_so_far_is_no_failure(ablate: Ablate, place: Path) -> None:
    assert ablate("--only", "none", "--seeds", "0").exit_code == 0
    shown = ablate("--table")
    assert shown.exit_code == 0 and "1 of 8 trainings are measured" in shown.output, shown.output
    everything = ablate("--table", "--only", "none")
    assert everything.exit_code == 0 and "have no rows" not in everything.output


def test_a_driver_to_begin_with_that_is_missing_is_told_at_once(ablate: Ablate, place: Path) -> None:
    training = small_tree()["training"] | {"init": "gone.safetensors"}
    _write(place, training=training)
    result = ablate()
    assert result.exit_code == 1 and "training.init of study small: there is no file gone.safetensors" in result.output
    assert not (place / "study").exists()


def test_results_that_cannot_be_written_are_told_at_once(ablate: Ablate, place: Path) -> None:
    (place / "file").write_text("in the way")
    for option in ("--results", "--cache"):
        result = ablate(option, "file/results")
        assert result.exit_code == 2 and "is no folder" in result.output
    assert not (place / "study").exists()


def test_machines_share_a_study_by_their_results(ablate: Ablate, place: Path) -> None:
    assert ablate("--seeds", "0", "--results", "far").exit_code == 0
    shutil.rmtree(place / "study")
    taken = ablate("--seeds", "0,1", "--take", "far")
    assert taken.exit_code == 0 and "3 trainings taken from far" in taken.output, taken.output
    assert not (place / "study/runs/all/seed_0/train").exists() and (place / "study/runs/all/seed_1/train").exists()
    assert {(row["variant"], row["seed"]) for row in _rows(place)} == {
        (variant, seed) for variant in ("none", "all", "alone") for seed in (0, 1)
    }
    assert "0 trainings taken" in ablate("--table", "--take", "far").output
    _write(place, title="Another question?")
    other = ablate("--new", "--table", "--take", "far")
    assert other.exit_code == 1 and "are of the study" in other.output
    empty = ablate("--table", "--new", "--take", "out")
    assert empty.exit_code == 1 and "holds no results of a study" in empty.output


def test_a_changed_variant_costs_its_own_results_only(ablate: Ablate, place: Path) -> None:
    assert ablate("--seeds", "0", "--results", "far").exit_code == 0
    before = small_study().hash
    variants = small_tree()["variants"]
    variants["all"] |= {"settings": {"losses.plan": 3.0}}
    variants["none"] |= {"description": "in other words"}
    _write(place, variants=variants)
    taken = ablate("--new", "--table", "--take", "far")
    assert taken.exit_code == 0 and "2 trainings taken from far" in taken.output, taken.output
    assert (
        f"2 of 8 trainings are measured, 2 of them before other variants were changed (hash `{before}`)" in taken.output
    )
    assert {row["variant"] for row in _rows(place)} == {"none", "alone"}


def test_a_failed_training_is_told_and_the_study_goes_on(ablate: Ablate, place: Path) -> None:
    (place / "crash").write_text("all/seed_1")
    result = ablate("--jobs", "2")
    assert result.exit_code == 1 and "1 of 8 trainings have no rows: all, seed 1" in result.output
    failed = [row for row in _rows(place) if row["state"] == "failed"]
    assert [(row["variant"], row["seed"], row["measures"]) for row in failed] == [("all", 1, {})]
    assert failed[0]["reason"].startswith("train: the loss is not finite at step 3 (exit code 1")
    table = (place / "study" / "table.md").read_text()
    assert "- all, seed 1: train: the loss is not finite" in table and "all, none | 2 | -1.00" in table
    assert "1 of 8 trainings failed: all, seed 1" in (shown := ablate("--table")).output and shown.exit_code == 1
    # It is not tried again unless that is asked for.
    (place / "crash").unlink()
    assert ablate().exit_code == 1
    assert ablate("--retry").exit_code == 0
    assert all(row["state"] == "finished" for row in _rows(place))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_study_that_is_ended_goes_on(ablate: Ablate, place: Path, number: signal.Signals) -> None:
    (place / "slow").write_text("1.0")
    script = _ABLATE.replace("STAND_IN", repr(str(_HERE / "stand_in.py")))
    arguments = ["ablate", "small.yaml", "--out", "study", "--only", "none", "--seeds", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env=os.environ | {"PYTHONPATH": str(_root())}
    )
    counted = place / "study" / "runs" / "none" / "seed_0" / "train" / "counted"
    until = time.monotonic() + 60
    while not counted.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == (128 + number if number == signal.SIGTERM else -number)
    (place / "slow").write_text("0")
    result = ablate("--only", "none", "--seeds", "0")
    assert result.exit_code == 0, result.output
    # Every step was counted once: it went on where it was broken off.
    assert _counted(place, "none", 0) == [1, 2, 3, 4, 5]
    assert not [row for row in _rows(place) if row["state"] == "failed"]


def test_a_changed_file_or_other_data_are_refused(ablate: Ablate, place: Path) -> None:
    assert ablate("--only", "none", "--seeds", "0").exit_code == 0
    tree = small_tree()
    tree["variants"]["all"]["settings"]["losses.plan"] = 9.0
    (place / "small.yaml").write_text(yaml.safe_dump(tree))
    result = ablate("--only", "none", "--seeds", "0")
    assert result.exit_code == 1 and "the study file changed since it began" in result.output
    assert "--new" in result.output and len(_rows(place)) == 2
    assert ablate("--only", "none", "--seeds", "0", "--new").exit_code == 0
    earlier = list((place / "study" / "earlier").iterdir())
    assert len(earlier) == 1 and (earlier[0] / "runs" / "none").is_dir() and (earlier[0] / "ablation.json").is_file()
    (place / "out/world/v1.0-mini/scene.json").write_text("[{}]")
    result = ablate()
    assert result.exit_code == 1 and "the data changed since it began (world)" in result.output


def test_moved_data_are_the_same_data(place: Path, ablate: Ablate) -> None:
    assert ablate("--only", "none", "--seeds", "0").exit_code == 0
    (place / "out/world").rename(place / "moved")
    assert "no data world" in ablate().output
    assert ablate("--only", "none", "--seeds", "0", "--data", "world=moved").exit_code == 0


def test_a_dry_run_tells_commands_and_cost_and_writes_nothing(ablate: Ablate, place: Path) -> None:
    result = ablate("--dry-run", "--only", "all")
    assert result.exit_code == 0, result.output
    assert "Confirmatory (2 tests): all against none" in result.output
    assert "--set losses.plan=2.0 --set run.seed=2" in result.output
    assert "3 trainings, 0 of them measured; 6 steps left: not known" in result.output
    assert not (place / "study").exists()
    _write(place, cost={"train": 3000, "evaluate_val": 600})
    assert "about 3.0 h with 1 at a time" in ablate("--dry-run", "--only", "all").output
    assert "about 1.5 h with 2 at a time" in ablate("--dry-run", "--only", "all", "--jobs", "2").output


def test_a_precision_that_this_machine_is_slow_at_is_told_beside_the_cost(
    ablate: Ablate, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aln_p3_core import device

    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_cpu_flags", set)
    assert "note:" not in ablate("--dry-run").output
    training = small_tree()["training"]
    _write(place, training=training | {"settings": training["settings"] | {"run.precision": "bf16"}})
    assert ablate("--dry-run").output.count("note: this CPU computes bf16 slower") == 1


def test_two_processes_share_a_study(place: Path, ablate: Ablate) -> None:
    """A run that another process works on is left to it."""
    import fcntl

    from aln_p3_core.studies.runner import Stop, run_all

    study = small_study()
    run = planned_runs(study, place / "study")[0]
    run.folder.mkdir(parents=True)
    told: list[str] = []
    with (run.folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stop = Stop()
        run_all([run], Options({"world": place}), retry=False, tell=told.append, stop=_stopping(stop))
    assert told == ["none, seed 0: another process works on it"] and not (run.folder / "train").exists()


def _stopping(stop: Any) -> Any:
    import threading

    threading.Timer(0.3, stop).start()
    return stop


def test_unknown_names_are_refused(place: Path, ablate: Ablate) -> None:
    for arguments, message in (
        (("--only", "al"), "no variant 'al' in small; there are none, all, alone"),
        (("--seeds", "7"), "no seed 7: the study has 0 to 2"),
        (("--seeds", "a"), "--seeds takes numbers"),
        (("--data", "moon=x"), "has no data moon"),
        (("--data", "world"), "--data takes NAME=FOLDER"),
        (("--same-data", "moon=x"), "has no data moon"),
        (("--same-data", "world"), "--same-data takes NAME=MARK"),
    ):
        result = ablate(*arguments)
        assert result.exit_code in (1, 2) and message in result.output, result.output
    with pytest.raises(ConfigError, match="say where they are"):
        find_roots(small_study(roots={"world": "nowhere"}), {})


def test_pairs_share_everything_but_their_settings(place: Path) -> None:
    study = small_study()
    options = Options({"world": place}, cache=place / "cache", threads=2)
    runs = planned_runs(study, place)
    # Seed by seed, so that a study that is broken off has whole pairs.
    assert [(run.seed, run.variant.name) for run in runs][:4] == [(0, "none"), (0, "all"), (0, "alone"), (1, "none")]
    none, all_ = (_train_command(run, options) for run in runs[:2])
    differing = [b for a, b in zip(none, all_, strict=False) if a != b]
    assert set(all_) - set(none) == {str(runs[1].folder / "train"), "losses.plan=2.0"}
    assert differing and "--init" in none and "run.seed=0" in none and "run.threads=2" in none


def test_a_trained_explainer_may_be_what_all_start_from(place: Path) -> None:
    training = {"recipe": "nano_joint", "init": "nano", "init_explainer": "nano", "data": ["world"]}
    variants = small_tree()["variants"]
    variants["all"]["fresh_explainer"] = True
    runs = planned_runs(small_study(training=training, variants=variants), place)[:2]
    command, fresh = (_train_command(run, Options({"world": place})) for run in runs)
    assert command[command.index("--init-explainer") + 1] == "nano"
    assert "--init-explainer" not in fresh, "a variant may begin with a new one"


def test_an_explainer_is_measured_where_there_is_one(place: Path) -> None:
    evaluation = [{"split": "val", "data": "world", "suites": ["planning", "language"]}]
    study = small_study(evaluation=evaluation)
    options = Options({"world": place})
    with_words, without = (
        steps_of(Run(study, study.variant(name), 0, place / name), options)[1].command for name in ("all", "alone")
    )
    assert "planning,language" in with_words
    assert with_words[with_words.index("--explainer") + 1] == str(place / "all/train/last_explainer.safetensors")
    assert "planning" in without and "--explainer" not in without


def test_a_failed_evaluation_costs_its_own_measures_only(ablate: Ablate, place: Path) -> None:
    """A route that cannot be driven, say, must not throw away what was measured otherwise."""
    (place / "broken").write_text("all/seed_1/evaluate_far")
    _write(place, evaluation=[{"split": s, "data": "world", "suites": ["planning"]} for s in ("far", "val")])
    result = ablate()
    assert result.exit_code == 0 and "all, seed 1: evaluate_far failed: no such frame" in result.output
    own = [row for row in _rows(place) if (row["variant"], row["seed"]) == ("all", 1)]
    assert {row["split"] for row in own if row["state"] == "finished"} == {"val"}
    assert [row["reason"].split(" (")[0] for row in own if row["state"] == "failed"] == ["evaluate_far: no such frame"]
    table = (place / "study" / "table.md").read_text()
    assert "- all, seed 1: evaluate_far: no such frame" in table and "all, none | 3 | -1.00" in table
    (place / "broken").unlink()
    assert ablate().exit_code == 0 and len([r for r in _rows(place) if r["state"] == "failed"]) == 1
    assert ablate("--retry").exit_code == 0
    assert all(row["state"] == "finished" for row in _rows(place)) and _counted(place, "all", 1) == [1, 2, 3, 4, 5]


def test_steps_of_other_weights_are_done_again(ablate: Ablate, place: Path) -> None:
    assert ablate("--only", "none", "--seeds", "0", "--keep").exit_code == 0
    run = place / "study/runs/none/seed_0"
    logs = {name: (run / f"{name}.log").stat().st_size for name in ("train", "evaluate_val")}
    (run / "rows.json").unlink()
    (run / "train/last.safetensors").write_text("other weights")
    assert ablate("--only", "none", "--seeds", "0", "--keep").exit_code == 0
    report = run / "evaluate_val/report.json"
    before = report.stat().st_mtime_ns
    (run / "rows.json").unlink()
    assert ablate("--only", "none", "--seeds", "0", "--keep").exit_code == 0
    assert report.stat().st_mtime_ns == before, "the same weights are measured once"
    # A training of other settings, moved here.
    (run / "rows.json").unlink()
    mark = json.loads((run / "steps/train.json").read_text())
    (run / "steps/train.json").write_text(json.dumps(mark | {"of": "another"}))
    result = ablate("--only", "none", "--seeds", "0", "--keep")
    assert result.exit_code == 0 and "none, seed 0: train" in result.output
    assert (run / "train.log").stat().st_size >= logs["train"]


def test_shared_maps_stay_until_the_whole_study_is_measured(ablate: Ablate, place: Path) -> None:
    maps = place / "study/shared/maps"
    maps.mkdir(parents=True)
    assert ablate("--only", "none").exit_code == 0 and maps.is_dir()
    assert ablate().exit_code == 0 and not maps.exists()


def test_closed_loop_and_other_splits(place: Path) -> None:
    evaluation = [
        {"split": "val", "routes": "quick", "route_seeds": 2},
        {
            "split": "recorded",
            "data": "world",
            "root_split": "all",
            "suites": ["planning"],
            "arguments": ["--rate", "10"],
        },
    ]
    study = small_study(evaluation=evaluation)
    _, drive, recorded = steps_of(planned_runs(study, place)[0], Options({"world": place}))
    assert "world" in drive.command and drive.command[drive.command.index("--seeds") + 1] == "2"
    assert drive.made.name == "summary.json" and recorded.name == "evaluate_recorded"
    assert recorded.command[recorded.command.index("--split") + 1] == "all" and "--rate" in recorded.command


def test_trainings_with_one_frozen_encoder_share_its_maps(place: Path) -> None:
    evaluation = [{"split": "val", "data": "world", "suites": ["planning"]}]
    training = {"recipe": "nano_joint", "data": ["world"]}
    for settings, shared in (({"data.store": "bev"}, True), ({}, False)):
        study = small_study(evaluation=evaluation, training={**training, "settings": settings})
        runs = planned_runs(study, place)
        commands = [steps_of(run, Options({"world": place}))[1].command for run in runs]
        found = {command[command.index("--maps") + 1] for command in commands if "--maps" in command}
        assert found == ({str(place / "shared" / "maps")} if shared else set())


def test_some_trainings_only_are_driven(place: Path) -> None:
    drives = {"split": "val", "routes": "quick", "variants": ["none", "all"], "seeds": 2}
    study = small_study(evaluation=[{"split": "val", "data": "world", "suites": ["planning"]}, drives])
    driven = {
        (run.variant.name, run.seed)
        for run in planned_runs(study, place)
        if "drive_val" in [step.name for step in steps_of(run, Options({"world": place}))]
    }
    assert driven == {("none", 0), ("none", 1), ("all", 0), ("all", 1)}


def test_evaluations_share_the_truth(ablate: Ablate, place: Path) -> None:
    """It costs a minute a training, and is the same for all."""
    assert ablate("--seeds", "0", "--keep").exit_code == 0
    told = [p.read_text() for p in sorted((place / "study" / "runs").glob("*/seed_0/evaluate_val.log"))]
    assert sorted(told) == ["", "", "read the truth\n"]


def test_the_plan_is_written_before_anything_runs(place: Path) -> None:
    study = small_study()
    open_study(study, place / "study", {"world": place / "out/world"}, new=False)
    assert study.hash in (place / "study" / "plan.md").read_text()
    began = json.loads((place / "study" / "study.json").read_text())
    assert began["hash"] == study.hash and set(began["data"]) == {"world"}
    open_study(study, place / "study", {"world": place / "out/world"}, new=False)
    assert json.loads((place / "study" / "study.json").read_text()) == began


def _train_command(run: Run, options: Options) -> tuple[str, ...]:
    return steps_of(run, options)[0].command


def _root() -> Path:
    return _HERE.parents[2]
