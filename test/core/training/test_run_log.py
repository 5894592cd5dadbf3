"""What a run leaves to look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aln_p3_core.training.plots import plot_run
from aln_p3_core.training.run_log import RunLog, card_commits, read_rows, remove_partial_files, speed


def test_a_run_that_goes_on_tells_no_step_twice(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.add("train", step, {"loss": float(step)})
    log.close()
    with log.path.open("a") as file:
        file.write('{"kind": "train", "st')  # a kill in the middle of a line
    assert [row["step"] for row in read_rows(log.path)] == [1, 2, 3]
    again = RunLog(tmp_path, from_step=2)
    again.add("train", 3, {"loss": 9.0})
    again.close()
    assert [(row["step"], row["loss"]) for row in read_rows(log.path)] == [(1, 1.0), (2, 2.0), (3, 9.0)]


def test_a_log_whose_end_broke_off_can_be_ended_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that dies is told by a signal, which may come while TensorBoard's file is being closed."""
    log = RunLog(tmp_path)
    assert log._board is not None
    close = log._board.close

    def broken() -> None:
        close()
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    monkeypatch.setattr(log._board, "close", broken)
    with pytest.raises(RuntimeError, match="is killed"):
        log.close()
    log.close()


def test_speed_weighs_steps_by_their_time() -> None:
    rows = [
        {"samples_per_s": 8.0, "wait_share": 0.5, "time.wait": 0.5, "time.forward": 0.5},
        {"samples_per_s": 2.0, "wait_share": 0.0, "time.wait": 0.0, "time.forward": 4.0},
    ]
    told = speed(rows, batch_size=8)
    assert told == {"samples_per_s": 3.2, "wait_share": 0.1, "step_s": {"wait": 0.25, "forward": 2.25}}
    assert speed([], 8) == {}


def test_plots_of_any_length(tmp_path: Path) -> None:
    row = {"loss": 2.0, "plan": 1.0, "time.wait": 0.1, "time.forward": 0.4, "learning_rate": 1e-4}
    for count in (1, 200):
        rows = [{"kind": "train", "step": step + 1, **row} for step in range(count)]
        check = {"kind": "validation", "step": 1, "plan_l2": 1.5, "car_ap_2m": 0.1, "loss": 2.5, "loss.plan": 1.1}
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*rows, check]))
        assert [path.name for path in plot_run(tmp_path)] == ["losses.png", "time.png", "validation.png"]


def test_only_half_written_files_are_removed(tmp_path: Path) -> None:
    for name in ("run.json", ".run.json.abc", ".driver.safetensors.x1", ".hidden"):
        (tmp_path / name).write_text("")
    remove_partial_files(tmp_path, ["run.json", "driver.safetensors"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "run.json"]


@pytest.mark.parametrize("content", ["", "\n\n", "not json\n"])
def test_a_log_without_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.jsonl").write_text(content)
    assert plot_run(tmp_path) == []


def test_a_card_tells_of_all_commits_that_had_a_part_in_it(tmp_path: Path) -> None:
    card = tmp_path / "run.json"
    assert card_commits(card) == []
    card.write_text('{"commits": ["abc", "def"]}')
    assert card_commits(card) == ["abc", "def"]
    card.write_text('{"half')
    assert card_commits(card) == []
