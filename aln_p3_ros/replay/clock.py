"""The clock of a replay: maps steady time to recorded time."""

from __future__ import annotations

import time
from collections.abc import Callable

from aln_p3_core.errors import ConfigError

MIN_RATE, MAX_RATE = 0.01, 100.0


class ReplayClock:
    """Recorded time that runs at a rate, stands, and jumps. Starts paused.

    Args:
        position_ns: recorded time at first, nanoseconds.
        rate: recorded seconds per second.
        steady_ns: source of steady time, nanoseconds.

    Raises:
        ConfigError: for a rate outside 0.01 to 100.
    """

    def __init__(self, position_ns: int, rate: float = 1.0, steady_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._steady_ns = steady_ns
        self._anchor_steady_ns = steady_ns()
        self._anchor_ns = position_ns
        self._running = False
        self._rate = checked_rate(rate)

    @property
    def rate(self) -> float:
        """Recorded seconds per second."""
        return self._rate

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._running

    def now_ns(self) -> int:
        """Recorded time now."""
        if not self._running:
            return self._anchor_ns
        return self._anchor_ns + int((self._steady_ns() - self._anchor_steady_ns) * self._rate)

    def seconds_until(self, stamp_ns: int) -> float | None:
        """Steady seconds until recorded time reaches a stamp (0 where it has), None while paused."""
        remaining = stamp_ns - self.now_ns()
        if remaining <= 0:
            return 0.0
        return remaining * 1e-9 / self._rate if self._running else None

    def run(self) -> None:
        """Lets time pass."""
        self._anchor(self.now_ns())
        self._running = True

    def pause(self) -> None:
        """Stops time where it is."""
        self._anchor(self.now_ns())
        self._running = False

    def jump(self, position_ns: int) -> None:
        """Sets recorded time; it keeps running, or standing."""
        self._anchor(position_ns)

    def set_rate(self, rate: float) -> None:
        """Changes the rate from now on. Raises ConfigError outside 0.01 to 100."""
        rate = checked_rate(rate)
        self._anchor(self.now_ns())
        self._rate = rate

    def _anchor(self, position_ns: int) -> None:
        self._anchor_ns = position_ns
        self._anchor_steady_ns = self._steady_ns()


def checked_rate(rate: float) -> float:
    """The rate itself. Raises ConfigError outside 0.01 to 100."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ConfigError(f"the rate must be {MIN_RATE:g} to {MAX_RATE:g} times real time, got {rate:g}")
    return float(rate)
