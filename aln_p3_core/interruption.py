"""Ends commands in good order at Ctrl-C and SIGTERM: both unwind, so that files and processes are left as they must."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

#: What people and schedulers end a program with.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: as Ctrl-C, with an exit code of its own."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """130 after Ctrl-C, 143 after SIGTERM: what shells tell of programs that a signal ended."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def unwind_at_sigterm() -> None:
    """From now on SIGTERM raises `Terminated` in the main thread of this process, as Ctrl-C does KeyboardInterrupt.

    Without it the process ends at once: child processes go on, and temporary files stay.
    """
    owner = os.getpid()

    def unwind(number: int, frame: object) -> None:
        if os.getpid() != owner:  # a forked worker, which its parent ends
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Terminated

    signal.signal(signal.SIGTERM, unwind)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Notes Ctrl-C and SIGTERM while the block runs, where they may not come in between.

    Yields:
        The signals that came; the block looks at it.
    """
    received: list[int] = []
    previous = {sign: signal.signal(sign, lambda number, _: received.append(number)) for sign in ENDING_SIGNALS}
    try:
        yield received
    finally:
        for sign, handler in previous.items():
            signal.signal(sign, handler)


def raise_noted(received: list[int]) -> None:
    """Raises what the first of the noted signals stands for; nothing when none came."""
    if received:
        raise Terminated if received[0] == signal.SIGTERM else KeyboardInterrupt
