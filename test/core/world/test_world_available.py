"""Rendering beside torch: two LLVMs in one process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aln_p3_core.world.render.available import rendering_problem

REPOSITORY = Path(__file__).resolve().parents[3]


def _run(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder) for folder in (*folders, REPOSITORY))
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )


def test_triton_is_loaded_before_the_driver_of_opengl(tmp_path: Path) -> None:
    (tmp_path / "triton.py").write_text("LOADED = True\n")
    (tmp_path / "moderngl.py").write_text(
        "import sys\n"
        "def create_context(**_):\n"
        "    raise RuntimeError('triton came first' if 'triton' in sys.modules else 'triton is missing')\n"
    )
    code = "from aln_p3_core.world.render.available import rendering_problem; print(rendering_problem())"
    assert "triton came first" in _run(code, tmp_path).stdout


def test_a_broken_triton_keeps_nobody_from_rendering(tmp_path: Path) -> None:
    (tmp_path / "triton.py").write_text("raise OSError('no driver')\n")
    code = "from aln_p3_core.world.render.available import rendering_problem; print(rendering_problem())"
    run = _run(code, tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(rendering_problem())


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed (no CUDA build of torch)"
)
def test_the_compiler_of_torch_loads_after_rendering() -> None:
    if rendering_problem():
        pytest.skip(str(rendering_problem()))
    code = (
        "from aln_p3_core.world.render.available import rendering_problem; assert rendering_problem() is None\n"
        "import torch._dynamo; print('both')"
    )
    run = _run(code)
    assert run.stdout.strip() == "both", run.stderr[-2000:]
