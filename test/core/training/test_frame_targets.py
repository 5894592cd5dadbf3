"""Targets in the network's codes: decoding them gives the targets back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stored_scenes import small_recipe

from aln_p3_core.datasets.map_elements import MapTargets
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.driver.decode import decode_agents, decode_map
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import Command, RouteCommand
from aln_p3_core.geometry import wrap_angle
from aln_p3_core.training.frame_targets import equivalent_orders, frame_targets

CONFIG = small_recipe()


def made_targets(count: int = 6, seed: int = 0, lines: MapTargets | None = None) -> Targets:
    """Random agents inside the range, all valid."""
    random = np.random.default_rng(seed)
    mask = np.arange(6) < random.integers(0, 7, count)[:, None]
    velocity_valid = random.random(count) < 0.7
    return Targets(
        token="a",
        centers_model=random.uniform([-14, -29, -1], [14, 29, 1], (count, 3)),
        sizes_lwh=random.uniform(0.3, 12, (count, 3)),
        headings_model=random.uniform(-np.pi, np.pi, count),
        velocities_model=np.where(velocity_valid[:, None], random.normal(size=(count, 2)), np.nan),
        velocity_valid=velocity_valid,
        class_ids=random.integers(0, 10, count),
        num_lidar_points=np.ones(count, np.int64),
        num_radar_points=np.zeros(count, np.int64),
        valid=np.ones(count, bool),
        futures_model=np.where(mask[..., None], random.uniform(-20, 20, (count, 6, 2)), 0.0),
        future_mask=mask,
        ego_future_model=np.cumsum(random.uniform(0, 3, (6, 2)), axis=0),
        ego_future_mask=np.ones(6, bool),
        command=RouteCommand(Command.LEFT),
        instance_tokens=tuple(f"i{i}" for i in range(count)),
        annotation_tokens=tuple(f"a{i}" for i in range(count)),
        map_elements=lines,
    )


def circle(radius: float = 5.0, points: int = 20) -> np.ndarray:
    """A closed outline: its last point is its first."""
    angle = np.linspace(0, 2 * np.pi, points)
    outline = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    outline[-1] = outline[0]
    return outline


@given(st.integers(0, 1000))
def test_the_decoder_gives_the_agents_back(seed: int) -> None:
    targets = made_targets(seed=seed)
    codes = frame_targets(targets, CONFIG)
    count = len(targets)
    logits = torch.full((count, 10), -20.0)
    logits[torch.arange(count), codes.agent_classes_A] = torch.linspace(9, 5, count)
    forecasts = codes.agent_offsets_AT2[:, None]
    decoded = decode_agents(logits, codes.agent_boxes_A10, forecasts, torch.zeros(count, 1), unique=True)
    assert decoded.class_ids_A.tolist() == targets.class_ids.tolist()
    np.testing.assert_allclose(decoded.centers_A3, targets.centers_model, atol=1e-5)
    np.testing.assert_allclose(decoded.sizes_lwh_A3, targets.sizes_lwh, rtol=1e-5)
    np.testing.assert_allclose(wrap_angle(decoded.headings_A.numpy() - targets.headings_model), 0, atol=1e-5)
    known = targets.velocity_valid
    np.testing.assert_allclose(decoded.velocities_A2[known], targets.velocities_model[known], rtol=1e-5)
    assert not codes.agent_boxes_A10[~known, 8:].any()
    assert codes.agent_velocity_valid_A.tolist() == known.tolist()
    mask = targets.future_mask
    np.testing.assert_allclose(decoded.forecasts_AMT2[:, 0][mask], targets.futures_model[mask], atol=1e-4)
    assert codes.agent_future_mask_AT.tolist() == mask.tolist()


def test_the_decoder_gives_the_lines_back() -> None:
    straight = np.stack([np.full(20, 3.0), np.linspace(-30, 30, 20)], axis=-1)
    lines = MapTargets(np.stack([straight, circle()]), np.array([2, 1]))
    codes = frame_targets(made_targets(lines=lines), CONFIG)
    logits = torch.nn.functional.one_hot(codes.map_classes_G, 3).float() * 9 + torch.tensor([[1.0], [0.0]])
    decoded = decode_map(logits, codes.map_orders_GOP2[:, 0], CONFIG.point_cloud_range, unique=True)
    assert decoded.class_ids_V.tolist() == [2, 1]
    np.testing.assert_allclose(decoded.points_VP2[0][[0, -1]], straight[[0, -1]], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(decoded.points_VP2[1], axis=-1), 5, atol=0.1)
    assert codes.map_orders_GOP2.shape == (2, 9, 10, 2)


def test_as_many_points_as_stored_are_taken_as_they_are() -> None:
    config = small_recipe(map__points_per_line=20)
    codes = frame_targets(made_targets(lines=MapTargets(circle()[None], np.array([1]))), config)
    metres = codes.map_orders_GOP2[0, 0].numpy() * [30, 60] - [15, 30]
    np.testing.assert_allclose(metres, circle(), atol=1e-5)


def test_plan_and_command() -> None:
    targets = made_targets()
    codes = frame_targets(targets, CONFIG)
    np.testing.assert_allclose(codes.plan_offsets_T2.cumsum(0), targets.ego_future_model, rtol=1e-5)
    assert codes.plan_mask_T.all() and int(codes.command) == Command.LEFT.value and float(codes.weight) == 1.0


def test_orders_draw_the_same_line() -> None:
    random = np.random.default_rng(1)
    open_line = random.random((7, 2), dtype=np.float32)
    closed_line = np.concatenate([open_line[:-1], open_line[:1]])
    orders, mask = equivalent_orders(np.stack([open_line, closed_line]), np.array([False, True]))
    assert mask.sum(axis=1).tolist() == [2, 6] and mask[:, 0].all()
    assert (orders[0, 1] == open_line[::-1]).all() and (orders[:, 0] == np.stack([open_line, closed_line])).all()
    edges = {(tuple(a), tuple(b)) for a, b in pairwise(closed_line)}
    starts = set()
    for order in orders[1]:
        assert {(tuple(a), tuple(b)) for a, b in pairwise(order)} == edges
        starts.add(tuple(order[0]))
    assert len(starts) == 6
    assert not orders[0, 2:].any()


def test_only_what_can_be_learnt_is_kept() -> None:
    targets = made_targets(count=5)
    targets.centers_model[0, 0] = 15.5
    targets.valid[1] = targets.valid[2] = False
    visible = np.array([True, True, False, False, False])
    codes = frame_targets(targets, CONFIG, visible)
    kept = codes.agent_boxes_A10[:, :2].numpy()
    np.testing.assert_allclose(kept, targets.centers_model[[1, 3, 4], :2], rtol=1e-5)
    assert len(frame_targets(targets, CONFIG).agent_classes_A) == 2


def test_a_recipe_of_fewer_classes_counts_them_anew() -> None:
    targets = made_targets(count=10)
    targets.class_ids[:] = np.arange(10)
    config = small_recipe(agents__classes=("pedestrian", "car"), map__classes=("boundary",))
    lines = MapTargets(np.stack([circle(), circle(4)]), np.array([1, 2]))
    codes = frame_targets(
        Targets(**{f: getattr(targets, f) for f in targets.__slots__} | {"map_elements": lines}), config
    )
    assert codes.agent_classes_A.tolist() == [1, 0]
    assert codes.map_classes_G.tolist() == [0]
    with pytest.raises(ConfigError, match="tram"):
        frame_targets(targets, small_recipe(agents__classes=("tram",)))


def test_a_smaller_range_cuts_lines() -> None:
    config = small_recipe(point_cloud_range=(-5.0, -10.0, -2.0, 5.0, 10.0, 2.0))
    across = np.stack([np.linspace(-15, 15, 20), np.zeros(20)], axis=-1)
    lines = MapTargets(np.stack([across, circle(7), circle(4)]), np.array([0, 1, 1]))
    codes = frame_targets(made_targets(lines=lines), config)
    metres = codes.map_orders_GOP2[:, 0].numpy() * [10, 20] - [5, 10]
    # The circle of 7 m leaves the range on both sides: two arcs stay, joined over the point where it starts.
    assert codes.map_classes_G.tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(metres[0][[0, -1]], [[-5, 0], [5, 0]], atol=1e-5)
    assert (np.abs(metres) <= [5 + 1e-5, 10]).all()
    assert codes.map_order_mask_GO.sum(1).tolist() == [2, 2, 2, 9]


def test_nothing_around() -> None:
    codes = frame_targets(made_targets(count=0, lines=MapTargets(np.zeros((0, 20, 2)), np.zeros(0, np.int64))), CONFIG)
    assert codes.agent_boxes_A10.shape == (0, 10) and codes.map_orders_GOP2.shape == (0, 2, 10, 2)
    assert frame_targets(made_targets(count=0), CONFIG).map_order_mask_GO.shape == (0, 2)


@pytest.mark.parametrize(
    "overrides",
    [
        {"point_cloud_range": (-20.0, -30.0, -2.0, 20.0, 30.0, 2.0)},
        {"planner__steps": 8},
        {"planner__step_s": 0.25},
    ],
)
def test_more_than_the_targets_hold_is_refused(overrides: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        frame_targets(made_targets(), small_recipe(**overrides))
