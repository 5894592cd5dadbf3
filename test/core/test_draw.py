"""`aln-p3 draw` on the painted test track, and ground truth as content."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.drawing.content import content_of_targets
from aln_p3_core.synthetic.root import write_root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("track") / "root"
    write_root(path, seconds=1.1, size=(160, 90))
    return path


def test_two_pictures_a_sample(root: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        make_cli(CORE_COMMANDS), ["draw", str(root), "--all", "--out", str(tmp_path / "out"), "--width", "640"]
    )
    assert result.exit_code == 0, result.output
    tokens = NuScenesDataset(root).tokens
    assert len(tokens) > 1
    for token in tokens:
        mosaic = cv2.imread(str(tmp_path / "out" / f"{token}_mosaic.png"))
        assert mosaic.shape[1] == 640
        assert cv2.imread(str(tmp_path / "out" / f"{token}_bev.png")).shape[0] == 320
        assert f"{token}_mosaic.png" in result.output


def test_an_unknown_sample_is_named(root: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(make_cli(CORE_COMMANDS), ["draw", str(root), "--sample", "x1", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "'x1'" in result.output


def test_truth_becomes_content(root: Path) -> None:
    dataset = NuScenesDataset(root)
    targets = dataset.targets(dataset.tokens[0])
    content = content_of_targets(targets)
    assert len(content.boxes) == len(targets) > 0
    for i, box in enumerate(content.boxes):
        np.testing.assert_allclose(box.center_model, targets.centers_model[i])
        assert box.score is None
        recorded = int(targets.future_mask[i].sum())
        assert box.forecasts_model.shape == ((1, recorded, 2) if recorded else (0, 0, 2))
        assert np.isfinite(box.velocity_model).all()
    assert content.plan is not None
    assert len(content.plan.points_model) == targets.ego_future_mask.sum()
    assert content.plan.mean_speed == pytest.approx(8.0, abs=0.2)
