"""Exported files: what they hold, that they run without this package, and that a failed export leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from network_helpers import small_config, small_network

from aln_p3_core.config import from_dict
from aln_p3_core.driver.checkpoint import load_checkpoint
from aln_p3_core.errors import ConfigError
from aln_p3_core.runtime.deployed_graph import OUTPUT_NAMES, example_inputs, graph_inputs
from aln_p3_core.runtime.export import export_driver


@pytest.mark.slow
def test_onnx_file_tells_all_about_itself(exported_small: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported_small / "small.onnx")
    onnx.checker.check_model(model)
    config, _, checkpoint = load_checkpoint(exported_small / "small.safetensors")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert from_dict(json.loads(metadata["recipe"])) == config
    assert metadata["sha256"] == checkpoint["sha256"] and metadata["description"] == "a small one"
    assert json.loads(metadata["normalisation"])["mean"] == list(config.image.mean)
    assert json.loads(metadata["class_names"])["map"] == list(config.map.classes)
    assert metadata["opset"] == str(model.opset_import[0].version) == "18"
    assert metadata["version"] and metadata["cameras_per_cell"] == "2"
    shapes = {entry.name: [d.dim_value for d in entry.type.tensor_type.shape.dim] for entry in model.graph.input}
    assert shapes == {name: list(given.shape) for name, given in graph_inputs(config).items()}
    assert tuple(entry.name for entry in model.graph.output) == OUTPUT_NAMES
    assert {opset.domain for opset in model.opset_import} == {""}, "operators of ONNX itself only"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "run"),
    [
        (
            "small.onnx",
            "import onnxruntime; session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider']); "
            "outputs = session.run(None, dict(inputs)); metadata = session.get_modelmeta().custom_metadata_map",
        ),
        (
            "small.pt2",
            "import json, torch; files = {'metadata.json': ''}; program = torch.export.load(path, extra_files=files); "
            "outputs = program.module()(*(torch.from_numpy(array) for array in inputs.values())); "
            "metadata = json.loads(files['metadata.json'])",
        ),
    ],
)
def test_files_run_without_this_package(exported_small: Path, tmp_path: Path, name: str, run: str) -> None:
    config, _, _ = load_checkpoint(exported_small / "small.safetensors")
    np.savez(tmp_path / "inputs.npz", **example_inputs(config))
    code = (
        "import sys, numpy as np; sys.modules['aln_p3_core'] = None; path, inputs = sys.argv[1], np.load(sys.argv[2]); "
        f"{run}; assert np.isfinite(np.asarray(outputs[0])).all(); print(len(outputs), metadata['description'])"
    )
    command = [sys.executable, "-c", code, str(exported_small / name), str(tmp_path / "inputs.npz")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split(maxsplit=1) == [str(len(OUTPUT_NAMES)), "a small one\n"]


def test_wrong_settings_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    network = small_network(small_config())
    with pytest.raises(ConfigError, match="1 to 6, got 7"):
        export_driver(network, tmp_path / "a.onnx", "onnx", cameras_per_cell=7)
    with pytest.raises(ConfigError, match="onnx or torch"):
        export_driver(network, tmp_path / "a.engine", "tensorrt")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript.*pip install '\.\[export\]'"):
        export_driver(small_network(small_config()), tmp_path / "a.onnx", "onnx")
