"""`aln-p3 parity --metrics`: against released code where its values are there, and its bookkeeping everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_complete import shared_data

from aln_p3_core.commands.parity import command
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.detection_parity import check_detection
from aln_p3_core.evaluation.language.captions_parity import check_captions
from aln_p3_core.evaluation.language.hint_ad_parity import check_hint_ad
from aln_p3_core.evaluation.language.java import find_java
from aln_p3_core.evaluation.language.nuscenes_qa_parity import check_nuscenes_qa
from aln_p3_core.evaluation.language.tod3cap_parity import check_tod3cap
from aln_p3_core.evaluation.map_parity import check_map
from aln_p3_core.evaluation.metric_line import MetricLine
from aln_p3_core.evaluation.motion_parity import check_motion
from aln_p3_core.evaluation.parity import METRICS, NOT_YET, check_metrics

Check = Callable[[Path], Iterator[MetricLine]]


def test_the_page_tells_the_layout_of_every_metric() -> None:
    page = (Path(__file__).parents[3] / "docs" / "parity.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"| `{name}` |" not in page] == []


@pytest.fixture(scope="module")
def metrics(shared_dir: Path) -> Path:
    return shared_data(shared_dir / "oracle" / "metrics_a")


@pytest.mark.parametrize(
    ("name", "check", "at_least"),
    [("map", check_map, 170), ("motion", check_motion, 48), ("detection", check_detection, 160)],
)
def test_agrees_with_the_released_code(metrics: Path, name: str, check: Check, at_least: int) -> None:
    lines = list(check(metrics / name))
    assert [line for line in lines if not line.ok] == []
    assert len(lines) >= at_least and {line.folder for line in lines} == {name}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "check", "at_least"),
    [
        ("caption", check_captions, 254),
        ("hint_ad", check_hint_ad, 88),
        ("tod3cap", check_tod3cap, 37),
        ("nuscenes_qa", check_nuscenes_qa, 22),
    ],
)
def test_texts_agree_with_the_released_code(metrics: Path, name: str, check: Check, at_least: int) -> None:
    if name != "nuscenes_qa" and find_java() is None:
        pytest.skip("no Java here")
    test_agrees_with_the_released_code(metrics, name, check, at_least)


def test_the_command_tells_every_metric_and_a_verdict_last(metrics: Path, tmp_path: Path) -> None:
    for name in ("motion", "nuscenes_qa"):
        shutil.copytree(metrics / name, tmp_path / "m" / name)
    (tmp_path / "m" / "gravity").mkdir()
    result = CliRunner().invoke(command, ["--metrics", str(tmp_path / "m"), "--json", str(tmp_path / "report.json")])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == "ok: all 70 metrics agree" and lines[-2] == "not yet: gravity"
    assert any(line.startswith("motion/EPA_car ") and line.endswith("ok") for line in lines)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] and report["compared"] == 70 and report["not_yet"] == ["gravity"]


def test_a_wrong_value_is_noticed(metrics: Path, tmp_path: Path) -> None:
    shutil.copytree(metrics / "motion", tmp_path / "motion")
    path = tmp_path / "motion" / "expected.json"
    path.chmod(0o644)
    expected = json.loads(path.read_text())
    expected["final"]["EPA_car"] += 0.001
    path.unlink()
    path.write_text(json.dumps(expected))
    result = CliRunner().invoke(command, ["--metrics", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "FAIL: 1 of 48 metrics differ"
    assert [line.split()[0] for line in result.output.splitlines() if " FAIL" in line] == ["motion/EPA_car"]


def test_unknown_folders_are_not_yet(tmp_path: Path) -> None:
    (tmp_path / "gravity").mkdir()
    (line,) = check_metrics(tmp_path)
    assert (line.folder, line.ok, line.note) == ("gravity", True, NOT_YET)
    result = CliRunner().invoke(command, ["--metrics", str(tmp_path), "--json", str(tmp_path / "report.json")])
    assert result.exit_code == 1 and "ok: " not in result.output, "nothing was compared"
    assert "holds nothing to compare with (no metric has the name gravity)" in result.output
    assert not (tmp_path / "report.json").exists()


def test_a_metric_without_a_value_is_no_agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "map").mkdir()
    monkeypatch.setattr("aln_p3_core.evaluation.map_parity.check_map", lambda _: iter(()))
    with pytest.raises(DataError, match="map holds nothing to compare with"):
        list(check_metrics(tmp_path))


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sub-folder"):
        list(check_metrics(tmp_path))
    (tmp_path / "map").mkdir()
    with pytest.raises(DataError, match=r"inputs\.json"):
        list(check_metrics(tmp_path))
    for name in ("inputs", "expected"):
        (tmp_path / "map" / f"{name}.json").write_text("{}")
    with pytest.raises(DataError, match="class_names"):
        list(check_metrics(tmp_path / "map"))


def test_one_of_both_folders_must_be_given() -> None:
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 2 and "--metrics FOLDER" in result.output
