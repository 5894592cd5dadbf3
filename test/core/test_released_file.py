"""Files that others release: what is no file of weights is told in a sentence of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_helpers import run

from aln_p3_core.driver.released_file import read_released
from aln_p3_core.errors import CheckpointError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404", "no checkpoint that torch has written: it begins with b'<!DOCTYPE html>"),
        (b"version https://git-lfs.github.com/spec/v1", "begins with b'version https://'"),
        (b"PK\x03\x04 cut short", "If it was cut short, download or copy it again"),
    ],
)
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "released.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_released(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("archive", [True, False])
def test_a_file_that_is_cut_short_anywhere(tmp_path: Path, archive: bool) -> None:
    path, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    torch.save({"state_dict": {"a": torch.arange(100.0)}}, path, _use_new_zipfile_serialization=archive)
    whole = path.read_bytes()
    assert read_released(path)["a"].tolist() == list(range(100))
    for size in (*range(1, 60, 7), *range(60, len(whole) - 1, 37), len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"cut\.pth"):
            read_released(cut)


def test_the_command_keeps_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "released.pth"
    path.write_bytes(b"<html>")
    for source, out, message in (
        (path, path, "would be lost"),
        (path, tmp_path / "out.safetensors", "no checkpoint that torch has written"),
        (tmp_path, tmp_path / "out.safetensors", "is a directory"),
    ):
        result = run("import-vad", source, "--recipe", "tiny", "--out", out)
        assert result.exit_code in (1, 2) and message in result.output, result.output
    assert [file.name for file in tmp_path.iterdir()] == ["released.pth"] and path.read_bytes() == b"<html>"
