"""`make test` and `make pytest`, with programs in place of the real ones that tell what they were asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


class Tree:
    """A folder with the Makefile, and programs that write their calls into `calls` and end as they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        shutil.copy(REPOSITORY / "Makefile", folder)
        (folder / "scripts").mkdir()
        (folder / "scripts" / "setup.py").write_text("")
        (folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("ruff", "mypy", "pytest"):
            self.program(name)

    def program(self, name: str, *, says: str = "", status: int = 0) -> None:
        told = f'echo "{name} $* threads=$OMP_NUM_THREADS domain=$ROS_DOMAIN_ID" >> "{self.calls}"'
        path = self.folder / ".venv" / "bin" / name
        path.write_text(f"#!/bin/bash\n{told}\necho '{says}'\nexit {status}\n")
        path.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return subprocess.run(
            ["make", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )

    def asked(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(f"{name} ")]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_all_that_is_tested(tree: Tree) -> None:
    done = tree.make("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(tree.asked("ruff")) == 2 and len(tree.asked("mypy")) == 1
    core, others = tree.asked("pytest")
    assert "--dist loadfile test/core threads=1" in core
    assert "--maxprocesses 2 --dist loadfile test/packaging test/ros threads=1" in others
    assert 1 <= int(others.rpartition("domain=")[2]) <= 100


@pytest.mark.parametrize("name", ["ruff", "mypy", "pytest"])
def test_the_failure_of_one_is_that_of_all_and_is_seen(tree: Tree, name: str) -> None:
    tree.program(name, says=f"what {name} found", status=1)
    done = tree.make("test")
    assert done.returncode != 0 and f"what {name} found" in done.stdout
    if name != "ruff":
        assert len(tree.asked("pytest")) == 2, "all tests run, whatever fails"


def test_chosen_tests_run_in_one_process(tree: Tree) -> None:
    assert tree.make("pytest", "ARGS=-k name").returncode == 0
    (asked,) = tree.asked("pytest")
    assert asked.startswith("pytest -k name threads= domain=")
    tree.program("pytest", status=1)
    assert tree.make("pytest", "ARGS=-k name").returncode != 0
