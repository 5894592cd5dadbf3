"""Threads beside the executor: one that works on the newest job only, one that repeats a call."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from rclpy.logging import get_logger

JobT = TypeVar("JobT")
#: A call that fails again and again is told of this often, s.
_SAY_AGAIN_S = 10.0


class WorkThread(threading.Thread):
    """A thread whose work cannot be broken off, so that it may outlast the node: `busy_threads` names it then."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        super().__init__(target=run, name=name, daemon=True)


def busy_threads() -> list[str]:
    """Names of the `WorkThread`s that run."""
    return [thread.name for thread in threading.enumerate() if isinstance(thread, WorkThread)]


class LatestWorker(Generic[JobT]):
    """Runs `work(job)` in a thread of its own. The slot holds one job: a newer one replaces it.

    So however slow the work is, what it works on is never older than one run, and nothing piles up.

    Args:
        work: called with a job, in the thread.
        on_error: called with the job and the exception when `work` raises; the thread goes on.
        name: of the thread.
    """

    def __init__(
        self, work: Callable[[JobT], None], on_error: Callable[[JobT, Exception], None], name: str = "worker"
    ) -> None:
        self._work = work
        self._on_error = on_error
        self._condition = threading.Condition()
        self._job: JobT | None = None
        self._stopping = False
        self._busy_since: float | None = None
        self.dropped = 0
        self._thread = WorkThread(self._run, name)

    def start(self) -> None:
        """Starts the thread; a worker starts once."""
        self._thread.start()

    def submit(self, job: JobT) -> bool:
        """Puts a job into the slot. Returns whether an older one was waiting there and is dropped."""
        with self._condition:
            replaced = self._job is not None
            self.dropped += replaced
            self._job = job
            self._condition.notify()
        return replaced

    def resubmit(self, job: JobT) -> None:
        """Puts a job back into the slot, unless a newer one waits there."""
        with self._condition:
            if self._job is None:
                self._job = job
                self._condition.notify()

    def drop(self) -> None:
        """Empties the slot."""
        with self._condition:
            self.dropped += self._job is not None
            self._job = None

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Drops the waiting job and waits for the running one. Returns False when it is still running."""
        with self._condition:
            self._job = None
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: results of the running job are no longer wanted."""
        return self._stopping

    @property
    def busy_s(self) -> float:
        """Seconds that the running job has taken so far; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._job is None and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                job, self._job = self._job, None
                assert job is not None
                self._busy_since = time.monotonic()
            try:
                self._work(job)
            except Exception as error:
                self._report(job, error)
            finally:
                self._busy_since = None

    def _report(self, job: JobT, error: Exception) -> None:
        """Tells of an error. Should that fail as well, it is logged, and the next job is worked on all the same."""
        try:
            self._on_error(job, error)
        except Exception:
            get_logger(self._thread.name).error(f"an error could not be handled:\n{traceback.format_exc()}")


class PeriodicThread:
    """Calls a function again and again, in a thread of its own and by the steady clock, until stopped.

    For what must go on while the executor is busy, such as diagnostics while a model is loaded. A call that raises is
    logged, and the next one comes all the same.
    """

    def __init__(self, call: Callable[[], None], period_s: float, name: str) -> None:
        self._call = call
        self._period_s = period_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last call has ended."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._period_s):
            try:
                self._call()
            except Exception:
                get_logger(self._thread.name).error(
                    f"a call failed:\n{traceback.format_exc()}", throttle_duration_sec=_SAY_AGAIN_S
                )
