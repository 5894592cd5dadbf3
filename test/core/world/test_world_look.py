"""`aln-p3 world look`: pictures of an instant of an episode."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from render_helpers import depth_of, labels_of, needs_rendering, render_street

from aln_p3_core.commands.world_look import command
from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.drives import LogDrive
from aln_p3_core.world.look import depth_picture, label_picture, look_at, seen_boxes
from aln_p3_core.world.scenarios import make_episode
from aln_p3_core.world.weather import Condition, Weather

_PICTURES = {"cameras.png": (450, 1200), "truth.png": (900, 1200), "above.png": (900, 900)}


@needs_rendering
@pytest.mark.slow
def test_pictures_of_an_episode_and_the_same_again(tmp_path: Path) -> None:
    options = ["--condition", "rain", "--size", "400x225", "--samples", "0", "--time", "1"]
    sums = []
    for name in ("a", "b"):
        result = CliRunner().invoke(command, [*options, "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        sums.append({file.name: crc32(file.read_bytes()) for file in (tmp_path / name).iterdir()})
    assert sums[0] == sums[1]
    assert set(sums[0]) == {*_PICTURES, "boxes.png"}
    for name, size in _PICTURES.items():
        assert cv2.imread(str(tmp_path / "a" / name)).shape[:2] == size


@needs_rendering
def test_a_log_is_driven_by_its_human(shared_dir: Path) -> None:
    log = shared_dir / "data" / "mini_logs" / "scene-0061.npz"
    look = look_at(LogDrive(log, weather=Weather(Condition.DAY)), 1.5, None)
    human = look.opened.stage.recorded_ego
    assert human is not None and look.plan is None
    np.testing.assert_allclose(look.observation.state.ego.xy, human(1.5).xy, atol=1e-6)
    boxes = seen_boxes(look)
    assert len(boxes) > 3
    assert all(np.linalg.norm(box.center_model[:2]) < 150 for box in boxes)


@needs_rendering
def test_an_episode_has_no_human() -> None:
    with pytest.raises(ConfigError, match="name a planner"):
        look_at(make_episode("free_driving", "poplar-green", 0), 1.0, None)


@needs_rendering
def test_truth_as_pictures() -> None:
    view = render_street()["CAM_FRONT"]
    labels, depth = label_picture(view), depth_picture(view)
    assert labels.shape == depth.shape == view.color.shape
    shown = labels_of(view)
    assert labels[shown == 0].mean() > 2 * labels[shown < 0].mean()
    near = depth_of(view) < 8
    assert depth[near].mean() > 2 * depth[np.isinf(depth_of(view))].mean()


def test_a_log_brings_its_own_place(tmp_path: Path) -> None:
    log = tmp_path / "log.npz"
    log.touch()
    result = CliRunner().invoke(command, ["--log", str(log), "--city", "oak-dale", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2 and "leave out" in result.output
