"""`aln-p3 export` and `aln-p3 bench --runtime`, as a user calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_helpers import run
from network_helpers import SMALL

from aln_p3_core.driver.checkpoint import load_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.runtime.loading import load_driver

SETTINGS = [
    part
    for key, value in {**SMALL, "bev.layers": 1, "agents.layers": 1, "map.layers": 1}.items()
    for part in ("--set", f"{key}={json.dumps(value)}")
]
FEW = ("--image-size", "400x225", "--frames", "3", "--warm-up", "1")


@pytest.mark.slow
def test_export_writes_a_file_and_checks_it_on_frames(track_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "driver.pt2"
    result = run("export", "nano", *SETTINGS, "--format", "torch", "--out", out, "--check", track_root, "--frames", "2")
    assert result.exit_code == 0, result.output
    assert out.stat().st_size > 1e6 and [path.name for path in out.parent.iterdir()] == ["driver.pt2"]
    assert "plan_offsets_B3T2" in result.output and result.output.endswith("equal within rounding\n")
    assert f"2 frames of {track_root}" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["huge"], "no recipe is named 'huge'"),
        (["gone.safetensors"], "no checkpoint at gone.safetensors"),
        (["nano", "--cameras-per-cell", "9"], "1 to 6, got 9"),
        (["nano", "--set", "bev.row=3"], "did you mean bev.rows"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run("export", *arguments, "--out", tmp_path / "x.onnx")
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["driver.onnx", "link.onnx", "there/../driver.onnx", "hard.onnx"])
def test_a_checkpoint_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    """By its own name, a link or a way round; its ending is that of what would be written."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "driver.safetensors"
    file.write_bytes(b"weights")
    (tmp_path / "there").mkdir()
    for name in ("driver.onnx", "link.onnx"):
        (tmp_path / name).symlink_to(file)
    (tmp_path / "hard.onnx").hardlink_to(file)
    result = run("export", "driver.safetensors", "--out", out)
    assert result.exit_code == 2 and "would be lost" in result.output, result.output
    beside = run("export", file)  # the file beside it, driver.onnx
    assert beside.exit_code == 2 and "would be lost" in beside.output, beside.output
    assert file.read_bytes() == b"weights" and (tmp_path / out).read_bytes() == b"weights"


def test_what_can_be_told_from_the_arguments_is_told_before_a_driver_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aln_p3_core.driver.Driver.from_checkpoint", None)
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "exported.onnx").write_bytes(b"graph")
    (tmp_path / "empty").mkdir()
    out = ("--out", tmp_path / "x.onnx")
    for arguments, message in (
        (["nano", "--out", tmp_path / "file" / "x.onnx"], "is no folder"),
        (["nano", "--out", tmp_path / "driver.safetensors"], "--out must end in .onnx"),
        (["nano", "--format", "torch", *out], "--out must end in .pt2"),
        ([tmp_path / "exported.onnx"], "is exported already"),
        (["nano", *out, "--check", tmp_path / "empty"], "holds no v1.0-* folder"),
        (["nano", *out, "--cameras-per-cell", "0"], "x>=1"),
        (["nano", *out, "--seed", "-1"], "0<=x"),
    ):
        result = run("export", *arguments)
        assert result.exit_code in (1, 2) and message in result.output, (arguments, result.output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "exported.onnx", "file"]


@pytest.mark.slow
def test_bench_compares_runtimes_in_one_table(
    exported_small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is exported first; here the file that such an export has written takes its place."""
    file = exported_small / "small.safetensors"
    config, _, metadata = load_checkpoint(file)
    digest, description = metadata["sha256"], load_driver(file).description
    asked: list[tuple[object, ...]] = []

    def export(network: DriverNetwork, out: Path, format: str, *, description: str, weights_hash: str) -> None:
        asked.append((network.config, out.suffix, format, description, weights_hash))
        shutil.copy(exported_small / "small.onnx", out)

    monkeypatch.setattr("aln_p3_core.runtime.export.export_driver", export)
    path = tmp_path / "bench.json"
    settings = ("--precision", "fp32", "--threads", "1", "--runtime", "eager,onnx", "--json", path)
    result = run("bench", "--checkpoint", file, *FEW, *settings)
    assert result.exit_code == 0, result.output
    assert asked == [(config, ".onnx", "onnx", description, digest)]
    table = [line.split() for line in result.output.splitlines() if line.startswith(("eager", "onnx"))]
    assert [row[:2] for row in table] == [["eager", "fp32"], ["onnx", "fp32"]]
    assert float(table[0][-1]) == 1.0 and float(table[1][-1]) > 0
    figures = json.loads(path.read_text())
    assert figures["eager"]["checkpoint_hash"] == figures["onnx"]["checkpoint_hash"] == digest
    assert "backbone" in figures["eager"]["stages_ms"] and "network" in figures["onnx"]["stages_ms"]
    assert figures["onnx"]["threads"] == 1


@pytest.mark.slow
def test_bench_of_an_exported_file(exported_small: Path) -> None:
    file = ("--checkpoint", exported_small / "small.onnx")
    result = run("bench", *file, *FEW)
    assert result.exit_code == 0, result.output
    assert "network" in result.output and "ONNX Runtime" in result.output
    for runtime, message in (("eager", "needs a recipe"), ("tensorrt", "takes eager, compiled, onnx"), ("", "takes")):
        refused = run("bench", *file, *FEW, "--runtime", runtime)
        assert refused.exit_code != 0 and message in refused.output
