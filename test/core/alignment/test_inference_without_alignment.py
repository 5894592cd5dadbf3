"""A tree without `aln_p3_core/alignment` drives and speaks as the whole one does, bit for bit."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import inference_worker
import numpy as np
import pytest
import torch

import aln_p3_core
from aln_p3_core.driver.checkpoint import load_checkpoint
from aln_p3_core.explainer.checkpoint import save_explainer
from aln_p3_core.explainer.explainer import Explainer

sys.path.insert(0, str(Path(__file__).parents[1] / "explainer"))
from explainer_helpers import tiny_config, write_tiny_language_model

SOURCE = Path(aln_p3_core.__file__).parents[1]
#: What trains, compares the losses of trainings, or reads their settings.
TRAINING_COMMANDS = {
    *(f"aln_p3_core/commands/{name}.py" for name in ("train", "recipes", "parity")),
    "aln_p3_core/studies/study_file.py",
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies of the packages, whole and without the alignments; weights are linked."""
    folder = tmp_path_factory.mktemp("trees")
    whole, lean = folder / "whole", folder / "lean"
    for package in inference_worker.PACKAGES:
        shutil.copytree(SOURCE / package, whole / package, ignore=shutil.ignore_patterns("weights"))
    (whole / "aln_p3_core" / "weights").symlink_to(SOURCE / "aln_p3_core" / "weights")
    shutil.copytree(whole, lean, symlinks=True)
    shutil.rmtree(lean / "aln_p3_core" / "alignment")
    return {"whole": whole, "lean": lean}


@pytest.fixture(scope="module")
def explainer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained explainer of the shipped driver; its adapter says something other than the language model."""
    folder = tmp_path_factory.mktemp("explainer")
    driver, _, metadata = load_checkpoint("nano")
    torch.manual_seed(0)
    explainer = Explainer(
        replace(tiny_config(write_tiny_language_model(folder / "language")), agent_score=0.0),
        driver_width=driver.embed_dims,
        modes=driver.agents.modes,
        steps=driver.planner.steps,
        bev_shape=(driver.bev.rows, driver.bev.columns),
    )
    for name, parameter in explainer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    save_explainer(folder / "explainer.safetensors", explainer, driver_hash=metadata["sha256"])
    return folder / "explainer.safetensors"


def started(folder: Path, mode: str, tree: Path, *files: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, inference_worker.__file__, mode, str(tree), *map(str, files)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(worker: subprocess.Popen[str]) -> list[str]:
    """Lines of a worker that has to succeed."""
    lines, errors = worker.communicate(timeout=600)
    assert worker.returncode == 0, errors
    return lines.splitlines()


def same_bits(one: np.ndarray, two: np.ndarray) -> bool:
    return (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())


@pytest.mark.slow
def test_outputs_are_bit_identical(trees: dict[str, Path], explainer_file: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.npz" for name in trees}
    for worker in [started(tmp_path, "run", tree, explainer_file, files[name]) for name, tree in trees.items()]:
        printed(worker)
    whole, lean = np.load(files["whole"]), np.load(files["lean"])
    assert whole.files == lean.files
    assert not [name for name in whole.files if not same_bits(whole[name], lean[name])]
    # All of it is there, and it is no row of zeros.
    assert len({whole[f"frame {index} scene.plan.trajectories_model"].tobytes() for index in range(3)}) == 3
    assert np.ptp(whole["frame 2 network.bev_BRSD"]) > 0 and len(whole["frame 2 scene.agents.scores"]) > 0
    logits = [whole[name] for name in whole.files if name.startswith("logits")]
    assert len(logits) > 6 and all(np.isfinite(each).all() and np.ptp(each) > 0 for each in logits)
    assert len(str(whole["explanation.text"])) > 2 and len(str(whole["answer.text"])) > 2


@pytest.mark.slow
def test_all_modules_but_those_of_trainings_import_without_it(trees: dict[str, Path], tmp_path: Path) -> None:
    imported = set(printed(started(tmp_path, "imports", trees["lean"])))
    assert {"aln_p3_core.cli", "aln_p3_core.driver.driver", "aln_p3_core.explainer.checkpoint"} <= imported
    assert {"aln_p3_core.runtime.export", "aln_p3_core.evaluation.evaluate"} <= imported
    if all(importlib.util.find_spec(name) for name in ("rclpy", "aln_p3")):
        assert {"aln_p3_ros.driver_node", "aln_p3_ros.explainer_node"} <= imported


def imported_names(path: Path) -> Iterator[str]:
    """Modules, and what is taken from them, wherever in a file they are imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_trainings_import_it() -> None:
    """Imports within functions too, which no start of a program shows."""
    importers: dict[str, set[str]] = {inference_worker.ALIGNMENT: set(), inference_worker.TRAINING: set()}
    for path in (path for package in inference_worker.PACKAGES for path in (SOURCE / package).rglob("*.py")):
        names = [f"{name}." for name in imported_names(path)]
        for package, files in importers.items():
            if any(name.startswith(f"{package}.") for name in names):
                files.add(path.relative_to(SOURCE).as_posix())
    of_trainings = ("aln_p3_core/alignment/", "aln_p3_core/training/")
    outside = {package: {f for f in files if not f.startswith(of_trainings)} for package, files in importers.items()}
    assert "aln_p3_core/training/joint.py" in importers[inference_worker.ALIGNMENT]
    assert outside[inference_worker.ALIGNMENT] == set()
    assert outside[inference_worker.TRAINING] == TRAINING_COMMANDS
