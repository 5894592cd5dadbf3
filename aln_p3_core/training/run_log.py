"""What a run leaves to look at: `log.jsonl`, TensorBoard, plots, `run.json`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aln_p3_core.whole_files import write_text, written_whole

#: Before the names of seconds that a step spent in its parts.
TIME = "time."


class RunLog:
    """Rows of a run: {"kind": "train" or "validation", "step": ..., measures}.

    A run that goes on from a checkpoint drops the rows behind it, so no step is told twice.
    """

    def __init__(self, folder: Path, from_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        rows = [row for row in read_rows(self.path) if row["step"] <= from_step] if from_step else []
        with written_whole(self.path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # an extra of the package; the log file and the plots tell the same
            self._board = None
        else:
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1)

    def add(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Writes a row."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)
            self._board.flush()

    def close(self) -> None:
        """Ends the TensorBoard file. May be called again, also when it broke off: what is told is written already."""
        board, self._board = self._board, None
        if board is not None:
            board.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole rows of a log; a line that a kill cut off is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def speed(rows: list[dict[str, Any]], batch_size: int) -> dict[str, Any]:
    """How fast the optimiser steps of a log were, without validation and checkpoints.

    Args:
        rows: of the kind "train".
        batch_size: clips a step.

    Returns:
        "samples_per_s", "wait_share" (of the time, for data) and "step_s": mean seconds a step by part; {} of no rows.
    """
    if not rows:
        return {}
    seconds = [batch_size / row["samples_per_s"] for row in rows]
    waited = sum(row["wait_share"] * spent for row, spent in zip(rows, seconds, strict=True))
    parts = [name for name in rows[-1] if name.startswith(TIME)]
    return {
        "samples_per_s": round(batch_size * len(rows) / sum(seconds), 3),
        "wait_share": round(waited / sum(seconds), 4),
        "step_s": {
            name.removeprefix(TIME): round(statistics.fmean(row[name] for row in rows if name in row), 4)
            for name in parts
        },
    }


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Deletes what a kill left of files written by `written_whole`. For the only process that writes them."""
    for name in names:
        for path in folder.glob(f".{name}.*"):
            path.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file that is whole or not there."""
    write_text(path, json.dumps(content, indent=1, default=str) + "\n")


def card_commits(card: Path) -> list[str]:
    """Commits that a run's card (`run.json`) tells of; none where it cannot be read."""
    try:
        return [str(commit) for commit in json.loads(card.read_text(encoding="utf-8")).get("commits", [])]
    except (OSError, ValueError):
        return []
