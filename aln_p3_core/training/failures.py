"""What ends a training from outside, told so that one knows what to do: a full disk, a reader that died, bad data."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from aln_p3_core.errors import AlnP3Error, TrainingError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What Rust (safetensors) writes of these two.
_FULL_TEXTS = ("No space left", "Disk quota exceeded", "StorageFull", *(f"code: {number}," for number in _FULL))


def is_full_disk(error: BaseException) -> bool:
    """Whether writing failed for want of space, be it that a library raised an error of its own upon the system's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        if isinstance(cause, SafetensorError) and any(text in str(cause) for text in _FULL_TEXTS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_dead_reader(error: BaseException) -> bool:
    """Whether a process that reads data died: torch says so, or a batch breaks off while it is being fetched."""
    if isinstance(error, RuntimeError):
        return "DataLoader worker" in str(error)
    if not isinstance(error, ConnectionError | EOFError):
        return False
    files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any((file.parent.name, file.name) == ("multiprocessing", "connection.py") for file in files)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns what a user can mend into `TrainingError`s.

    torch raises for a reader process that died wherever the main process happens to be, from a signal handler: so the
    whole loop runs in here.

    Args:
        folder: of the run.

    Raises:
        TrainingError: for a full disk or a dead reader. AlnP3Error: those of readers without their stack traces.
    """
    try:
        yield
    except AlnP3Error as error:
        told = str(error)
        if told.startswith(f"Caught {type(error).__name__} in DataLoader"):
            raise type(error)(told.rsplit(f"{type(error).__name__}: ", 1)[-1].strip()) from error
        raise
    except Exception as error:
        if is_full_disk(error):
            raise TrainingError(
                f"no space left in {folder}: free some and go on with --resume; the last checkpoint is whole"
            ) from error
        if is_dead_reader(error):
            told = str(error) or type(error).__name__
            raise TrainingError(
                f"a process that reads data died ({told}). Go on with --resume, with fewer data.workers or a smaller "
                "data.prefetch if memory ran out"
            ) from error
        raise
