from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from run_complete import shared_data

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.planning_parity import check_planning


@pytest.fixture(scope="module")
def oracle(shared_dir: Path) -> Path:
    return shared_data(shared_dir / "oracle" / "metrics_a" / "planning")


def test_every_value_of_the_released_code(oracle: Path) -> None:
    lines = list(check_planning(oracle))
    assert len(lines) > 60
    assert [line for line in lines if not line.ok] == []
    by_step = [line for line in lines if ("col" in line.name and "by step" in line.name) or "occupancy" in line.name]
    assert len(by_step) > 8
    assert all(line.max_abs == 0.0 for line in by_step)


def test_a_changed_value_is_found(oracle: Path, tmp_path: Path) -> None:
    for name in ("inputs.npz", "expected.json"):
        shutil.copy(oracle / name, tmp_path)
    with np.load(oracle / "expected.npz") as file:
        expected = dict(file)
    expected["vad_obj_box_col_step"][3, 2] = 1 - expected["vad_obj_box_col_step"][3, 2]
    np.savez(tmp_path / "expected.npz", **expected)
    assert [line.name for line in check_planning(tmp_path) if not line.ok] == ["vad obj_box_col by step"]


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"inputs\.npz"):
        list(check_planning(tmp_path))
