"""Where the package's own files are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_ros import resources
from aln_p3_ros.resources import is_installed, share_path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_source_tree_is_used_where_the_code_lies_in_one() -> None:
    assert share_path("config") == REPOSITORY / "config"
    assert share_path("launch").is_dir()
    assert share_path("rviz").is_dir()
    assert [path.name for path in resources.interface_files()] == sorted(p.name for p in REPOSITORY.glob("msg/*.msg"))


def test_what_is_missing_is_named_with_the_places_that_were_searched() -> None:
    with pytest.raises(ConfigError, match=r"config/no_such\.yaml .*sought: .*no_such\.yaml"):
        share_path("config", "no_such.yaml")


def test_a_program_counts_when_it_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert not is_installed("aln_p3", "driver_node")
    program = tmp_path / "lib" / "aln_p3" / "driver_node"
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "aln_p3"
    for path in (program, index):
        path.parent.mkdir(parents=True)
        path.touch(0o644)
    assert not is_installed("aln_p3", "driver_node"), "a file that cannot be executed"
    program.chmod(0o755)
    assert is_installed("aln_p3", "driver_node") and not is_installed("aln_p3", "view_node")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The Python code as an installation has it: not in a source tree."""
    site = tmp_path / "site"
    for package in ("aln_p3_core", "aln_p3_ros"):
        shutil.copytree(REPOSITORY / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    return site


def _ask_installed(site: Path, prefixes: list[Path]) -> subprocess.CompletedProcess[str]:
    code = "from aln_p3_ros.resources import share_path; print(share_path('config', 'driver.yaml'))"
    environment = {"PYTHONPATH": str(site), "AMENT_PREFIX_PATH": ":".join(map(str, prefixes)), "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-c", code], env=environment, cwd=site, capture_output=True, text=True)


def test_installed_code_skips_a_prefix_that_holds_the_messages_alone(installed: Path, tmp_path: Path) -> None:
    interfaces_only, whole = tmp_path / "environment", tmp_path / "workspace"
    (interfaces_only / "share" / "aln_p3").mkdir(parents=True)
    (interfaces_only / "share" / "aln_p3" / "package.xml").write_text("<package/>")
    config = whole / "share" / "aln_p3" / "config" / "driver.yaml"
    config.parent.mkdir(parents=True)
    config.touch()
    run = _ask_installed(installed, [interfaces_only, whole])
    assert run.stdout.strip() == str(config), run.stderr


def test_installed_code_without_a_sourced_workspace_says_what_to_do(installed: Path) -> None:
    run = _ask_installed(installed, [])
    assert run.returncode != 0
    assert "source the workspace" in run.stderr
