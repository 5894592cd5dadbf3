"""Runs the trainings of a study: a subprocess for each step, so that a crash costs one run and not the study.

Everything a run has done is a file in its folder, so the study may be killed at any point and called again. A step that
is done is marked in `steps/`; the training goes on from its checkpoint, an evaluation from its kept predictions.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from aln_p3_core.child_processes import die_with_parent
from aln_p3_core.errors import AlnP3Error
from aln_p3_core.studies.rows import FAILED, ROWS, read_json, rows_of_run
from aln_p3_core.studies.steps import TRAIN, Options, Run, Step, steps_of
from aln_p3_core.whole_files import write_json, written_whole

#: Folder of a run's marks of steps that are done.
STEPS = "steps"
# What all evaluations compute alike: the truth, and the ego-status MLP of the tables. Both carry a key of what they
# were made of, so that `aln-p3 evaluate` makes them again where they do not fit.
_SHARED_FILES = ("ego_status_mlp.safetensors", "predictions/planning_truth_*.npz")
# So long a run that an earlier call began may take to write its checkpoint and end.
_PATIENCE_S = 60.0
_POLL_S = 0.2

Tell = Callable[[str], None]


@dataclass(eq=False)
class Stop:
    """Asks all running steps to end, and waits for them.

    Attributes:
        asked: whether it has.
        number: of the signal that asked.
    """

    asked: threading.Event = field(default_factory=threading.Event)
    number: int = signal.SIGINT

    def __call__(self, number: int = signal.SIGINT, _frame: object = None) -> None:
        self.number = number
        self.asked.set()


class _StepError(Exception):
    """A step that did not make what it should."""


class _InterruptedError(Exception):
    """The study is being stopped."""


def run_all(runs: Sequence[Run], options: Options, *, retry: bool, tell: Tell, stop: Stop) -> None:
    """Brings every run to its rows, `options.jobs` at a time.

    Args:
        runs: of the study, in order.
        options: how.
        retry: try those again that failed.
        tell: takes lines of progress.
        stop: when it is asked, running steps end with a checkpoint and no new one begins.
    """

    def one(run: Run) -> None:
        if not stop.asked.is_set():
            _bring_to_rows(run, options, retry, tell, stop)

    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(one, runs):
            pass


def remove_maps(runs: Sequence[Run]) -> None:
    """Removes the BEV maps that the runs shared, when all of the study's have their rows.

    Args:
        runs: all of the study.
    """
    if all(is_done(run) for run in runs):
        for maps in {run.maps for run in runs}:
            shutil.rmtree(maps, ignore_errors=True)


def is_done(run: Run) -> bool:
    """Whether the run has its rows."""
    found = read_json(run.folder / ROWS)
    return found is not None and found["hash"] == run.study.hash


def has_failed(run: Run) -> bool:
    """Whether the run, or a part of it, failed and was not brought to an end since."""
    return (run.folder / FAILED).exists()


def seconds_of(run: Run) -> dict[str, float]:
    """Seconds of the steps that are done, by name."""
    marks = {path.stem: read_json(path) for path in (run.folder / STEPS).glob("*.json")}
    return {name: mark["seconds"] for name, mark in marks.items() if mark is not None}


def _bring_to_rows(run: Run, options: Options, retry: bool, tell: Tell, stop: Stop) -> None:
    if _ended(run, retry):
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    with _locked(run, stop) as lock:
        if lock is None:
            tell(f"{run.label}: another process works on it")
            return
        if _ended(run, retry):
            return
        (run.folder / FAILED).unlink(missing_ok=True)
        step, failures = TRAIN, list[tuple[str, str]]()
        try:
            _do(run, steps_of(run, options)[0], options, lock, tell, stop)
            for each in steps_of(run, options)[1:]:
                step = each.name
                try:
                    _do(run, each, options, lock, tell, stop)
                except _StepError as error:
                    # What is measured otherwise is not lost by it.
                    failures.append((step, str(error)))
                    tell(f"{run.label}: {step} failed: {error}")
            step = "rows"
            failed = [name for name, _ in failures]
            rows, scenes = rows_of_run(run, seconds_of(run), without=failed)
            if rows:
                write_json(run.folder / ROWS, {"hash": run.study.hash, "rows": rows, "scenes": scenes}, indent=None)
            elif not failures:
                raise _StepError("the reports hold no measure")
        except _InterruptedError:
            tell(f"{run.label}: stopped in {step}; the same command goes on")
            return
        except (_StepError, AlnP3Error, OSError, ValueError, KeyError, StopIteration) as error:
            failures.append((step, str(error) or type(error).__name__))
            tell(f"{run.label}: {step} failed: {failures[-1][1]}")
        if failures:
            write_json(
                run.folder / FAILED, {"step": failures[0][0], "reason": "; ".join(reason for _, reason in failures)}
            )
            return
        if not options.keep:
            _tidy(run)
        tell(f"{run.label}: measured")


def _ended(run: Run, retry: bool) -> bool:
    """Whether nothing is to be done for a run: it is measured, or failed and is not to be tried again."""
    return not retry if has_failed(run) else is_done(run)


def _do(run: Run, step: Step, options: Options, lock: IO[str], tell: Tell, stop: Stop) -> None:
    """Does a step, unless its mark says that it is done, and for the same weights."""
    mark = run.folder / STEPS / f"{step.name}.json"
    if (read_json(mark) or {}).get("of") == step.of and step.made.exists():
        return
    tell(f"{run.label}: {step.name}")
    shared = run.shared / step.name
    _copy_shared(shared, run.folder / step.name)
    began = time.monotonic()
    log = run.folder / f"{step.name}.log"
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(options.threads), "PYTHONUNBUFFERED": "1"},
            # Ctrl-C reaches the study, which ends its steps one by one; the lock goes along, so that nobody takes up
            # the run while a step of a killed study is still writing.
            start_new_session=True,
            pass_fds=(lock.fileno(),),
            # A study that is killed outright takes its steps along; the training then writes a checkpoint.
            preexec_fn=die_with_parent,
        )
        code = _wait(process, stop)
    if stop.asked.is_set() and not (code == 0 and _finished(run, step)):
        raise _InterruptedError
    if code != 0 or not _finished(run, step):
        raise _StepError(_reason(code, log))
    spent = _training_seconds(run) if step.name == TRAIN else None
    _copy_shared(run.folder / step.name, shared)
    seconds = time.monotonic() - began if spent is None else spent
    write_json(mark, {"of": step.of, "command": list(step.command), "seconds": round(seconds, 1)})


def _copy_shared(source: Path, target: Path) -> None:
    """Copies what evaluations share, where it is and the target lacks it."""
    for pattern in _SHARED_FILES:
        for path in source.glob(pattern):
            copy = target / path.relative_to(source)
            if not copy.exists():
                with written_whole(copy) as temporary:
                    shutil.copyfile(path, temporary)


def _wait(process: subprocess.Popen[bytes], stop: Stop) -> int:
    asked = False
    while True:
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if stop.asked.is_set() and not asked:
                process.terminate()
                asked = True


def _finished(run: Run, step: Step) -> bool:
    """Whether a step that ended well is at its end; a training may have been told to stop."""
    if step.name == TRAIN and (read_json(run.folder / TRAIN / "run.json") or {}).get("state") != "finished":
        return False
    return step.made.exists()


def _training_seconds(run: Run) -> float | None:
    """Of all parts of a training that was broken off and went on."""
    cost = (read_json(run.folder / TRAIN / "run.json") or {}).get("cost", {})
    return cost.get("wall_s")


def _reason(code: int, log: Path) -> str:
    """Why a step failed, in a line: what its command said last."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("Error: ")), lines[-1] if lines else "")
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (the system does that when memory runs out)" if -code == signal.SIGKILL else ""
        return f"its process was ended by {name}{hint}"
    return f"{told.removeprefix('Error: ')[:300]} (exit code {code}; {log.name} has all of it)"


def _tidy(run: Run) -> None:
    """Removes what only a run that is not measured needs."""
    shutil.rmtree(run.folder / TRAIN / "checkpoints", ignore_errors=True)
    for path in (run.folder / TRAIN).glob("*.safetensors"):
        if path not in (run.checkpoint, run.explainer):
            path.unlink()
    for predictions in run.folder.glob("evaluate_*/predictions"):
        shutil.rmtree(predictions, ignore_errors=True)


@contextmanager
def _locked(run: Run, stop: Stop) -> Iterator[IO[str] | None]:
    """The run for this process alone; None while another one has it."""
    with (run.folder / ".lock").open("w", encoding="utf-8") as file:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until or stop.asked.is_set():
                    yield None
                    return
                stop.asked.wait(_POLL_S)
            else:
                yield file
                return
