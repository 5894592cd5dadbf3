"""What ends a training from outside is told so that one knows what to do."""

from __future__ import annotations

import errno
import os
import signal
from multiprocessing import Pipe
from pathlib import Path

import pytest
from safetensors import SafetensorError
from torch.utils.data import DataLoader, Dataset

from aln_p3_core.errors import DataError, TrainingError
from aln_p3_core.training.failures import explained, is_full_disk


class _Bad(Dataset[int]):
    def __init__(self, killed: bool) -> None:
        self.killed = killed

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError(f"samples/{index}.jpg: cannot be read; copy it again")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        SafetensorError('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "..." })'),
    ],
)
def test_a_full_disk(error: Exception, tmp_path: Path) -> None:
    assert is_full_disk(error)
    with pytest.raises(TrainingError, match=r"no space left in .*--resume"), explained(tmp_path):
        raise error


def test_a_librarys_own_error_upon_the_systems() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 768 vs 662")  # noqa: B904
    except RuntimeError as error:
        assert is_full_disk(error)
    assert not is_full_disk(RuntimeError("No space left in a sentence of something else"))


def test_a_reader_that_died(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"died.*--resume, with fewer data.workers"), explained(tmp_path):
        next(iter(DataLoader(_Bad(killed=True), num_workers=1)))


def test_a_reader_that_died_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    ours, theirs = Pipe()
    theirs.close()
    with pytest.raises(TrainingError, match=r"a process that reads data died.*--resume"), explained(tmp_path):
        ours.recv()  # as the main process waits for a batch
    with pytest.raises(EOFError), explained(tmp_path):
        raise EOFError("of something else")


def test_bad_data_is_told_without_the_readers_stack(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, explained(tmp_path):
        next(iter(DataLoader(_Bad(killed=False), num_workers=1)))
    assert str(caught.value) == "samples/0.jpg: cannot be read; copy it again"


def test_everything_else_is_left_as_it_is(tmp_path: Path) -> None:
    for error in (RuntimeError("bug"), OSError(errno.ENOENT, "no file"), DataError("broken")):
        with pytest.raises(type(error)) as caught, explained(tmp_path):
            raise error
        assert caught.value is error
