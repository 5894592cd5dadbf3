"""Predictions of whole scenes: the same for any number of processes, kept, and made again when anything changes."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prediction_helpers import arrays

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver import Driver
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.predictions import DriverPredictor, SamplePrediction, predict, prediction_keys
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand


class Still:
    """Says that the car stays where it is, and counts how often it is asked."""

    def __init__(self, setting: str = "a") -> None:
        self.setting = setting
        self.group = 1
        self.asked: list[str] = []

    def identity(self) -> Mapping[str, Any]:
        return {"setting": self.setting}

    def scenes(
        self, dataset: NuScenesDataset, scene_names: Sequence[str], on_sample: Callable[[], None] = lambda: None
    ) -> dict[str, list[SamplePrediction]]:
        self.asked += scene_names
        return {
            name: [SamplePrediction(token, name, np.zeros((6, 2))) for token in dataset.scene_tokens(name)]
            for name in scene_names
        }


class Failing(Still):
    """Fails in the second scene."""

    def scenes(
        self, dataset: NuScenesDataset, scene_names: Sequence[str], on_sample: Any = None
    ) -> dict[str, list[SamplePrediction]]:
        if "scene-0002" in scene_names:
            raise DataError("the picture is torn; copy it again")
        return super().scenes(dataset, scene_names)


@pytest.mark.slow
def test_two_processes_give_exactly_what_one_gives(two_scenes: Path, small_checkpoint: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    predictor = DriverPredictor(small_checkpoint)
    one = predict(predictor, dataset, dataset.scenes, 1, progress=False)
    two = predict(predictor, dataset, dataset.scenes, 2, progress=False)
    assert [p.token for p in one] == [p.token for p in two] == list(dataset.tokens)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(two), strict=True))
    assert [p.command for p in one] == [p.command for p in two]


def test_predictions_are_those_of_the_driver_itself(two_scenes: Path, small_checkpoint: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    predictor = DriverPredictor(small_checkpoint, precision="fp32")
    found = predict(predictor, dataset, ["scene-0002", "scene-0001"], progress=False)
    driver = Driver.from_checkpoint(small_checkpoint, precision="fp32")
    tokens = dataset.scene_tokens("scene-0002")
    expected = [driver.plan(dataset.frame(token)) for token in tokens]
    assert [p.token for p in found[: len(tokens)]] == list(tokens)
    for prediction, scene in zip(found, expected, strict=False):
        assert prediction.plans_model == pytest.approx(scene.plan.trajectories_model, abs=1e-4)
        assert prediction.command == scene.plan.command
        assert np.array_equal(prediction.plan_model, prediction.plans_model[prediction.command.command.value])
    assert expected[1].history_age_s is not None, "the memory is used"


def test_scenes_in_step_are_those_of_one_at_a_time(two_scenes: Path, small_checkpoint: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    alone = DriverPredictor(small_checkpoint, precision="fp32")
    together = DriverPredictor(small_checkpoint, precision="fp32", batch=2)
    one = predict(alone, dataset, dataset.scenes, progress=False)
    both = predict(together, dataset, dataset.scenes, progress=False)
    assert [p.token for p in one] == [p.token for p in both]
    for a, b in zip(arrays(one), arrays(both), strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    assert together.identity() != alone.identity()
    # A scene that is over earlier leaves the other alone.
    tokens = dataset.scene_tokens("scene-0001")
    found = [
        (name, inference.frame.token)
        for name, inference, _ in together.drive(dataset, dataset.scenes, {"scene-0001": tokens[0]})
    ]
    assert [token for name, token in found if name == "scene-0001"] == [tokens[0]]
    assert [token for name, token in found if name == "scene-0002"] == list(dataset.scene_tokens("scene-0002"))


def test_a_driver_without_its_ego_status_plans_otherwise(two_scenes: Path, small_checkpoint: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    predictor = DriverPredictor(small_checkpoint)
    assert predictor.reads_ego_status
    given = predict(predictor, dataset, ["scene-0001"], progress=False)
    withheld = predictor.with_settings(ego_status="withheld", perception=False)
    without = predict(withheld, dataset, ["scene-0001"], progress=False)
    assert without[0].agents is None and given[0].agents is not None
    assert np.array_equal(without[0].plan_model, given[0].plan_model), "nobody knows it at the first frame"
    assert np.abs(without[1].plan_model - given[1].plan_model).max() > 1e-4


def test_kept_predictions_are_taken_until_something_changes(two_scenes: Path, tmp_path: Path) -> None:
    root = shutil.copytree(two_scenes, tmp_path / "root")
    kept = tmp_path / "kept"

    def asked(setting: str = "a", **options: Any) -> list[str]:
        predictor = Still(setting)
        dataset = NuScenesDataset(root)
        found = predict(predictor, dataset, dataset.scenes, folder=kept, progress=False, **options)
        assert [p.token for p in found] == list(dataset.tokens)
        return predictor.asked

    both = ["scene-0001", "scene-0002"]
    assert asked() == both
    assert asked() == []
    assert asked(fresh=True) == both
    assert asked("b") == both, "another setting"
    dataset = NuScenesDataset(root)
    picture = dataset.records_of_sample(dataset.scene_tokens("scene-0002")[0])["CAM_FRONT"].path
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert asked("b") == ["scene-0002"], "another picture"
    commands = {dataset.tokens[0]: "left"}
    (root / "route_command.json").write_text(json.dumps(commands))
    assert asked("b") == ["scene-0001"], "another command"
    (kept / "scene-0001.npz").write_bytes((kept / "scene-0001.npz").read_bytes()[:100])
    assert asked("b") == ["scene-0001"], "a torn file"


def test_keys_depend_on_how_the_data_is_read(two_scenes: Path) -> None:
    keys = [
        prediction_keys(Still(), NuScenesDataset(two_scenes, **options), ["scene-0001"])["scene-0001"]
        for options in ({}, {}, {"reference": "newest_image"}, {"command": "ground_truth"})
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_a_scene_that_fails_is_named(two_scenes: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(two_scenes)
    with pytest.raises(DataError, match=r"1 of 2 scenes .* scene-0002: the picture is torn"):
        predict(Failing(), dataset, dataset.scenes, folder=tmp_path, progress=False)
    assert (tmp_path / "scene-0001.npz").exists(), "what was predicted stays"


def test_another_command_costs_no_second_pass() -> None:
    plans = np.arange(36, dtype=float).reshape(3, 6, 2)
    prediction = SamplePrediction("t", "s", plans[2], plans)
    left = prediction.with_command(RouteCommand(Command.LEFT, CommandProvenance.GIVEN))
    assert np.array_equal(left.plan_model, plans[1]) and left.command.command is Command.LEFT
    only = SamplePrediction("t", "s", plans[2])
    assert only.with_command(left.command) is only


def test_a_dataset_is_opened_again_in_another_process(two_scenes: Path) -> None:
    dataset = NuScenesDataset(two_scenes, reference="newest_image", past_seconds=1.0)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.choices == dataset.choices and again.tokens == dataset.tokens
    assert len(pickle.dumps(dataset)) < 1000
