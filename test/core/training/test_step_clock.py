"""Where the time of a step goes."""

import itertools

import pytest
import torch

from aln_p3_core.training import step_clock
from aln_p3_core.training.step_clock import StepClock


def test_seconds_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.accumulate([0.0, 100.0, 1.0, 2.0, 4.0, 50.0, 8.0])
    monkeypatch.setattr(step_clock.time, "perf_counter", lambda: next(times))
    clock = StepClock(torch.device("cpu"))
    clock.start()
    clock.lap("forgotten")
    clock.start()
    for name in ("wait", "forward"):
        clock.lap(name)
    assert clock.seconds() == {"wait": 2.0, "forward": 4.0}
    clock.start()
    clock.lap("wait")
    assert clock.seconds() == {"wait": 8.0}
