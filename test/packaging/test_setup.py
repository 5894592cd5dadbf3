"""The set-up program: which Python it takes, what it asks the system for, and that it does nothing twice."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import setup_system
from setup_progress import Progress, SetupError
from setup_system import Python, find_python, install_packages, missing_packages

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def setup_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/setup.py with its environment in the test's folder. (`import setup` would take the root's setup.py.)"""
    specification = importlib.util.spec_from_file_location("setup_program", REPOSITORY / "scripts" / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(module, "VENV", tmp_path / "venv")
    return module


def test_wanted_python_is_taken() -> None:
    python = find_python(sys.executable, os.environ)
    assert python is not None
    assert python.version == RUNNING


def test_wanted_program_that_is_no_fitting_python_is_refused() -> None:
    with pytest.raises(SetupError, match="PYTHON=/bin/false does not run") as failure:
        find_python("/bin/false", os.environ)
    assert "3.11 or 3.12" in failure.value.advice


def test_system_packages_are_named_for_the_python_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_system.shutil, "which", lambda program: None if program == "ninja" else program)
    bare = Python("/usr/bin/python3", "3.12", has_headers=False, has_venv=False)
    assert missing_packages(bare) == ["ninja-build", "python3.12-dev", "python3.12-venv"]
    assert missing_packages(Python("/usr/bin/python3", "3.12", has_headers=True, has_venv=True)) == ["ninja-build"]
    assert "python3.11" in missing_packages(None)


def test_without_root_the_exact_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_system.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup_system.shutil, "which", lambda program: f"/usr/bin/{program}")
    with pytest.raises(SetupError) as failure:
        install_packages(["cmake", "g++"], Progress(tmp_path / "log"), os.environ, tmp_path)
    assert "\n    sudo apt-get install -y --no-install-recommends cmake g++" in failure.value.advice


def test_graphics_are_named_where_they_cannot_be_installed(
    setup_program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = "no headless OpenGL: apt-get install libegl1"
    monkeypatch.setattr(setup_program.Setup, "_rendering_problem", lambda self: problem)
    monkeypatch.setattr(setup_program, "can_install", lambda: False)
    setup_program.Setup().graphics()
    assert problem in capsys.readouterr().out


def test_graphics_are_installed_once(
    setup_program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(setup_program.Setup, "_rendering_problem", lambda self: "" if installed else "no EGL")
    monkeypatch.setattr(setup_program, "can_install", lambda: True)
    monkeypatch.setattr(setup_program, "install_packages", lambda packages, *_: installed.extend(packages))
    setup_program.Setup().graphics()
    assert installed == list(setup_system.GRAPHICS_PACKAGES)
    capsys.readouterr()
    setup_program.Setup().graphics()
    assert capsys.readouterr().out == ""


def test_graphics_packages_are_those_that_the_world_names() -> None:
    from aln_p3_core.world.render.available import SYSTEM_PACKAGES

    assert set(setup_system.GRAPHICS_PACKAGES) == set(SYSTEM_PACKAGES)


def test_failed_command_shows_the_end_of_its_output_and_the_advice(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "log")
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(SetupError, match="status 3") as failure:
        progress.run(command, "do this", os.environ, tmp_path)
    assert failure.value.advice == "do this"
    assert "the reason" in failure.value.tail


def test_step_is_fresh_only_with_the_same_key(setup_program: ModuleType) -> None:
    setup = setup_program.Setup()
    assert not setup.is_fresh("packages", "a")
    setup.stamp("packages", "a")
    assert setup.is_fresh("packages", "a")
    assert not setup.is_fresh("packages", "b")


def test_key_follows_contents_and_names_of_files(
    setup_program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(setup_program, "REPOSITORY", tmp_path)
    folder = tmp_path / "msg"
    folder.mkdir()
    (folder / "A.msg").write_text("bool a")
    first = setup_program.files_hash(folder, "cpu")
    assert setup_program.files_hash(folder, "cpu") == first
    assert setup_program.files_hash(folder, "cuda") != first
    (folder / "A.msg").write_text("bool b")
    second = setup_program.files_hash(folder, "cpu")
    assert second != first
    (folder / "A.msg").rename(folder / "B.msg")
    assert setup_program.files_hash(folder, "cpu") != second


def test_unknown_build_of_torch_is_refused(setup_program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH", "rocm")
    with pytest.raises(SetupError, match="TORCH=rocm is neither cpu nor cuda"):
        setup_program.Setup().run_all()


@pytest.mark.parametrize(("given", "chosen"), [("", "cpu"), ("cuda", "cuda")])
def test_installed_build_of_torch_is_kept_unless_another_is_asked_for(
    setup_program: ModuleType, monkeypatch: pytest.MonkeyPatch, given: str, chosen: str
) -> None:
    packages = ("python_packages", "language_weights", "ros_wheels")
    for step in ("virtual_environment", "torch", *packages, "messages", "graphics"):
        monkeypatch.setattr(setup_program.Setup, step, lambda _: None)
    monkeypatch.setattr(setup_program.Setup, "_sees_gpu", staticmethod(lambda: True))
    monkeypatch.setenv("TORCH", given)
    setup = setup_program.Setup()
    setup.stamp("torch", "cpu 2.0")
    setup.run_all()
    assert setup.torch_choice == chosen


def test_every_requirement_is_pinned() -> None:
    pins = {line.split("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line}
    text = (REPOSITORY / "setup.py").read_text()
    versioned = re.findall(r'[ \[]"([A-Za-z0-9_.-]+)[<>=]=', text)
    required = {name.lower() for name in [*versioned, *re.findall(r'"(ros-jazzy-[a-z-]+)"', text)]}
    assert len(required) > 20
    assert required - pins == set()
