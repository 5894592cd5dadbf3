"""Runs tasks in worker processes: one crash or error costs one task, and progress is told as it comes."""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from aln_p3_core.errors import AlnP3Error

Task = TypeVar("Task")


class Work(Protocol):
    """What is done with a task. Sent to other processes by pickling."""

    def __call__(self, task: Any, on_progress: Callable[[], None]) -> None:
        """Does it, and calls `on_progress` now and then."""


def run_tasks(
    tasks: Sequence[Task],
    work: Work,
    jobs: int,
    *,
    on_progress: Callable[[], None],
    on_end: Callable[[Task, str | None], None],
) -> None:
    """Does all tasks, `jobs` at a time.

    With one job everything happens in this process. With more, each worker is a fresh process (SUMO runs one
    simulation in each, and each has its own graphics context); one that dies is replaced.

    Args:
        tasks: what to do.
        work: does one of them.
        jobs: processes.
        on_progress: called here whenever a worker's `on_progress` is.
        on_end: called here when a task has ended, with what went wrong, or None.
    """
    if jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            on_end(task, _problem_of(work, task, on_progress))
        return
    waiting = deque(tasks)
    workers: dict[Connection, tuple[BaseProcess, Task | None]] = {}
    try:
        with _threads_for(jobs):
            while waiting or workers:
                while waiting and len(workers) < jobs:
                    connection, process = _start(work)
                    workers[connection] = (process, None)
                    _hand_out(connection, workers, waiting)
                for ready in wait(list(workers)):
                    assert isinstance(ready, Connection)
                    _listen(ready, workers, waiting, on_progress, on_end)
    finally:
        for process, _ in workers.values():
            process.terminate()
        for process, _ in workers.values():
            process.join()


def _listen(
    connection: Connection,
    workers: dict[Connection, tuple[BaseProcess, Task | None]],
    waiting: deque[Task],
    on_progress: Callable[[], None],
    on_end: Callable[[Task, str | None], None],
) -> None:
    """Takes one message of a worker, or notes its end."""
    process, task = workers[connection]
    try:
        is_progress, problem = connection.recv()
    except (EOFError, OSError):
        process.join()
        del workers[connection]
        connection.close()
        if task is not None:
            on_end(task, f"its process died (exit code {process.exitcode})")
        return
    if is_progress:
        on_progress()
        return
    _hand_out(connection, workers, waiting)
    if task is not None:
        on_end(task, problem)


def _hand_out(
    connection: Connection, workers: dict[Connection, tuple[BaseProcess, Task | None]], waiting: deque[Task]
) -> None:
    process, _ = workers[connection]
    task = waiting.popleft() if waiting else None
    workers[connection] = (process, task)
    with suppress(OSError):  # if it has just died, its end is noted when it is listened to
        connection.send(task)


def _start(work: Work) -> tuple[Connection, BaseProcess]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _serve(connection: Connection, work: Work) -> None:
    """A worker: does what it is sent, until it is sent None or its parent is gone."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    cv2.setNumThreads(1)
    try:
        while (task := connection.recv()) is not None:
            problem = _problem_of(work, task, lambda: connection.send((True, None)))
            connection.send((False, problem))
    except (EOFError, OSError):
        return


def _problem_of(work: Work, task: object, on_progress: Callable[[], None]) -> str | None:
    """Does a task; what went wrong, or None. Errors that a user can act on are told in one line."""
    try:
        work(task, on_progress)
    except AlnP3Error as error:
        return str(error)
    except BrokenPipeError:
        raise  # nobody listens any more
    except Exception:
        return traceback.format_exc()
    return None


@contextmanager
def _threads_for(jobs: int) -> Iterator[None]:
    """Environment of the workers: numerical libraries with one thread, the software rasteriser with its share."""
    share = max(1, len(os.sched_getaffinity(0)) // jobs)
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LP_NUM_THREADS": str(share)}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
