"""Tasks in worker processes: all are done, errors and deaths cost one task each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.recorder.jobs import run_tasks


def work(task: str, on_progress: Callable[[], None]) -> None:
    """Does what the task says."""
    on_progress()
    if task == "refused":
        raise ConfigError("this cannot be")
    if task == "broken":
        raise ZeroDivisionError("a bug")
    if task == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "threads":
        raise ConfigError(os.environ["OMP_NUM_THREADS"])
    on_progress()


def outcome(tasks: list[str], jobs: int) -> tuple[int, dict[str, str | None]]:
    """Number of progress calls, and what became of each task."""
    steps: list[None] = []
    ends: dict[str, str | None] = {}
    run_tasks(
        tasks,
        work,
        jobs,
        on_progress=lambda: steps.append(None),
        on_end=lambda task, problem: ends.__setitem__(task, problem),
    )
    return len(steps), ends


def test_errors_cost_one_task_each() -> None:
    steps, ends = outcome(["one", "refused", "broken", "two"], 1)
    assert steps == 6 and list(ends) == ["one", "refused", "broken", "two"]
    assert ends["one"] is ends["two"] is None and ends["refused"] == "this cannot be"
    assert "ZeroDivisionError: a bug" in (ends["broken"] or "") and "Traceback" in (ends["broken"] or "")


def test_a_worker_that_dies_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    steps, ends = outcome(["dies", "one", "threads", "refused", "two"], 2)
    assert set(ends) == {"dies", "one", "threads", "refused", "two"}
    assert ends["one"] is ends["two"] is None and ends["refused"] == "this cannot be"
    assert ends["dies"] == "its process died (exit code -9)"
    assert ends["threads"] == "1" and "OMP_NUM_THREADS" not in os.environ
    assert 6 <= steps <= 7  # the last word of a process that dies may be lost
