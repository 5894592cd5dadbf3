"""Classes and points of map lines."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_helpers import make_targets, perfect_outputs

from aln_p3_core.training.losses.map_lines import map_class_loss, map_points_loss, matched_points
from aln_p3_core.training.matching import match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import LossSettings

LOSSES = LossSettings()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 99), st.integers(0, 99))
def test_every_equivalent_order_is_as_good(lines: int, seed: int, choice: int) -> None:
    target = make_targets(0, lines, seed)
    outputs = perfect_outputs([target])
    with torch.no_grad():
        for line, mask in enumerate(target.map_order_mask_GO):
            order = choice % int(mask.sum())
            outputs.map_points_LBVP2[:, 0, line] = target.map_orders_GOP2[line, order]
    padded = pad_targets([target])
    assignment = match(outputs, padded, LOSSES)
    points, counts = map_points_loss(outputs.map_points_LBVP2, assignment, matched_points(assignment, padded))
    classes, _ = map_class_loss(outputs.map_logits_LBVC, assignment, padded, LOSSES)
    assert counts.tolist() == [lines, lines]
    assert points.abs().max() == 0 and classes.abs().max() < 1e-6


def test_an_order_that_does_not_exist_is_not_taken() -> None:
    target = make_targets(0, 2)  # an open line and a closed one: the open one's list of orders is padded with zeros
    assert not target.map_order_mask_GO[0].all()
    outputs, padded = perfect_outputs([target]), pad_targets([target])
    with torch.no_grad():
        outputs.map_points_LBVP2[:, 0, 0] = 0.0
    assignment = match(outputs, padded, LOSSES)
    points, _ = map_points_loss(outputs.map_points_LBVP2, assignment, matched_points(assignment, padded))
    torch.testing.assert_close(points, target.map_orders_GOP2[0, 0].sum().expand(2))


def test_frames_without_lines_pull_no_points() -> None:
    target = make_targets(0, 0)
    outputs, padded = perfect_outputs([target]), pad_targets([target])
    assignment = match(outputs, padded, LOSSES)
    points, counts = map_points_loss(outputs.map_points_LBVP2, assignment, matched_points(assignment, padded))
    points.sum().backward()
    assert points.tolist() == counts.tolist() == [0, 0]
    assert outputs.map_points_LBVP2.grad is not None and (outputs.map_points_LBVP2.grad == 0).all()
