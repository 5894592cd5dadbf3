"""Whether something can be written is known before it is."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from aln_p3_core.whole_files import write_problem


def test_a_folder_that_can_be_made_and_is_not(tmp_path: Path) -> None:
    assert write_problem(tmp_path) is None and write_problem(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_or_a_link_to_nowhere_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name in ("file", "link"):
        assert write_problem(tmp_path / name / "a") == f"{tmp_path / name} is no folder"


def test_a_folder_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    problem = write_problem(tmp_path / "a")
    assert problem is not None and str(tmp_path) in problem and "Permission denied" in problem
