"""A training that learns lines is refused where there are none to learn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from map_helpers import LOCATION
from run_helpers import small_training, write_split_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.training.data_check import check_expansions, learns_lines
from aln_p3_core.training.recipes import training_recipe

NO_LINES: dict[str, Any] = {
    f"losses.{name}": 0.0 for name in ("map_class", "map_points", "map_direction", "bev_raster")
}


@pytest.mark.parametrize(
    ("recipe", "changes", "learns"),
    [
        ("nano", {}, True),
        ("base", {}, True),
        ("nano_joint", {}, True),
        ("nano_speak", {}, False),
        ("nano_planner", {}, False),
        ("nano", NO_LINES, False),
        ("nano", NO_LINES | {"losses.bev_raster": 1.0}, True),
        ("nano", {"stages.0.perception_weight": 0.0}, False),
    ],
)
def test_who_learns_lines(recipe: str, changes: dict[str, Any], learns: bool) -> None:
    assert learns_lines(training_recipe(recipe, changes)[1]) is learns


def test_a_root_without_any_map_is_refused_by_trainings_that_learn_lines(make_root: Callable[..., Path]) -> None:
    root = write_split_scenes(make_root)
    dataset = NuScenesDataset(root)
    learnt, checked = dataset.scenes[:2], dataset.scenes[2:]
    _, config = small_training()
    (told,) = check_expansions(dataset, learnt, checked, config)
    assert "no CAN bus of 3 of 3 scenes" in told
    shutil.rmtree(root / "maps" / "expansion")
    with pytest.raises(DataError, match=rf"maps/expansion/LOCATION\.json.*no map of {LOCATION}.*losses\.map_class=0"):
        check_expansions(dataset, learnt, checked, config)
    # To validate with they are told and not refused; so for those who learn no lines.
    assert f"no map of {LOCATION} (3 of 3 scenes" in check_expansions(dataset, (), dataset.scenes, config)[0]
    _, without = small_training(**{name.replace(".", "__"): value for name, value in NO_LINES.items()})
    assert len(check_expansions(dataset, learnt, checked, without)) == 2
