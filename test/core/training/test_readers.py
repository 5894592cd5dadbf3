"""The processes that read ahead end with what they read for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import _utils as torch_readers

from aln_p3_core.errors import TrainingError
from aln_p3_core.training.readers import batches_of, begin_reader


class _Stuck(IterableDataset[int]):
    """Gives two numbers and then never comes back, as from a disk that does not answer."""

    def __iter__(self) -> Iterator[int]:
        yield from (os.getpid(), 1)
        threading.Event().wait()


def _loader(workers: int) -> DataLoader[int]:
    return DataLoader(_Stuck(), batch_size=None, num_workers=workers, worker_init_fn=begin_reader)


def test_a_failure_ends_readers_that_are_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the error still held, as it is until a program ends; and though they ignore the signal for the end."""
    monkeypatch.setattr(torch_readers, "MP_STATUS_CHECK_INTERVAL", 0.2)
    before = set(multiprocessing.active_children())
    with pytest.raises(TrainingError) as held, batches_of(_loader(2)) as batches:
        reader = next(batches)
        assert len(set(multiprocessing.active_children()) - before) == 2
        os.kill(reader, signal.SIGTERM)
        raise TrainingError("the loss is not finite")
    assert held.value.__traceback__ is not None
    assert set(multiprocessing.active_children()) == before and not Path(f"/proc/{reader}").exists()


def test_without_readers_nothing_is_to_be_ended() -> None:
    with batches_of(_loader(0)) as batches:
        assert next(batches) == os.getpid()
