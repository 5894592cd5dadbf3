"""`aln-p3 explain`, as a user calls it, with a tiny explainer."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result
from explainer_helpers import tiny_config

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.driver.driver import Driver
from aln_p3_core.explainer.checkpoint import save_explainer
from aln_p3_core.explainer.explainer import Explainer

SMALL = ["--set", "bev.rows=20", "--set", "bev.columns=10", "--set", "agents.queries=30", "--precision", "fp32"]
OVERRIDES = {"bev.rows": 20, "bev.columns": 10, "agents.queries": 30}


@pytest.fixture(scope="module")
def words(tiny_language: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained explainer that belongs to the untrained driver of `SMALL`."""
    driver = Driver.from_recipe("nano", overrides=OVERRIDES, precision="fp32", device="cpu")
    explainer = Explainer(tiny_config(tiny_language), driver_width=128, modes=6, steps=6, bev_shape=(20, 10))
    path = tmp_path_factory.mktemp("words") / "tiny.safetensors"
    save_explainer(path, explainer, driver_hash=driver.checkpoint_hash)
    return path


def run(root: Path, *arguments: object) -> Result:
    command = ["explain", "--data", root, "--device", "cpu", *arguments]
    return CliRunner().invoke(make_cli(CORE_COMMANDS), [str(argument) for argument in command])


def test_a_frame_is_explained_with_a_picture(track_root: Path, words: Path, tmp_path: Path) -> None:
    picture = tmp_path / "explained.png"
    question = ["--question", "Is there a bus?"]
    result = run(track_root, *SMALL, "--explainer", words, "--history", 1, "--max-new-tokens", 6, *question,
                 "--out", picture)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert re.search(r"^(said|narration): ", result.output, re.MULTILINE)
    assert "plan and objects: not checkable" in result.output and "(cut off)" in result.output
    assert re.search(r"^question: Is there a bus\?\nanswer: ", result.output, re.MULTILINE)
    image = cv2.imread(str(picture))
    assert image.shape[1] > 1600 and image[-100:].std() > 5, "words stand below"


def test_an_explainer_of_another_driver_is_refused(track_root: Path, words: Path) -> None:
    result = run(track_root, *SMALL, "--seed", 1, "--explainer", words)
    assert result.exit_code == 1 and "reads the tokens of the driver" in result.output
    assert "Traceback" not in result.output


def test_what_is_missing_is_told_before_a_driver_is_loaded(
    track_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aln_p3_core.commands.explain.make_driver", None)
    (tmp_path / "file").write_text("in the way")
    for arguments, message in (
        (["--explainer", "nobody.safetensors"], "nobody.safetensors"),
        (["--sample", "nonsense"], "nonsense"),
        (["--out", tmp_path / "file" / "a.png"], "is no folder"),
        (["--min-score", "7"], "0.0<=x<=1.0"),
    ):
        result = run(track_root, *arguments)
        assert result.exit_code in (1, 2) and message in result.output, (arguments, result.output)
