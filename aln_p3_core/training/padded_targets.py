"""Ground truth of a whole batch in tensors of one shape each, so that no term loops over agents or lines.

Suffixes as in training/batch.py. Padded entries hold zeros and are marked invalid; A, G and O are at least 1, so
that a batch without agents or lines needs no special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aln_p3_core.errors import DataError
from aln_p3_core.training.batch import FrameTargets


@dataclass(slots=True)
class PaddedTargets:
    """`FrameTargets` of B samples. Floating-point tensors are float32.

    Attributes:
        boxes_BA10, velocity_valid_BA, agent_classes_BA, offsets_BAT2, future_mask_BAT: agents.
        agent_valid_BA: bool, not padding. agent_counts: how many each sample has.
        orders_BGOP2, order_mask_BGO, line_classes_BG: map lines in their equivalent orders.
        line_valid_BG: bool, not padding. line_counts: how many each sample has.
        plan_offsets_BT2, plan_mask_BT, command_B, weight_B: the ego's future.
        signal_B: the traffic light that counts for the ego, -1 where it is not known.
    """

    boxes_BA10: Tensor
    velocity_valid_BA: Tensor
    agent_classes_BA: Tensor
    offsets_BAT2: Tensor
    future_mask_BAT: Tensor
    agent_valid_BA: Tensor
    agent_counts: list[int]
    orders_BGOP2: Tensor
    order_mask_BGO: Tensor
    line_classes_BG: Tensor
    line_valid_BG: Tensor
    line_counts: list[int]
    plan_offsets_BT2: Tensor
    plan_mask_BT: Tensor
    command_B: Tensor
    weight_B: Tensor
    signal_B: Tensor

    def __len__(self) -> int:
        return len(self.command_B)

    @property
    def lines_BGP2(self) -> Tensor:
        """Lines in the map's own order, 0..1 over the range."""
        return self.orders_BGOP2[:, :, 0]

    def gather(self, values: Tensor, index_LBQ: Tensor) -> Tensor:
        """The matched target's entry of `values` [B, A or G, ...] for every query: [L, B, Q, ...].

        Queries without a target (index -1) get the first one's entry; the caller masks them.
        """
        sample = torch.arange(len(values), device=values.device)[:, None]
        return values[sample, index_LBQ.clamp_min(0)]


def pad_targets(targets: Sequence[FrameTargets]) -> PaddedTargets:
    """Targets of a batch side by side.

    Raises:
        DataError: for an empty batch, or samples made for different recipes (points a line, steps).
    """
    if not targets:
        raise DataError("a batch without samples has no loss; give at least one FrameTargets")
    shapes = {(t.map_orders_GOP2.shape[2], t.plan_offsets_T2.shape[0]) for t in targets}
    if len(shapes) > 1:
        raise DataError(f"samples of one batch differ in (points a line, steps): {sorted(shapes)}; use one recipe")
    orders = max(1, *(t.map_orders_GOP2.shape[1] for t in targets))
    return PaddedTargets(
        boxes_BA10=_padded([t.agent_boxes_A10.float() for t in targets]),
        velocity_valid_BA=_padded([t.agent_velocity_valid_A for t in targets]),
        agent_classes_BA=_padded([t.agent_classes_A for t in targets]),
        offsets_BAT2=_padded([t.agent_offsets_AT2.float() for t in targets]),
        future_mask_BAT=_padded([t.agent_future_mask_AT for t in targets]),
        agent_valid_BA=_padded([torch.ones_like(t.agent_classes_A, dtype=torch.bool) for t in targets]),
        agent_counts=[len(t.agent_classes_A) for t in targets],
        orders_BGOP2=_padded([_more_orders(t.map_orders_GOP2.float(), orders) for t in targets]),
        order_mask_BGO=_padded([_more_orders(t.map_order_mask_GO, orders) for t in targets]),
        line_classes_BG=_padded([t.map_classes_G for t in targets]),
        line_valid_BG=_padded([torch.ones_like(t.map_classes_G, dtype=torch.bool) for t in targets]),
        line_counts=[len(t.map_classes_G) for t in targets],
        plan_offsets_BT2=torch.stack([t.plan_offsets_T2.float() for t in targets]),
        plan_mask_BT=torch.stack([t.plan_mask_T for t in targets]),
        command_B=torch.stack([t.command for t in targets]),
        weight_B=torch.stack([t.weight.float() for t in targets]),
        signal_B=torch.stack([t.signal for t in targets]),
    )


def _more_orders(values: Tensor, count: int) -> Tensor:
    """[G, O, ...] with zeros appended up to `count` orders."""
    missing = values.new_zeros(len(values), count - values.shape[1], *values.shape[2:])
    return torch.cat([values, missing], dim=1)


def _padded(rows: list[Tensor]) -> Tensor:
    """[B, at least 1, ...]."""
    batch = pad_sequence(rows, batch_first=True)
    return batch if batch.shape[1] else batch.new_zeros(len(rows), 1, *batch.shape[2:])
