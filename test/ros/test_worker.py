"""The thread that works on the newest job only."""

from __future__ import annotations

import threading

from aln_p3_ros.driving.worker import LatestWorker, PeriodicThread

WAIT_S = 60.0


def test_the_newest_job_wins() -> None:
    begun, gate, done = threading.Event(), threading.Event(), threading.Event()
    worked: list[int] = []

    def work(job: int) -> None:
        begun.set()
        assert gate.wait(WAIT_S)
        worked.append(job)
        if job == 5:
            done.set()

    worker = LatestWorker(work, lambda job, error: None)
    worker.start()
    assert not worker.submit(1)
    assert begun.wait(WAIT_S)
    assert worker.busy_s > 0
    assert [worker.submit(job) for job in (2, 3, 4, 5)] == [False, True, True, True]
    gate.set()
    assert done.wait(WAIT_S)
    assert worked == [1, 5] and worker.dropped == 3
    assert worker.stop(WAIT_S)
    assert worker.busy_s == 0.0


def test_an_error_that_cannot_be_handled_leaves_the_thread_alive() -> None:
    done = threading.Event()

    def work(job: int) -> None:
        if job == 1:
            raise ValueError("odd")
        done.set()

    def on_error(job: int, error: Exception) -> None:
        raise RuntimeError("no stop either") from error

    worker = LatestWorker(work, on_error)
    worker.start()
    worker.submit(1)
    while worker.busy_s > 0:
        pass
    worker.submit(2)
    assert done.wait(WAIT_S) and worker.stop(WAIT_S)


def test_an_error_is_reported_and_the_thread_goes_on() -> None:
    errors: list[tuple[int, str]] = []
    done = threading.Event()

    def work(job: int) -> None:
        if job == 1:
            raise ValueError("odd")
        done.set()

    failed = threading.Event()

    def on_error(job: int, error: Exception) -> None:
        errors.append((job, str(error)))
        failed.set()

    worker = LatestWorker(work, on_error)
    worker.start()
    worker.submit(1)
    assert failed.wait(WAIT_S)
    worker.submit(2)
    assert done.wait(WAIT_S)
    assert errors == [(1, "odd")]
    assert worker.stop(WAIT_S)


def test_stopping_drops_the_waiting_job_and_waits_for_the_running_one() -> None:
    begun, gate = threading.Event(), threading.Event()
    worked: list[int] = []

    def work(job: int) -> None:
        begun.set()
        gate.wait(WAIT_S)
        worked.append(job)

    worker = LatestWorker(work, lambda job, error: None)
    worker.start()
    worker.submit(1)
    assert begun.wait(WAIT_S)
    worker.submit(2)
    assert not worker.stop(timeout_s=0.01), "still running"
    assert worker.stopping
    gate.set()
    assert worker.stop(WAIT_S)
    assert worked == [1]


def test_a_worker_that_never_started_stops() -> None:
    assert LatestWorker(lambda job: None, lambda job, error: None).stop()


def test_a_periodic_thread_goes_on_after_an_error() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def call() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("odd")
        enough.set()

    thread = PeriodicThread(call, 0.001, "test")
    assert enough.wait(WAIT_S)
    thread.stop()


def test_a_periodic_thread_repeats_until_it_is_stopped() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def call() -> None:
        calls.append(1)
        if len(calls) >= 3:
            enough.set()

    thread = PeriodicThread(call, 0.001, "test")
    assert enough.wait(WAIT_S)
    thread.stop()
    count = len(calls)
    assert not threading.Event().wait(0.02) and len(calls) == count


def test_a_job_put_back_gives_way_to_a_newer_one_and_can_be_dropped() -> None:
    worked: list[int] = []
    done = threading.Event()

    def work(job: int) -> None:
        worked.append(job)
        if job == 9:
            done.set()

    worker = LatestWorker(work, lambda job, error: None)
    worker.submit(2)
    worker.resubmit(1)
    assert worker._job == 2
    worker.drop()
    worker.drop()
    assert worker.dropped == 1
    worker.resubmit(3)
    assert not worker.alive
    worker.start()
    while worked != [3]:
        pass
    assert worker.alive
    worker.submit(9)
    assert done.wait(WAIT_S) and worker.stop(WAIT_S)
    assert worked == [3, 9] and not worker.alive
