"""Commands and plans that lie beside the tables of a data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.frame import Command, CommandProvenance
from aln_p3_core.geometry import VIRTUAL_MODEL_ORIGIN_EGO

MakeRoot = Callable[..., Path]
X0 = VIRTUAL_MODEL_ORIGIN_EGO[0]


def plan(points: list[list[float]], headings: list[float] | None = None, step_s: float = 0.5) -> dict:
    times = [step_s * (k + 1) for k in range(len(points))]
    return {
        "source": "expert",
        "times_s": times,
        "points_ego": points,
        "headings_ego": headings or [0.0] * len(points),
        "decision": {"cause": "red_light"},
    }


def test_command_of_the_route(make_root: MakeRoot) -> None:
    root = make_root()
    (root / "route_command.json").write_text(json.dumps({"sample-0": "left", "sample-1": "straight"}))
    for choice in ("auto", "route"):
        dataset = NuScenesDataset(root, command=choice)  # type: ignore[arg-type]
        command = dataset.frame("sample-0").command
        assert command.command is Command.LEFT and command.provenance is CommandProvenance.GIVEN
        assert dataset.targets("sample-0").command == command
        assert dataset.frame("sample-2").command.provenance is CommandProvenance.DEFAULT  # not in the file
    assert NuScenesDataset(root, command="default").frame("sample-0").command.provenance is CommandProvenance.DEFAULT
    peeking = NuScenesDataset(root, command="ground_truth").frame("sample-0").command
    assert peeking.command is Command.STRAIGHT and peeking.provenance is CommandProvenance.GROUND_TRUTH


def test_recorded_roots_stay_as_they_are(make_root: MakeRoot) -> None:
    root = make_root()
    dataset = NuScenesDataset(root)
    assert dataset.frame("sample-0").command.provenance is CommandProvenance.DEFAULT
    assert dataset.stored_plan("sample-0") is None
    assert dataset.targets("sample-0").command.provenance is CommandProvenance.GROUND_TRUTH
    with pytest.raises(DataError, match=r"no route_command.json"):
        NuScenesDataset(root, command="route")


def test_a_stored_plan_is_the_target(make_root: MakeRoot) -> None:
    # Planned: slower than driven, along x; the model frame looks along y.
    root = make_root()
    (root / "expert_plan.json").write_text(json.dumps({"sample-0": plan([[2.0 * k, 0.0] for k in range(1, 7)])}))
    dataset = NuScenesDataset(root)
    targets = dataset.targets("sample-0")
    np.testing.assert_allclose(targets.ego_future_model, [[0, 2 * k] for k in range(1, 7)], atol=1e-9)
    assert targets.future_valid
    stored = dataset.stored_plan("sample-0")
    assert stored is not None and stored.decision == {"cause": "red_light"}
    # Other frames, and those who ask for what was driven, get the recording.
    np.testing.assert_allclose(dataset.targets("sample-1").ego_future_model[0], [0, 5], atol=1e-9)
    recorded = NuScenesDataset(root, ego_future="recorded").targets("sample-0")
    np.testing.assert_allclose(recorded.ego_future_model, [[0, 5 * k] for k in range(1, 7)], atol=1e-9)


def test_the_reference_may_be_another_instant(make_root: MakeRoot) -> None:
    root = make_root()  # 10 m/s, pictures 20 ms before the LiDAR
    (root / "expert_plan.json").write_text(json.dumps({"sample-0": plan([[5.0 * k, 0.0] for k in range(1, 7)])}))
    targets = NuScenesDataset(root, reference="newest_image").targets("sample-0")
    np.testing.assert_allclose(targets.ego_future_model[:, 1], 5 * np.arange(1, 7) + 0.2, atol=1e-6)


def test_fine_steps_short_plans_and_turning(make_root: MakeRoot) -> None:
    root = make_root()
    # Turning on the spot to the left at 0.2 rad/s, in steps of 0.1 s, for 1.2 s.
    turning = plan([[0.0, 0.0]] * 12, [0.02 * (k + 1) for k in range(12)], step_s=0.1)
    (root / "expert_plan.json").write_text(json.dumps({"sample-0": turning}))
    targets = NuScenesDataset(root).targets("sample-0")
    assert targets.ego_future_mask.tolist() == [True, True, False, False, False, False]
    angles = np.array([0.1, 0.2])
    expected = np.stack([-X0 * np.sin(angles), X0 * (np.cos(angles) - 1)], axis=1)
    np.testing.assert_allclose(targets.ego_future_model[:2], expected, atol=1e-6)
    assert not targets.ego_future_model[2:].any()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("expert_plan.json", "{", "no complete JSON"),
        ("expert_plan.json", "[]", "by sample token"),
        ("expert_plan.json", '{"sample-0": {"source": "expert"}}', "plan of sample sample-0"),
        ("expert_plan.json", json.dumps({"sample-0": plan([[1, 0]]) | {"times_s": []}}), "unequal lengths"),
        ("route_command.json", '{"sample-0": "up"}', "right, left, straight"),
    ],
)
def test_broken_files_are_named(make_root: MakeRoot, name: str, content: str, message: str) -> None:
    root = make_root()
    (root / name).write_text(content)
    with pytest.raises(DataError, match=message) as error:
        NuScenesDataset(root).targets("sample-0")
    assert name in str(error.value)
