"""Options that several commands have mean the same in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command_helpers import run

from aln_p3_core.commands.options import make_driver


def _arguments(root: Path) -> dict[str, list[object]]:
    """What each command needs at least."""
    return {
        "plan": [root],
        "explain": ["--data", root],
        "bench": [],
        "export": ["nano"],
        "evaluate": ["human", "--report", root / "report"],
        "ablate": ["alignment", "--out", root / "study"],
    }


@pytest.mark.parametrize("command", ["plan", "explain", "bench", "export"])
@pytest.mark.parametrize("seed", ["-1", "4294967296", "one"])
def test_seeds_that_are_none_are_refused(tmp_path: Path, command: str, seed: str) -> None:
    result = run(command, *_arguments(tmp_path)[command], "--seed", seed)
    assert result.exit_code == 2 and "Invalid value for '--seed'" in result.output


@pytest.mark.parametrize("command", ["plan", "explain", "bench", "evaluate", "ablate"])
@pytest.mark.parametrize("threads", ["0", "-2", "many"])
def test_threads_that_are_none_are_refused(tmp_path: Path, command: str, threads: str) -> None:
    result = run(command, *_arguments(tmp_path)[command], "--threads", threads)
    assert result.exit_code == 2 and "Invalid value for '--threads'" in result.output


def test_a_driver_computes_with_the_threads_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        "aln_p3_core.driver.driver.Driver.from_recipe", lambda *_, **__: seen.append(torch.get_num_threads())
    )
    options: dict[str, Any] = {
        "recipe": "nano", "checkpoint": None, "overrides": (), "device": "cpu", "precision": "fp32",
        "compile_mode": "off", "seed": 0,
    }  # fmt: skip
    for threads in (1, 3):
        make_driver(**options, threads=threads)
    assert seen == [1, 3]


@pytest.mark.parametrize("size", ["0x-5", "8x8", "99999x99999", "800", "axb"])
def test_a_size_is_of_a_picture_that_can_be_painted(tmp_path: Path, size: str) -> None:
    result = run("track", tmp_path / "track", "--size", size)
    assert result.exit_code == 2 and ("16 to 8192 pixels" in result.output or "WIDTHxHEIGHT" in result.output)
    assert not (tmp_path / "track").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
def test_a_drive_has_a_length(tmp_path: Path, seconds: str) -> None:
    result = run("track", tmp_path / "track", "--seconds", seconds)
    assert result.exit_code == 2 and "--seconds" in result.output and not (tmp_path / "track").exists()
