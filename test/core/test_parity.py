"""The whole driver against golden tensors of the released code."""

import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from aln_p3_core.commands.parity import command
from aln_p3_core.errors import DataError
from aln_p3_core.runtime.oracle import Oracle
from aln_p3_core.runtime.parity import check_parity, compare


def test_every_stored_tensor_agrees(vad_oracle, tmp_path):
    report_path = tmp_path / "report.json"
    result = CliRunner().invoke(command, ["--oracle", str(vad_oracle), "--json", str(report_path)])
    assert result.exit_code == 0, result.output
    stored = sum(len(load_file(vad_oracle / f"{f}.safetensors")) for f in ("frame0", "frame1", "frame1_true_center"))
    report = json.loads(report_path.read_text())
    assert report["ok"] and report["compared"] == len(report["tensors"])
    assert sum(row["file"].startswith("frame") for row in report["tensors"]) == stored
    cases = {row["file"] for row in report["tensors"]} - {"frame0", "frame1", "frame1_true_center"}
    assert cases == {path.stem for path in vad_oracle.glob("loss_case*.safetensors")}
    assert result.output.splitlines()[-1] == f"ok: all {report['compared']} tensors agree"


def test_a_wrong_weight_is_noticed(vad_oracle, tmp_path):
    folder = tmp_path / "oracle"
    folder.mkdir()
    for file in vad_oracle.iterdir():
        shutil.copyfile(file, folder / file.name)
    weights = load_file(folder / "weights.safetensors")
    weights["pts_bbox_head.ego_fut_decoder.4.bias"] += 0.01
    save_file(weights, folder / "weights.safetensors")
    result = CliRunner().invoke(command, ["--oracle", str(folder)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("FAIL: 3 of")
    failed = [line for line in result.output.splitlines() if " FAIL" in line]
    assert all("ego_fut_preds" in line for line in failed)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(DataError, match="not golden tensors"):
        list(check_parity(tmp_path))


def test_a_missing_file_is_named(vad_oracle, tmp_path):
    shutil.copyfile(vad_oracle / "config.json", tmp_path / "config.json")
    with pytest.raises(DataError, match=r"inputs\.safetensors"):
        Oracle(tmp_path)


def test_comparison_rules():
    golden = torch.tensor([1.0, 100.0])
    assert compare("f", "out.x", golden + 4e-4, golden).ok
    assert not compare("f", "out.x", golden + torch.tensor([7e-4, 0.0]), golden).ok
    assert compare("f", "mid.neck.0", golden + torch.tensor([9e-3, 0.0]), golden).ok
    assert not compare("f", "dec.labels", torch.tensor([1, 2]), torch.tensor([1, 3])).ok
    assert not compare("f", "out.x", None, golden).ok
    assert not compare("f", "out.x", golden[:1], golden).ok
    hidden = torch.tensor([True, False])
    assert compare("f", "out.x", golden + torch.tensor([0.0, 9.0]), golden, hidden).ok


def test_the_form_with_gradients_agrees_too(vad_oracle):
    oracle = Oracle(vad_oracle)
    network = oracle.network(oracle.config.rotate_center)
    first = network(oracle.inputs(0, None))
    second = network(oracle.inputs(1, first.bev_BRSD.detach()))
    golden = oracle.tensors("frame1")
    assert compare("frame1", "out.ego_fut_preds", second.plan_offsets_B3T2.detach(), golden["out.ego_fut_preds"]).ok
    assert compare("frame1", "out.all_bbox_preds", second.agent_boxes_LBQ10.detach(), golden["out.all_bbox_preds"]).ok


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_tells_small_errors(vad_oracle, tmp_path, precision):
    report_path = tmp_path / "report.json"
    arguments = ["--oracle", str(vad_oracle), "--precision", precision, "--json", str(report_path)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    errors = {t["name"]: t["max_abs"] for t in json.loads(report_path.read_text())["tensors"]}
    assert 1e-4 < errors["out.planned_positions"] < 0.15  # metres, of nine planned
