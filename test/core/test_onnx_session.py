"""Driving with exported files: the same plans as the network, the same rules of memory, clear words when it fails."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from aln_p3_core.driver import Driver
from aln_p3_core.driver.frame_driver import FrameDriver
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.frame import EgoStatus
from aln_p3_core.runtime.export_check import compare_drivers
from aln_p3_core.runtime.exported_driver import read_metadata
from aln_p3_core.runtime.loading import load_driver
from aln_p3_core.runtime.onnx_session import OnnxDriver
from aln_p3_core.runtime.program_session import ProgramDriver
from aln_p3_core.synthetic.frames import track_frames

pytestmark = pytest.mark.slow
STATUS = EgoStatus(np.array([5.0, 0.1, 0]), np.array([1.0, 0, 0]), np.array([0, 0, 0.1]))


@pytest.fixture(scope="module")
def frames():
    """A fresh start, memory, and a lost camera; a car that moves."""
    made = [dataclasses.replace(frame, ego_status=STATUS) for frame in track_frames(3, rate_hz=2.0, size=(400, 225))]
    views = {name: view for name, view in made[2].views.items() if name != "CAM_FRONT_LEFT"}
    return [*made[:2], dataclasses.replace(made[2], views=views)]


@pytest.fixture(scope="module")
def eager(exported_small: Path) -> Driver:
    return Driver.from_checkpoint(exported_small / "small.safetensors", device="cpu", precision="fp32")


@pytest.fixture(scope="module", params=["small.onnx", "small.pt2"])
def exported(request: pytest.FixtureRequest, exported_small: Path) -> FrameDriver:
    return load_driver(exported_small / request.param)


def test_same_outputs_as_the_network(eager, exported, frames) -> None:
    errors = compare_drivers(eager, exported, frames)
    assert {error.name: error.max_abs_error for error in errors if error.max_abs_error > 1e-4} == {}
    assert all(error.magnitude > 0.01 for error in errors), "an output of zeros proves nothing"
    assert exported.dropped_pairs == 0
    assert exported.config == eager.config and exported.checkpoint_hash == eager.checkpoint_hash


def test_no_number_is_no_agreement(eager, exported, frames, monkeypatch: pytest.MonkeyPatch) -> None:
    infer = exported.infer

    def broken(frame):
        found = infer(frame)
        names = ("plan_offsets_B3T2", "agent_states_BQD")
        nothing = {name: torch.full_like(getattr(found.outputs, name), float("nan")) for name in names}
        return dataclasses.replace(found, outputs=dataclasses.replace(found.outputs, **nothing))

    monkeypatch.setattr(exported, "infer", broken)
    errors = {error.name: error for error in compare_drivers(eager, exported, frames[:1])}
    assert not errors["plan_offsets_B3T2"].passed and errors["plan_offsets_B3T2"].max_abs_error == float("inf")


def test_a_program_with_pickled_objects_is_refused_before_it_is_loaded(exported_small: Path, tmp_path: Path) -> None:
    """torch would unpickle them, and that can run any code."""
    with zipfile.ZipFile(exported_small / "small.pt2") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = next(name for name in files if name.endswith("model_weights_config.json"))
    inputs = next(name for name in files if name.endswith(".pt"))
    pickled = files | {config: files[config].replace(b'"use_pickle": false', b'"use_pickle": true', 1)}
    calls = files | {inputs: pickle.dumps(_Runs(tmp_path / "ran"))}
    for number, (content, message) in enumerate(((pickled, "holds pickled objects"), (calls, "no plain tensors"))):
        path = tmp_path / f"{number}.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        with pytest.raises(CheckpointError, match=message):
            ProgramDriver(path)
    assert not (tmp_path / "ran").exists()


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_errors_are_seen(exported, frames) -> None:
    other = Driver.from_recipe(
        "nano", overrides={**_overrides(exported), "backbone.pretrained": False}, seed=5, device="cpu", precision="fp32"
    )
    assert not all(error.passed for error in compare_drivers(other, exported, frames[:1]))


def _overrides(driver: FrameDriver) -> dict[str, object]:
    config = driver.config
    keys = ("image.height", "image.width", "embed_dims", "heads", "ffn_dims", "bev.rows", "bev.columns")
    keys += ("agents.layers", "map.layers", "agents.queries", "map.instances", "map.points_per_line", "map.lane_hidden")
    values = {}
    for key in keys:
        value = config
        for part in key.split("."):
            value = getattr(value, part)
        values[key] = value
    return values


def test_memory_and_scene_as_every_driver(exported, frames) -> None:
    exported.reset("a test")
    first = exported.infer(frames[0])
    assert first.memory_reset == "a test" and first.history_age_s is None
    scene = exported.plan(frames[1], with_tokens=True)
    assert scene.history_age_s == pytest.approx(0.5)
    assert scene.plan.trajectories_model.shape == (3, 6, 2) and scene.tokens.bev.shape == (16, 8, 32)
    assert set(scene.timings_ms) == {"decode", "resize", "upload", "network"}
    kept = first.outputs.bev_BRSD.clone()
    exported.warm_up(1)
    assert len(exported.memory) == 0
    assert np.array_equal(first.outputs.bev_BRSD, kept), "results stay when the next frame runs"


def test_a_rig_with_too_many_cameras_on_a_cell_is_told(exported, frames, caplog) -> None:
    front = frames[0].views["CAM_FRONT"]
    views = {name: dataclasses.replace(front) for name in frames[0].views}
    exported.reset()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            exported.infer(dataclasses.replace(frames[0], views=views))
    assert exported.dropped_pairs > 0
    assert len(caplog.records) == 1 and "--cameras-per-cell 3" in caplog.text
    exported.reset()
    exported.infer(frames[0])
    assert exported.dropped_pairs == 0


@pytest.mark.parametrize(("kind", "name"), [(OnnxDriver, "a.onnx"), (ProgramDriver, "a.pt2")])
def test_missing_and_damaged_files_are_named(exported_small: Path, tmp_path: Path, kind, name) -> None:
    with pytest.raises(CheckpointError, match=f"no exported driver at .*{name}"):
        kind(tmp_path / name)
    whole = (exported_small / f"small{Path(name).suffix}").read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=rf"{name} cannot be loaded.*damaged"):
        kind(tmp_path / name)


def test_foreign_and_contradicting_metadata_are_refused(exported) -> None:
    good = exported.metadata
    assert read_metadata("x", good) == exported.config
    with pytest.raises(CheckpointError, match="no exported driver of this project"):
        read_metadata("x.onnx", {})
    with pytest.raises(CheckpointError, match="format version '9'"):
        read_metadata("x.onnx", good | {"format_version": "9"})
    with pytest.raises(CheckpointError, match=r"recipe in x\.onnx"):
        read_metadata("x.onnx", good | {"recipe": "{"})
    with pytest.raises(CheckpointError, match="class_names"):
        read_metadata("x.onnx", good | {"class_names": json.dumps({"agents": ["tank"], "map": []})})
    with pytest.raises(CheckpointError, match="sha256"):
        read_metadata("x.onnx", {key: value for key, value in good.items() if key != "sha256"})


def test_what_an_installation_lacks_is_named(exported_small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'gpu' is unknown"):
        OnnxDriver(exported_small / "small.onnx", device="gpu")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ConfigError, match="onnxruntime-gpu"):
            OnnxDriver(exported_small / "small.onnx", device="cuda:0")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[export\]'"):
        OnnxDriver(exported_small / "small.onnx")
