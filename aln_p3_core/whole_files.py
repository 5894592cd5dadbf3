"""Files that are whole or not there: a kill or a full disk leaves what was there before."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a file of UTF-8 text, and the folders that it lies in."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, *, indent: int | None = 1) -> None:
    """Writes a file of JSON, and the folders that it lies in."""
    write_text(path, json.dumps(content, indent=indent) + "\n")


def write_problem(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which need not exist yet; None when it can. Leaves no trace."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"nothing can be written into {there} ({error.strerror or error})"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary file to write, which becomes `path` when the block ends and is deleted when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; what is written is an ordinary file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
