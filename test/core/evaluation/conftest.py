"""Small things to evaluate: a root of two scenes, and a driver that is quick."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from aln_p3_core.config import get_recipe, with_overrides
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork

SMALL_RECIPE = {"bev.rows": 20, "bev.columns": 10, "agents.queries": 20, "map.instances": 10}


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained nano with a coarse BEV and few queries, as a checkpoint that tells of its training."""
    config = with_overrides(get_recipe("nano"), SMALL_RECIPE)
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    save_checkpoint(path, DriverNetwork(config), config, {"steps": "7"})
    return path


@pytest.fixture(scope="session")
def two_scenes(track_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test track cut into two scenes of two key frames each: split "val" has both, "mini" the second.

    The expert would drive straight on at 8 m/s, so that every frame has a whole future.
    """
    root = tmp_path_factory.mktemp("two") / "root"
    shutil.copytree(track_root, root)
    folder = root / "v1.0-track"
    samples = json.loads((folder / "sample.json").read_text())
    scenes = json.loads((folder / "scene.json").read_text())
    half = len(samples) // 2
    first, second = samples[:half], samples[half:]
    scenes = [
        scenes[0] | {"name": "scene-0001", "nbr_samples": half, "last_sample_token": first[-1]["token"]},
        scenes[0] | {"token": "second", "name": "scene-0002", "nbr_samples": len(second),
                     "first_sample_token": second[0]["token"]},
    ]  # fmt: skip
    for row in second:
        row["scene_token"] = "second"
    first[-1]["next"] = second[0]["prev"] = ""
    (folder / "sample.json").write_text(json.dumps(samples))
    (folder / "scene.json").write_text(json.dumps(scenes))
    (folder / "splits.json").write_text(json.dumps({"val": ["scene-0001", "scene-0002"], "mini": ["scene-0002"]}))
    times = [0.5 * k for k in range(8)]
    plan = {
        "source": "expert",
        "times_s": times,
        "points_ego": [[8.0 * t, 0.0] for t in times],
        "headings_ego": [0.0] * len(times),
    }
    (root / "expert_plan.json").write_text(json.dumps({row["token"]: plan for row in samples}))
    return root
