"""Which clips a training reads, in which order: the same for any number of processes, and from any step on.

An epoch has as many draws as there are clips. Clips of rare commands and speeds come more often: each is drawn either
the whole number of times below its share, or once more (systematic sampling), so without balance every clip comes
exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from aln_p3_core.datasets.future import STEP_S
from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.clip_data import ClipDraw
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.settings import DataSettings

#: What `speed_kinds` tells apart.
SPEED_KINDS = ("standing", "slowing", "speeding", "steady")
# A planned path shorter than this, metres, is standing.
_STANDING_M = 1.0
# A change of speed along the plan of less than this, m/s, is steady driving.
_STEADY_MPS = 1.0


class ClipSampler(Sampler[list[ClipDraw]]):
    """Batches of draws without end, for `DataLoader(batch_sampler=...)`.

    An iterator starts at the sampler's place and does not move it: workers read ahead. The training calls `advance`
    for each batch that it has learnt, and `state_dict` tells that place.

    Attributes:
        epoch, position: global batches learnt so far: whole passes, and in the present one.
    """

    def __init__(
        self, weights: FloatArray, batch_size: int, *, seed: int = 0, rank: int = 0, processes: int = 1
    ) -> None:
        """
        Args:
            weights: [n] of the clips of a `ClipDataset`, in its order (`sampling_weights`).
            batch_size: clips in a batch, over all processes.
            seed: of the order, and of what is left to chance in each clip.
            rank, processes: this process takes its contiguous part of every batch.

        Raises:
            ConfigError: when a batch cannot be divided, or there are fewer clips than a batch takes.
        """
        if batch_size < 1 or batch_size % processes:
            raise ConfigError(f"run.batch_size {batch_size} must be a multiple of the number of processes, {processes}")
        if len(weights) < batch_size:
            raise ConfigError(f"run.batch_size {batch_size} is more than there are clips, {len(weights)}")
        self._shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        self._batch_size, self._seed = batch_size, seed
        part = batch_size // processes
        self._part = slice(rank * part, (rank + 1) * part)
        self.epoch, self.position = 0, 0

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in a pass; what is left over of an epoch's order is not used."""
        return len(self._shares) // self._batch_size

    def __iter__(self) -> Iterator[list[ClipDraw]]:
        epoch, position = self.epoch, self.position
        while True:
            order, seeds = self._draws(epoch)
            for batch in range(position, self.batches_per_epoch):
                places = np.arange(batch * self._batch_size, (batch + 1) * self._batch_size)[self._part]
                yield [ClipDraw(int(order[place]), int(seeds[place])) for place in places]
            epoch, position = epoch + 1, 0

    def advance(self, batches: int = 1) -> None:
        """Notes that the next batches have been learnt."""
        done = self.position + batches
        self.epoch += done // self.batches_per_epoch
        self.position = done % self.batches_per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Place in the order, and what the order depends on."""
        return {"epoch": self.epoch, "position": self.position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to a place. Raises ConfigError when it is one of another order."""
        differences = {k: (state.get(k), v) for k, v in self._identity().items() if state.get(k) != v}
        if differences:
            told = ", ".join(f"{name} {was!r} is now {now!r}" for name, (was, now) in differences.items())
            raise ConfigError(f"the training cannot go on in the same order of clips: {told}; start a new run")
        self.epoch, self.position = int(state["epoch"]), int(state["position"])

    def _identity(self) -> dict[str, int]:
        return {"seed": self._seed, "batch_size": self._batch_size, "clips": len(self._shares)}

    def _draws(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Clips in the order of an epoch, and a seed for each draw."""
        random = np.random.default_rng([self._seed, epoch])
        count = len(self._shares)
        mixed = random.permutation(count)
        ends = np.cumsum(self._shares[mixed])
        ticks = (np.arange(count) + random.random()) / count * ends[-1]
        order = mixed[np.searchsorted(ends, ticks, side="right")]
        return random.permutation(order), random.integers(2**31, size=count)


def sampling_weights(store: FrameStore, indices: NDArray[np.int64], data: DataSettings) -> FloatArray:
    """[n] weights of frames, summing to one.

    Of the whole weight, `data.balance_commands` is spread evenly over the commands that occur, then evenly over the
    frames of each; `data.balance_speeds` likewise over `SPEED_KINDS`; the rest evenly over all frames.

    Raises:
        ConfigError: when the two shares are negative or more than the whole.
    """
    rest = 1.0 - data.balance_commands - data.balance_speeds
    if min(data.balance_commands, data.balance_speeds, rest) < 0:
        raise ConfigError(
            f"data.balance_commands {data.balance_commands} and data.balance_speeds {data.balance_speeds} are shares: "
            "neither may be negative, nor their sum above 1"
        )
    commands = store.column("command")[indices]
    kinds = speed_kinds(store.column("plan_offsets")[indices], store.column("plan_mask")[indices])
    even = np.full(len(indices), 1 / len(indices))
    return rest * even + data.balance_commands * _balanced(commands) + data.balance_speeds * _balanced(kinds)


def speed_kinds(plan_offsets: NDArray[np.float32], plan_mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[n] index into `SPEED_KINDS` of plans [n, T, 2] with masks [n, T]; steady where less than a second is known."""
    lengths = np.linalg.norm(plan_offsets, axis=-1) * plan_mask
    known = plan_mask.sum(axis=1)
    first = lengths[:, 0]
    last = np.take_along_axis(lengths, np.maximum(known - 1, 0)[:, None], axis=1)[:, 0]
    change = (last - first) / STEP_S
    kinds = np.select(
        [known < 2, lengths.sum(axis=1) < _STANDING_M, change < -_STEADY_MPS, change > _STEADY_MPS], [3, 0, 1, 2], 3
    )
    return kinds.astype(np.int64)


def _balanced(kinds: NDArray[np.int64]) -> FloatArray:
    """[n] weights that sum to one and are equal for all kinds that occur."""
    _, place, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return 1.0 / (len(counts) * counts[place])
