"""Targets of a batch side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from loss_helpers import make_targets

from aln_p3_core.errors import DataError
from aln_p3_core.training.padded_targets import pad_targets


def test_every_sample_keeps_its_values_and_the_rest_is_marked() -> None:
    frames = [make_targets(3, 1, seed=1), make_targets(0, 4, seed=2), make_targets(5, 0, seed=3)]
    padded = pad_targets(frames)
    assert padded.agent_counts == [3, 0, 5] and padded.line_counts == [1, 4, 0]
    assert padded.agent_valid_BA.sum(1).tolist() == [3, 0, 5] and padded.line_valid_BG.sum(1).tolist() == [1, 4, 0]
    for sample, frame in enumerate(frames):
        agents, lines, orders = len(frame.agent_classes_A), len(frame.map_classes_G), frame.map_orders_GOP2.shape[1]
        torch.testing.assert_close(padded.boxes_BA10[sample, :agents], frame.agent_boxes_A10)
        torch.testing.assert_close(padded.orders_BGOP2[sample, :lines, :orders], frame.map_orders_GOP2)
        assert not padded.future_mask_BAT[sample, agents:].any()
        assert padded.order_mask_BGO[sample].sum() == frame.map_order_mask_GO.sum()


def test_a_batch_without_anything_still_has_room_for_one() -> None:
    padded = pad_targets([make_targets(0, 0)])
    assert padded.boxes_BA10.shape == (1, 1, 10) and padded.orders_BGOP2.shape[1] == 1
    assert not padded.agent_valid_BA.any() and not padded.line_valid_BG.any() and not padded.order_mask_BGO.any()


def test_matched_entries_are_gathered_and_others_are_the_first() -> None:
    padded = pad_targets([make_targets(3, seed=1), make_targets(2, seed=2)])
    index = torch.tensor([[[2, -1], [1, 0]], [[-1, 0], [0, 1]]])
    got = padded.gather(padded.boxes_BA10, index)
    assert got.shape == (2, 2, 2, 10)
    torch.testing.assert_close(got[0, 0, 0], padded.boxes_BA10[0, 2])
    torch.testing.assert_close(got[1, 1, 1], padded.boxes_BA10[1, 1])
    torch.testing.assert_close(got[0, 0, 1], padded.boxes_BA10[0, 0])


def test_what_cannot_be_a_batch_is_refused() -> None:
    with pytest.raises(DataError, match="without samples"):
        pad_targets([])
    frame = make_targets()
    short = replace(frame, plan_offsets_T2=frame.plan_offsets_T2[:3], plan_mask_T=frame.plan_mask_T[:3])
    with pytest.raises(DataError, match="use one recipe"):
        pad_targets([frame, short])
