"""The tree as an ordinary ROS 2 package: `colcon build` with the ament wheels, and what it installs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from build_interfaces import build_environment

pytestmark = [pytest.mark.build, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parents[2]
EXECUTABLES = ("driver_node", "replay_node", "simulator_node", "adapter_node", "view_node", "lifecycle_manager")


def _build(tree: Path, prefix: Path) -> None:
    arguments = [
        f"-DPython3_EXECUTABLE={prefix / 'bin' / 'python3'}",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=Debug",
    ]
    command = [str(prefix / "bin" / "colcon"), "build", "--cmake-args", "-G", "Ninja", *arguments]
    # Otherwise colcon tells ninja to hold back while the machine is busy, which a test machine is.
    environment = {**build_environment(prefix), "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def _in_workspace(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a shell of its own that has sourced the workspace and nothing else."""
    environment = {"PATH": os.defpath, "HOME": str(tree), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    script = f"source {tree / 'install' / 'local_setup.bash'} && {command}"
    # Not in the tree itself: `python -c` looks for modules in the working directory first.
    return subprocess.run(["bash", "-c", script], cwd=tree.parent, env=environment, capture_output=True, text=True)


def test_workspace_has_messages_modules_executables_and_files(
    copy_sources: Callable[[], Path], wheels_prefix: Path
) -> None:
    tree = copy_sources()
    # As a user has it: the environment lies in the source tree.
    prefix = tree / ".venv"
    prefix.symlink_to(wheels_prefix)
    python = prefix / "bin" / "python3"
    _build(tree, prefix)
    install = tree / "install" / "aln_p3"

    # Python: the installed copies are imported, not the sources of the environment's editable install.
    imports = (
        "import aln_p3_core, aln_p3_ros; from aln_p3.msg import PlannedTrajectory; from aln_p3.srv import Reset;"
        "PlannedTrajectory.__class__.__import_type_support__();"
        "from aln_p3_ros.resources import share_path; from ament_index_python import get_package_prefix as prefix;"
        "from aln_p3_core.weights import shipped_checkpoint;"
        "print(prefix('aln_p3'), aln_p3_core.__file__, aln_p3_ros.__file__, share_path('config'), shipped_checkpoint(),"
        "sep='\\n')"
    )
    run = _in_workspace(tree, f'{python} -c "{imports}"')
    assert run.returncode == 0, run.stderr
    assert all(line.startswith(str(install)) for line in run.stdout.split()), run.stdout

    # Executables, where `ros2 run` looks for them.
    for name in EXECUTABLES:
        executable = install / "lib" / "aln_p3" / name
        assert os.access(executable, os.X_OK), executable
        assert executable.read_text().startswith(f"#!{python}\n")
        # The file that `colcon build --symlink-install` links to.
        assert os.access(tree / "build" / "aln_p3" / "executables" / name, os.X_OK), name
    run = _in_workspace(tree, str(install / "lib" / "aln_p3" / "replay_node"))
    assert run.returncode == 1
    assert run.stderr.startswith("replay_node: "), "it starts, and asks for what to replay"
    run = _in_workspace(tree, "aln-p3 --version")
    assert run.returncode == 0, run.stderr

    for folder in ("launch", "config", "rviz"):
        sources = {path.relative_to(tree) for path in (tree / folder).rglob("*") if path.is_file()}
        assert {path for path in sources if not (install / "share" / "aln_p3" / path).is_file()} == set()

    # An edit arrives with the next build.
    module = tree / "aln_p3_core" / "__init__.py"
    module.write_text(module.read_text() + 'EDIT = "second build"\n')
    _build(tree, prefix)
    run = _in_workspace(tree, f'{python} -c "import aln_p3_core; print(aln_p3_core.EDIT)"')
    assert run.stdout.strip() == "second build", run.stderr


def test_programs_are_executable_before_they_are_installed(tmp_path: Path, wheels_prefix: Path) -> None:
    """`colcon build --symlink-install` links to them as CMake has configured them."""
    lists = (REPOSITORY / "CMakeLists.txt").read_text()
    (configured,) = re.findall(r"configure_file\(.*?\)\n", lists, re.DOTALL)
    template = tmp_path / "scripts" / "executable.py.in"
    template.parent.mkdir()
    shutil.copy(REPOSITORY / "scripts" / "executable.py.in", template)
    template.chmod(0o644)
    script = tmp_path / "configure.cmake"
    names = f'set(ALN_P3_MODULE cli)\nset(Python3_EXECUTABLE python3)\nset(executable "{tmp_path / "cli"}")\n'
    script.write_text(names + configured)
    subprocess.run(["cmake", "-P", str(script)], cwd=tmp_path, check=True)
    assert os.access(tmp_path / "cli", os.X_OK)
    assert "from aln_p3_ros.cli import main" in (tmp_path / "cli").read_text()


@pytest.mark.parametrize(("version", "fits"), [("3.10.12", False), ("3.11.0", True), ("3.12.3", True)])
def test_a_python_that_is_too_old_is_named(tmp_path: Path, wheels_prefix: Path, version: str, fits: bool) -> None:
    lists = (REPOSITORY / "CMakeLists.txt").read_text()
    (check,) = re.findall(r"if\(Python3_VERSION .*?endif\(\)\n", lists, re.DOTALL)
    script = tmp_path / "check.cmake"
    script.write_text(f"set(Python3_VERSION {version})\nset(Python3_EXECUTABLE /usr/bin/python3)\n{check}")
    run = subprocess.run(["cmake", "-P", str(script)], capture_output=True, text=True)
    assert (run.returncode == 0) is fits
    if not fits:
        said = " ".join(run.stderr.split())
        assert f"/usr/bin/python3 is Python {version}" in said and "ALN_P3_INTERFACES_ONLY=ON" in said
    # The same as pip asks for.
    needed = re.search(r'python_requires=">=([\d.]+)"', (REPOSITORY / "setup.py").read_text())[1]
    assert f"VERSION_LESS {needed})" in check


def test_environment_has_no_installed_copy_of_the_sources(wheels_prefix: Path) -> None:
    copies = [path for name in ("aln_p3_core", "aln_p3_ros") for path in wheels_prefix.glob(f"lib/python3*/*/{name}")]
    assert copies == [], "a copy shadows the sources: the set-up installs the interfaces only"
