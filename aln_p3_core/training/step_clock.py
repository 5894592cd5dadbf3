"""Where the time of an optimiser step goes."""

from __future__ import annotations

import time

import torch


class StepClock:
    """Seconds between named points of a step.

    On CUDA the points are events on the stream, read when the step is over: nothing waits for the clock.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._names: list[str] = []
        self._marks: list[torch.cuda.Event | float] = []

    def start(self) -> None:
        """A step begins; forgets the one before."""
        self._names, self._marks = [], [self._now()]

    def lap(self, name: str) -> None:
        """What was done since the last point is called `name`; one name may come several times."""
        self._names.append(name)
        self._marks.append(self._now())

    def seconds(self) -> dict[str, float]:
        """Seconds by name since `start`, in order; waits for the device."""
        if self._on_cuda:
            torch.cuda.current_stream().synchronize()
        spent: dict[str, float] = {}
        for name, before, after in zip(self._names, self._marks, self._marks[1:], strict=False):
            spent[name] = spent.get(name, 0.0) + _between(before, after)
        return spent

    def _now(self) -> torch.cuda.Event | float:
        if not self._on_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _between(before: torch.cuda.Event | float, after: torch.cuda.Event | float) -> float:
    if isinstance(before, float) or isinstance(after, float):
        assert isinstance(before, float) and isinstance(after, float)
        return after - before
    return before.elapsed_time(after) / 1000.0
