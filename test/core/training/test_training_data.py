"""What a run reads is opened: by all processes, whose first one keeps the tables."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_helpers import small_training, write_split_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import DataError
from aln_p3_core.training import used_roots
from aln_p3_core.training.training_data import open_data, prepare_frames


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[NuScenesDataset]]:
    """Every data set that was opened, alive or not."""
    known: list[weakref.ref[NuScenesDataset]] = []

    def remembered(root: Path) -> NuScenesDataset:
        dataset = NuScenesDataset(root)
        known.append(weakref.ref(dataset))
        return dataset

    monkeypatch.setattr(used_roots, "NuScenesDataset", remembered)
    return known


def test_only_the_first_process_keeps_the_tables(
    make_root: Callable[..., Path], tmp_path: Path, opened: list[weakref.ref[NuScenesDataset]]
) -> None:
    root = write_split_scenes(make_root)
    driver, config = small_training()
    network = DriverNetwork(driver)
    clips = []
    for rank, alive in ((0, True), (1, False)):
        data = open_data([root], network, config, cache=tmp_path / "cache", jobs=1, process=(rank, 2), progress=False)
        gc.collect()
        assert (opened[-1]() is not None) is alive and len(data.datasets) == alive
        clips.append((len(data.clips), data.chosen, data.weights.tolist()))
    assert clips[0] == clips[1]


def test_a_training_and_what_prepares_for_it_refuse_a_root_without_maps_and_tell_what_is_missing(
    make_root: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_split_scenes(make_root)
    driver, config = small_training()
    options: dict[str, Any] = {"cache": tmp_path / "cache", "jobs": 1, "progress": False}
    assert prepare_frames([root], driver, config, **options) == 24
    assert "no CAN bus of 3 of 3 scenes" in capsys.readouterr().out
    network = DriverNetwork(driver)
    open_data([root], network, config, process=(1, 2), **options)
    assert "no CAN bus" not in capsys.readouterr().out  # the first process tells it
    shutil.rmtree(root / "maps" / "expansion")
    with pytest.raises(DataError, match="no map expansion"):
        prepare_frames([root], driver, config, **options)
    with pytest.raises(DataError, match="no map expansion"):
        open_data([root], network, config, **options)
