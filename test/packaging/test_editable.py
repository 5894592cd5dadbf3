"""Messages from CMake and Python from an editable install live in one environment without destroying each other."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from build_interfaces import build_interfaces

pytestmark = [pytest.mark.build, pytest.mark.slow]

#: Enough of the interfaces for the question, so that the build stays short.
INTERFACES = {"RouteCommand.msg", "Float16Tensor.msg", "Reset.srv"}


def _make_environment(prefix: Path, wheels_prefix: Path) -> dict[str, str]:
    """A virtual environment at `prefix` that sees the packages of the running one, and the variables it runs under."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    packages = Path(sysconfig.get_path("purelib"))
    site = prefix / packages.relative_to(wheels_prefix)
    # A plain line: the .pth files over there (the project's own editable install among them) are not read.
    (site / "wheels.pth").write_text(f"{packages}\n")
    libraries = [prefix / "lib", wheels_prefix / "lib", *packages.glob("ros_*.libs")]
    inherited = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**inherited, "PATH": os.defpath, "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}


def _pip_install(tree: Path, prefix: Path) -> None:
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install", *options, "-e", "."]
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_edit_and_messages_survive_each_others_installation(
    copy_sources: Callable[[], Path], wheels_prefix: Path, tmp_path: Path
) -> None:
    tree, prefix = copy_sources(), tmp_path / "venv"
    for path in [*tree.glob("msg/*.msg"), *tree.glob("srv/*.srv")]:
        if path.name not in INTERFACES:
            path.unlink()
    environment = _make_environment(prefix, wheels_prefix)

    def install_interfaces() -> None:
        build_interfaces(tree, tmp_path / "build", prefix, packages_from=wheels_prefix)

    def ask(code: str) -> str:
        command = [str(prefix / "bin" / "python"), "-c", code]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    use_message = (
        "from aln_p3.msg import RouteCommand; RouteCommand.__class__.__import_type_support__();"
        "print(RouteCommand(command=RouteCommand.LEFT).command, __import__('aln_p3').__file__)"
    )
    use_edit = "import aln_p3_core; print(aln_p3_core.EDIT, aln_p3_core.__file__)"
    module = tree / "aln_p3_core" / "__init__.py"

    install_interfaces()
    _pip_install(tree, prefix)
    module.write_text(module.read_text() + "EDIT = 1\n")
    _pip_install(tree, prefix)
    assert ask(use_message).startswith(f"1 {prefix}")
    assert ask(use_edit) == f"1 {module}"
    use_weights = "from aln_p3_core.weights import shipped_checkpoint; print(shipped_checkpoint())"
    assert ask(use_weights) == str(tree / "aln_p3_core" / "weights" / "nano.safetensors")

    # The other order: the interfaces again, over the editable install.
    install_interfaces()
    module.write_text(module.read_text().replace("EDIT = 1", "EDIT = 2"))
    assert ask(use_message).startswith(f"1 {prefix}")
    assert ask(use_edit) == f"2 {module}"
    assert list(prefix.glob("lib/python3*/site-packages/aln_p3_core")) == []
