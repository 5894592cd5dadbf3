"""Rows of all processes together, so that a contrast sees the global batch, with gradients to where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def several_processes() -> bool:
    """Whether this is one of several processes of a training."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@dataclass(frozen=True, slots=True)
class Gathering:
    """How many rows each process has, of each of several lists of rows.

    Attributes:
        counts: [processes][lists]; of one process where nothing is to be gathered.
        rank: of this process.
    """

    counts: tuple[tuple[int, ...], ...]
    rank: int = 0

    @staticmethod
    def of(counts: Sequence[int], device: torch.device, together: bool) -> Gathering:
        """Tells all processes the numbers of rows; one exchange.

        Args:
            counts: of this process. All processes must give equally many numbers, and call in the same order.
            device: of the rows.
            together: False looks at this process alone, such as for a validation that only one process does.
        """
        if not (together and several_processes()):
            return Gathering((tuple(counts),))
        local = torch.tensor(list(counts), dtype=torch.int64, device=device)
        gathered = [torch.empty_like(local) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, local)
        return Gathering(tuple(tuple(row) for row in torch.stack(gathered).tolist()), dist.get_rank())

    def rows(self, index: int, rows_NK: Tensor) -> Tensor:
        """Rows of list `index` of all processes, in the order of their ranks.

        Every process must compute the same loss from them. Then the mean over processes of the losses is that of the
        global batch, and so are the gradients of parameters, as DDP averages them.
        """
        if len(self.counts) == 1:
            return rows_NK
        gathered: Tensor = _Gather.apply(rows_NK, [row[index] for row in self.counts], self.rank)
        return gathered


class _Gather(torch.autograd.Function):
    """Backwards nothing is sent: as all processes compute the same loss of all rows, each already has the whole
    gradient of its own. It counts as many times as there are processes, because DDP divides by their number."""

    @staticmethod
    def forward(ctx: Any, rows_NK: Tensor, counts: list[int], rank: int) -> Tensor:
        ctx.start, ctx.counts, ctx.rank = sum(counts[:rank]), counts, rank
        padded = rows_NK.new_zeros((max(counts), *rows_NK.shape[1:]))
        padded[: len(rows_NK)] = rows_NK
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        own = gradients[0][ctx.start : ctx.start + ctx.counts[ctx.rank]]
        return own * len(ctx.counts), None, None
