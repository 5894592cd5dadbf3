"""Names and shapes of released checkpoints, and their import."""

import json

import pytest
import torch
from click.testing import CliRunner
from network_helpers import sample_of, small_config, small_network

from aln_p3_core.commands.import_vad import command
from aln_p3_core.config import get_recipe
from aln_p3_core.driver.checkpoint import expected_state, load_checkpoint, load_network
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.vad_checkpoint import CONSTANT_ENTRIES, from_released, released_name, to_released
from aln_p3_core.errors import CheckpointError


@pytest.fixture(scope="module", params=["tiny", "base"])
def recipe(request):
    return request.param


def released_entries(shared_dir, recipe):
    return json.loads((shared_dir / "oracle" / f"vad_{recipe}_keys.json").read_text())["entries"]


def test_names_shapes_and_types_are_the_released_ones(shared_dir, recipe):
    ours = to_released(expected_state(get_recipe(recipe)))
    wanted = {e["name"]: (tuple(e["shape"]), e["dtype"]) for e in released_entries(shared_dir, recipe)}
    assert {n: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for n, t in ours.items()} == wanted


def test_mapping_is_one_to_one(recipe):
    state = expected_state(get_recipe(recipe))
    assert len({released_name(name) for name in state}) == len(state)


def test_there_and_back():
    config = small_config(
        backbone__kind="resnet50",
        backbone__out_stages=(2, 3, 4),
        backbone__levels=4,
        backbone__base_channels=8,
        level_embeddings=4,
        ego_status="bev",
        # What released networks do not have.
        agents__query_source="learned",
        planner__bev_grid=0,
        planner__bev_read=0,
        planner__refinements=0,
        planner__image_camera="",
    )
    state = small_network(config).state_dict()
    released = to_released(state)
    assert set(CONSTANT_ENTRIES) <= set(released)
    back = from_released(released, state)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_an_entry_of_ours_alone_has_no_released_name():
    with pytest.raises(KeyError, match="no counterpart"):
        released_name("planner.status_encoder.0.weight")


@pytest.fixture(scope="module")
def released_file(shared_dir, tmp_path_factory):
    """A file as the release's: random values under the official names and shapes of tiny."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for entry in released_entries(shared_dir, "tiny"):
        if entry["dtype"] == "int64":
            state[entry["name"]] = torch.zeros(entry["shape"], dtype=torch.int64)
        elif entry["name"].endswith("running_var"):
            state[entry["name"]] = torch.rand(entry["shape"], generator=generator) + 0.5
        else:
            state[entry["name"]] = torch.randn(entry["shape"], generator=generator) * 0.02
    path = tmp_path_factory.mktemp("released") / "VAD_tiny.pth"
    torch.save({"meta": {"epoch": 60, "CLASSES": ["car"]}, "state_dict": state}, path)
    return path


@torch.no_grad()
def test_an_imported_checkpoint_drives(released_file, tmp_path):
    out = tmp_path / "tiny.safetensors"
    result = CliRunner().invoke(command, [str(released_file), "--recipe", "tiny", "--out", str(out)])
    assert result.exit_code == 0, result.output
    network, metadata = load_network(out)
    assert network.config == get_recipe("tiny")
    assert json.loads(metadata["normalisation"])["color"] == "bgr"
    assert json.loads(metadata["class_names"])["agents"][0] == "car"
    assert "VAD_tiny.pth" in metadata["provenance"]
    released = torch.load(released_file, weights_only=True)["state_dict"]
    name = "pts_bbox_head.transformer.encoder.layers.2.attentions.1.deformable_attention.value_proj.weight"
    assert torch.equal(network.bev_encoder.layers[2].spatial.value.weight, released[name])
    inputs = DriverInputs(
        images_BNCHW=torch.randn(1, 6, 3, 64, 96),
        model2img_BN44=torch.randn(1, 6, 4, 4),
        camera_valid_BN=torch.ones(1, 6, dtype=torch.bool),
        can_bus_B18=torch.zeros(1, 18),
    )
    outputs = network(sample_of(inputs, 0))
    assert outputs.plan_offsets_B3T2.shape == (1, 3, 6, 2)
    assert torch.isfinite(outputs.plan_offsets_B3T2).all()


def test_a_bare_state_dict_is_accepted_and_gives_the_same_weights(released_file, tmp_path):
    bare = tmp_path / "bare.pth"
    torch.save(torch.load(released_file, weights_only=True)["state_dict"], bare)
    runner = CliRunner()
    for source, name in ((released_file, "a"), (bare, "b")):
        arguments = [str(source), "--recipe", "tiny", "--out", str(tmp_path / f"{name}.safetensors")]
        assert runner.invoke(command, arguments).exit_code == 0
    hashes = {load_checkpoint(tmp_path / f"{name}.safetensors")[2]["sha256"] for name in "ab"}
    assert len(hashes) == 1


def test_every_difference_is_listed(released_file, tmp_path):
    state = torch.load(released_file, weights_only=True)["state_dict"]
    state["pts_bbox_head.renamed"] = state.pop("pts_bbox_head.pos_mlp.bias")
    state["pts_bbox_head.ego_query.weight"] = torch.zeros(2, 256)
    broken = tmp_path / "broken.pth"
    torch.save(state, broken)
    result = CliRunner().invoke(command, [str(broken), "--recipe", "tiny", "--out", str(tmp_path / "x.safetensors")])
    assert isinstance(result.exception, CheckpointError)
    message = str(result.exception)
    assert "missing: pts_bbox_head.pos_mlp.bias" in message
    assert "unexpected: pts_bbox_head.renamed" in message
    assert "wrong shape: pts_bbox_head.ego_query.weight is (2, 256), must be (1, 256)" in message
    assert not (tmp_path / "x.safetensors").exists()


def test_the_wrong_recipe_is_refused(released_file, tmp_path):
    result = CliRunner().invoke(
        command, [str(released_file), "--recipe", "base", "--out", str(tmp_path / "x.safetensors")]
    )
    assert isinstance(result.exception, CheckpointError)


class Malicious:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize("content", [{"state_dict": {"a": Malicious()}}, ["no", "state"], {"state_dict": {}}])
def test_a_file_of_something_else_is_refused_and_runs_no_code(content, tmp_path, capsys):
    path = tmp_path / "bad.pth"
    torch.save(content, path)
    result = CliRunner().invoke(command, [str(path), "--recipe", "tiny", "--out", str(tmp_path / "x.safetensors")])
    assert isinstance(result.exception, CheckpointError)
    assert "must not run" not in result.output
