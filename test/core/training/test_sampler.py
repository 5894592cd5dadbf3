"""The order of clips: balanced, the same for any number of processes, resumable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.clip_data import ClipDraw
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.sampler import SPEED_KINDS, ClipSampler, sampling_weights, speed_kinds
from aln_p3_core.training.settings import DataSettings


def batches(sampler: ClipSampler, count: int) -> list[list[ClipDraw]]:
    return list(islice(sampler, count))


def test_every_clip_comes_once_in_an_epoch_without_balance() -> None:
    sampler = ClipSampler(np.ones(24), 4, seed=1)
    assert sampler.batches_per_epoch == 6
    both = batches(sampler, 12)
    first, second = both[:6], both[6:]
    for epoch in (first, second):
        assert sorted(draw.index for batch in epoch for draw in batch) == list(range(24))
    assert first != second and first == batches(ClipSampler(np.ones(24), 4, seed=1), 6)
    assert first != batches(ClipSampler(np.ones(24), 4, seed=2), 6)
    assert len({draw.seed for batch in both for draw in batch}) == 48


def test_rare_clips_come_as_often_as_they_weigh() -> None:
    weights = np.array([8.0] + [1.0] * 92)
    for epoch in range(3):
        sampler = ClipSampler(weights, 3, seed=epoch)
        counts = Counter(draw.index for batch in batches(sampler, sampler.batches_per_epoch) for draw in batch)
        assert counts[0] in (7, 8)
        assert max(counts[i] for i in range(1, 93)) <= 1


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_batches_of_one(processes: int) -> None:
    weights = np.arange(1.0, 31.0)
    whole = batches(ClipSampler(weights, 8, seed=5), 7)
    parts = [batches(ClipSampler(weights, 8, seed=5, rank=r, processes=processes), 7) for r in range(processes)]
    assert [[draw for part in step for draw in part] for step in zip(*parts, strict=True)] == whole


def test_it_goes_on_where_the_training_was_not_where_reading_was() -> None:
    sampler = ClipSampler(np.ones(20), 4, seed=7)
    expected = batches(sampler, 13)
    for _ in range(7):
        sampler.advance()
    state = sampler.state_dict()
    assert (state["epoch"], state["position"]) == (1, 2)
    other = ClipSampler(np.ones(20), 4, seed=7)
    other.load_state_dict(state)
    assert batches(other, 6) == batches(sampler, 6) == expected[7:]


def test_another_order_is_refused() -> None:
    state = ClipSampler(np.ones(20), 4, seed=7).state_dict()
    for clips, batch_size, seed in ((20, 4, 8), (20, 5, 7), (21, 4, 7)):
        with pytest.raises(ConfigError, match="cannot go on"):
            ClipSampler(np.ones(clips), batch_size, seed=seed).load_state_dict(state)


def test_impossible_batches_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of the number of processes"):
        ClipSampler(np.ones(20), 5, processes=2)
    with pytest.raises(ConfigError, match="more than there are clips"):
        ClipSampler(np.ones(3), 4)


def test_kinds_of_driving() -> None:
    def plan(*speeds: float) -> np.ndarray:
        return np.stack([np.zeros(6), 0.5 * np.array(speeds)], axis=-1)

    plans = np.array(
        [plan(0, 0, 0, 0, 0, 0.5), plan(8, 7, 6, 5, 4, 3), plan(2, 3, 4, 5, 6, 7), plan(8, 8, 8.5, 8, 8, 8.9)] * 2
    )
    mask = np.ones((8, 6), bool)
    mask[5, 3:] = mask[6, 1:] = mask[7] = False
    kinds = [SPEED_KINDS[kind] for kind in speed_kinds(plans.astype(np.float32), mask)]
    assert kinds == ["standing", "slowing", "speeding", "steady", "standing", "slowing", "steady", "steady"]


def test_weights_are_spread_over_commands_and_speeds(make_root: Callable[..., Path], tmp_path: Path) -> None:
    # Straight on at rising speed, then a turn to the left, and no future at the end.
    def ego(t: float) -> tuple[float, float, float]:
        return 100 + 2 * t + t * t, 50 + 0.02 * t**4, 0.0

    root = write_scenes(make_root, 2, samples=12, ego=ego)
    dataset = NuScenesDataset(root, command="ground_truth")
    store = FrameStore.build(dataset, small_recipe(), tmp_path / "store", progress=False)
    indices = np.arange(1, len(store))
    commands = store.column("command")[indices]
    assert len(set(commands)) == 2

    weights = sampling_weights(store, indices, DataSettings(balance_commands=1.0, balance_speeds=0.0))
    assert weights.sum() == pytest.approx(1.0)
    for command in set(commands):
        assert weights[commands == command].sum() == pytest.approx(0.5)
    even = sampling_weights(store, indices, DataSettings(balance_commands=0.0, balance_speeds=0.0))
    np.testing.assert_allclose(even, 1 / len(indices))
    kinds = speed_kinds(store.column("plan_offsets"), store.column("plan_mask"))[indices]
    speeds = sampling_weights(store, indices, DataSettings(balance_commands=0.0, balance_speeds=0.6))
    for kind in set(kinds):
        share = (kinds == kind).mean()
        assert speeds[kinds == kind].sum() == pytest.approx(0.4 * share + 0.6 / len(set(kinds)))
    with pytest.raises(ConfigError, match="sum above 1"):
        sampling_weights(store, indices, DataSettings(balance_commands=0.7, balance_speeds=0.7))
