"""Targets in the model frame: boxes, velocities, futures, commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.frame import Command, CommandProvenance
from aln_p3_core.geometry import VIRTUAL_MODEL_ORIGIN_EGO
from aln_p3_core.scene import AGENT_CLASSES

MakeRoot = Callable[..., Path]
CAR, PEDESTRIAN = "vehicle.car", "human.pedestrian.adult"
X0 = VIRTUAL_MODEL_ORIGIN_EGO[0]  # how far the model origin lies before the ego origin


def circle(radius: float, rate: float) -> Callable[[float], tuple[float, float, float]]:
    """A drive on a circle that starts at the origin heading along x; a positive rate turns to the left."""
    side = np.sign(rate)
    return lambda t: (
        radius * np.sin(abs(rate) * t),
        side * radius * (1 - np.cos(rate * t)),
        rate * t,
    )


class TestMadeUpScene:
    @pytest.fixture
    def dataset(self, make_root: MakeRoot) -> NuScenesDataset:
        return NuScenesDataset(
            make_root(
                objects=[
                    (CAR, lambda t: (120.0 + 8 * t, 53.5, 0.0), range(9)),  # ahead to the left, same way
                    (CAR, lambda t: (130.0 - 5 * t, 47.0, np.pi), range(6)),  # oncoming on the right, then lost
                    (PEDESTRIAN, lambda t: (110.0, 42.0, np.pi / 2), range(1)),  # seen once
                    ("movable_object.pushable_pullable", lambda t: (100.0, 55.0, 0.0), range(9)),  # no class of ours
                ]
            )
        )

    def test_boxes_in_the_model_frame(self, dataset: NuScenesDataset) -> None:
        targets = dataset.targets("sample-0")
        assert len(targets) == 3
        assert [AGENT_CLASSES[i] for i in targets.class_ids] == ["car", "car", "pedestrian"]
        # x right, y forward: 20 m ahead of the ego origin and 3.5 m to the left.
        expected = [[-3.5, 20 - X0, 0.8 - 1.84], [3, 30 - X0, 0.8 - 1.84], [8, 10 - X0, 0.8 - 1.84]]
        np.testing.assert_allclose(targets.centers_model, expected, atol=1e-9)
        np.testing.assert_allclose(targets.sizes_lwh, [[4.5, 1.9, 1.6]] * 3)
        # Our own way is pi/2; the pedestrian walks to our left, which is pi.
        np.testing.assert_allclose(np.cos(targets.headings_model - [np.pi / 2, -np.pi / 2, np.pi]), 1, atol=1e-9)
        np.testing.assert_allclose(targets.velocities_model[:2], [[0, 8], [0, -5]], atol=1e-6)
        assert targets.velocity_valid.tolist() == [True, True, False]
        assert np.isnan(targets.velocities_model[2]).all()
        assert targets.num_lidar_points.tolist() == [5, 4, 3] and targets.valid.all()
        assert targets.instance_tokens == ("instance-0", "instance-1", "instance-2")
        assert targets.annotation_tokens == ("ann-0-0", "ann-1-0", "ann-2-0")
        assert targets.map_elements is None

    def test_futures_are_in_the_present_frame(self, dataset: NuScenesDataset) -> None:
        targets = dataset.targets("sample-0")
        seconds = np.arange(1, 7) * 0.5
        np.testing.assert_allclose(targets.futures_model[0, :, 1], 20 - X0 + 8 * seconds, atol=1e-9)
        np.testing.assert_allclose(targets.futures_model[0, :, 0], -3.5, atol=1e-9)
        np.testing.assert_allclose(targets.future_offsets[0], [[0, 4]] * 6, atol=1e-9)
        assert targets.future_mask.sum(axis=1).tolist() == [6, 5, 0]
        assert not targets.futures_model[1, 5].any() and not targets.future_offsets[1, 5].any()
        np.testing.assert_allclose(targets.future_offsets[1, :5], [[0, -2.5]] * 5, atol=1e-9)

    def test_ego_future(self, dataset: NuScenesDataset) -> None:
        targets = dataset.targets("sample-0")
        np.testing.assert_allclose(targets.ego_future_model, [[0, 5 * k] for k in range(1, 7)], atol=1e-9)
        np.testing.assert_allclose(targets.ego_future_offsets, [[0, 5]] * 6, atol=1e-9)
        assert targets.future_valid
        assert targets.command.command is Command.STRAIGHT
        assert targets.command.provenance is CommandProvenance.GROUND_TRUTH
        late = dataset.targets("sample-4")
        assert late.ego_future_mask.tolist() == [True] * 4 + [False] * 2 and not late.future_valid
        assert not late.ego_future_model[4:].any() and not late.ego_future_offsets[4:].any()
        assert dataset.targets("sample-8").command.provenance is CommandProvenance.DEFAULT

    def test_selection_by_range(self, dataset: NuScenesDataset) -> None:
        targets = dataset.targets("sample-0")
        mask = targets.in_range((-15, -30, -2, 15, 15, 2))
        assert mask.tolist() == [False, False, True]
        chosen = targets.select(mask)
        assert len(chosen) == 1 and chosen.annotation_tokens == ("ann-2-0",) and chosen.future_mask.shape == (1, 6)
        np.testing.assert_array_equal(chosen.ego_future_model, targets.ego_future_model)
        assert targets.select(np.zeros(3, bool)).corners_model().shape == (0, 8, 3)

    def test_a_frame_without_objects(self, make_root: MakeRoot) -> None:
        targets = NuScenesDataset(make_root()).targets("sample-0")
        assert len(targets) == 0 and targets.futures_model.shape == (0, 6, 2)
        assert targets.future_offsets.shape == (0, 6, 2) and targets.velocities_model.shape == (0, 2)


@pytest.mark.parametrize(
    ("rate", "command"),
    [(0.3, Command.LEFT), (-0.3, Command.RIGHT), (0.02, Command.STRAIGHT), (-0.02, Command.STRAIGHT)],
)
def test_command_of_a_turn(make_root: MakeRoot, rate: float, command: Command) -> None:
    dataset = NuScenesDataset(make_root(ego=circle(20.0, rate)))
    assert dataset.targets("sample-0").command.command is command


def test_the_model_origin_swings_out_in_a_turn(make_root: MakeRoot) -> None:
    # The ego origin turns on the spot: the model origin before it moves on a circle of its own.
    dataset = NuScenesDataset(make_root(ego=lambda t: (0.0, 0.0, t / 3)))
    angles = np.arange(1, 7) * 0.5 / 3
    expected = np.stack([-X0 * np.sin(angles), X0 * (np.cos(angles) - 1)], axis=-1)
    np.testing.assert_allclose(dataset.targets("sample-0").ego_future_model, expected, atol=1e-9)


def test_other_key_frame_rates_are_interpolated_to_half_seconds(make_root: MakeRoot) -> None:
    moving = (CAR, lambda t: (120.0 + 8 * t, 53.5, 0.0), range(12))
    dataset = NuScenesDataset(make_root(samples=12, step_s=0.2, objects=[moving]))
    targets = dataset.targets("sample-0")
    assert targets.ego_future_mask.tolist() == [True] * 4 + [False] * 2  # 2.2 s were recorded
    np.testing.assert_allclose(targets.ego_future_offsets[:4], [[0, 5]] * 4, atol=1e-6)
    np.testing.assert_allclose(targets.future_offsets[0, :4], [[0, 4]] * 4, atol=1e-6)
    assert targets.future_mask.tolist() == [[True] * 4 + [False] * 2]


class TestRealData:
    def test_key_frame(self, keyframe_root: Path) -> None:
        dataset = NuScenesDataset(keyframe_root)
        targets = dataset.targets(dataset.tokens[0])
        assert len(targets) == 68  # 69 boxes; a pushable object is none of the ten classes
        assert not targets.velocity_valid.any() and np.isnan(targets.velocities_model).all()
        assert not targets.future_mask.any() and not targets.future_valid
        # The parked truck stands ahead on the left, along our way.
        truck = np.flatnonzero(targets.class_ids == AGENT_CLASSES.index("truck"))
        nearest = truck[np.linalg.norm(targets.centers_model[truck, :2], axis=1).argmin()]
        assert targets.centers_model[nearest, 0] < -2 and targets.centers_model[nearest, 1] > 5
        assert abs(np.sin(targets.headings_model[nearest])) > 0.95
        assert targets.sizes_lwh[nearest, 0] > 5 > targets.sizes_lwh[nearest, 1]

    def test_velocities_of_the_clip_match_its_tracks(self, surround_root: Path) -> None:
        dataset = NuScenesDataset(surround_root)
        first, last = dataset.targets(dataset.tokens[0]), dataset.targets(dataset.tokens[2])
        middle = dataset.targets(dataset.tokens[1])
        assert middle.velocity_valid.all() and len(middle) == 13
        seconds = (dataset.reference_of(dataset.tokens[2])[0] - dataset.reference_of(dataset.tokens[0])[0]) * 1e-9
        ego_speed = 12.7
        for i, instance in enumerate(middle.instance_tokens):
            a, b = first.instance_tokens.index(instance), last.instance_tokens.index(instance)
            relative = (last.centers_model[b, :2] - first.centers_model[a, :2]) / seconds
            # Moving along with the model frame costs the ego's own speed in y; its slow turn is left aside.
            near = np.linalg.norm(middle.centers_model[i, :2]) < 60
            if near:
                np.testing.assert_allclose(middle.velocities_model[i] - [0, ego_speed], relative, atol=0.6)
