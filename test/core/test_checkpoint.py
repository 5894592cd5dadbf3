"""Checkpoint files: what goes in comes out, and nothing damaged does."""

import pytest
import torch
from network_helpers import small_config, small_inputs, small_network
from safetensors import safe_open
from safetensors.torch import save_file

from aln_p3_core.driver.checkpoint import (
    checkpoint_hash,
    load_checkpoint,
    load_network,
    parameter_count,
    save_checkpoint,
)
from aln_p3_core.errors import CheckpointError


@pytest.fixture(scope="module")
def config():
    return small_config(ego_status="planner")


@pytest.fixture
def saved(config, tmp_path):
    network = small_network(config)
    path = tmp_path / "model.safetensors"
    digest = save_checkpoint(path, network, config, {"provenance": "a test", "steps": "7"})
    return path, network, digest


def rewrite(path, change_tensors=lambda t: None, change_metadata=lambda m: None):
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change_tensors(tensors)
    change_metadata(metadata)
    save_file(tensors, path, metadata)


@torch.no_grad()
def test_what_goes_in_comes_out(saved, config):
    path, network, digest = saved
    loaded, metadata = load_network(path)
    assert loaded.config == config
    assert metadata["steps"] == "7" and metadata["provenance"] == "a test"
    assert checkpoint_hash(loaded.state_dict()) == checkpoint_hash(network.state_dict()) == digest
    inputs = small_inputs(config)
    assert torch.equal(network(inputs).plan_offsets_B3T2, loaded(inputs).plan_offsets_B3T2)


def test_hash_depends_on_names_shapes_and_values():
    a = {"x": torch.zeros(4), "y": torch.ones(2)}
    assert checkpoint_hash(a) == checkpoint_hash(dict(reversed(a.items())))
    others = [
        {"x": torch.zeros(4), "z": torch.ones(2)},
        {"x": torch.zeros(2, 2), "y": torch.ones(2)},
        {"x": torch.zeros(4), "y": torch.tensor([1.0, 1.5])},
        {"x": torch.zeros(4, dtype=torch.int32), "y": torch.ones(2)},
    ]
    assert len({checkpoint_hash(state) for state in [a, *others]}) == 5


def test_no_file_is_left_when_writing_fails(config, tmp_path, monkeypatch):
    monkeypatch.setattr("aln_p3_core.driver.checkpoint.save_file", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        save_checkpoint(tmp_path / "model.safetensors", small_network(config), config)
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_file_says_so(saved):
    path, *_ = saved
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="half written"):
        load_checkpoint(path)


def test_a_changed_weight_is_noticed(saved):
    path, *_ = saved
    rewrite(path, lambda tensors: tensors["planner.ego_query"].add_(1e-3))
    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(path)


def test_a_normalisation_of_another_recipe_is_refused(saved):
    path, *_ = saved
    rewrite(path, change_metadata=lambda m: m.update(normalisation=m["normalisation"].replace("rgb", "bgr")))
    with pytest.raises(CheckpointError, match="normalisation"):
        load_checkpoint(path)


def test_differences_from_the_recipe_are_listed(saved):
    path, *_ = saved

    def change(tensors):
        tensors["planner.other"] = tensors.pop("planner.ego_query")
        tensors["motion.mode_queries"] = torch.zeros(3, 3)

    rewrite(path, change)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    for line in ("missing: planner.ego_query", "unexpected: planner.other", "wrong shape: motion.mode_queries"):
        assert line in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "import-vad"),
        ({"format_version": "99"}, "99"),
        ({"recipe": "{}"}, "recipe"),
        ({"recipe": '{"name": "x", "wings": 2}'}, "wings"),
    ],
)
def test_other_formats_are_refused(saved, change, message):
    path, *_ = saved
    rewrite(path, change_metadata=lambda m: m.update(change))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_the_expected_recipe_is_enforced(saved):
    path, *_ = saved
    assert load_checkpoint(path, expected_recipe="nano")[0].name == "nano"
    with pytest.raises(CheckpointError, match="nano"):
        load_checkpoint(path, expected_recipe="tiny")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors"):
        load_checkpoint(tmp_path / "nothing.safetensors")


def test_a_fused_network_is_not_saved(config, tmp_path):
    with pytest.raises(CheckpointError, match="unexpected"):
        save_checkpoint(tmp_path / "x.safetensors", small_network(config).fuse_for_inference(), config)


def test_parameter_count_is_that_of_the_network(config):
    assert parameter_count(config) == sum(p.numel() for p in small_network(config).parameters())
