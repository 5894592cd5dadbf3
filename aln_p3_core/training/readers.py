"""The processes that read a training's batches ahead, and their end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader

from aln_p3_core.training.forking import without_opencv_threads


@contextmanager
def batches_of(loader: DataLoader[Any]) -> Iterator[Iterator[Any]]:
    """The batches of a loader made with `worker_init_fn=begin_reader`; its processes end with the block.

    Torch ends them when nothing refers to the iterator any more, which the stack of an error does until the very end of
    the program; and what it ends them with then is a signal that they ignore.
    """
    # The readers are forked here, and stay without OpenCV's threads.
    with without_opencv_threads():
        batches = iter(loader)
    try:
        yield batches
    finally:
        # Only an iterator with processes has these; torch offers no other way.
        readers = getattr(batches, "_workers", ())
        try:
            if readers:
                batches._shutdown_workers()  # type: ignore[attr-defined]
        finally:
            for reader in readers:
                if reader.is_alive():
                    reader.kill()
                reader.join()


def begin_reader(_number: int) -> None:
    """Makes a reader ignore the signals that a cluster sends to all processes: the training ends it, after a
    checkpoint."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
