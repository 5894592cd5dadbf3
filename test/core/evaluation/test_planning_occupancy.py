from __future__ import annotations

from dataclasses import replace

import numpy as np
from planning_helpers import STRAIGHT, box, made_truth

from aln_p3_core.evaluation.planning_occupancy import CELLS, draw_occupancy
from aln_p3_core.evaluation.protocol import read_planning_protocol

VAD, UNIAD = read_planning_protocol("vad"), read_planning_protocol("uniad")


def cells(packed: np.ndarray) -> set[tuple[int, int]]:
    return {(int(r), int(c)) for r, c in np.argwhere(np.unpackbits(packed, axis=-1))}


def test_a_box_covers_its_cells_from_either_end() -> None:
    truth = made_truth(objects=[box(3.0, 10.0)])
    # 4.5 m along y, 1.9 m along x, rounded to whole cells, both borders filled.
    rows, columns = range(116, 126), range(104, 109)
    rear = cells(draw_occupancy(truth, UNIAD).packed[0, 0])
    assert rear == {(r, c) for r in range(min(rear)[0], max(rear)[0] + 1) for c in columns}
    assert {r for r, _ in rear} >= set(rows[:-1])
    front = cells(draw_occupancy(truth, VAD).packed[0, 0])
    assert {c for _, c in front} == set(columns)
    assert {r for r, _ in front} == {CELLS - r for r, _ in rear}


def test_each_protocol_draws_whom_it_counts() -> None:
    walker, far = box(2.0, 5.0, kind="pedestrian"), box(20.0, 5.0)
    assert draw_occupancy(made_truth(objects=[walker]), VAD).packed.any()
    assert not draw_occupancy(made_truth(objects=[walker]), UNIAD).packed.any()
    assert not draw_occupancy(made_truth(objects=[far]), VAD).packed.any()
    assert draw_occupancy(made_truth(objects=[far]), UNIAD).packed.any()


def test_who_comes_into_sight_later_is_seen_in_each_frame_only() -> None:
    truth = made_truth(objects=[box(3.0, 10.0)])
    mask = truth.box_mask.copy()
    mask[:, :3] = False
    later = replace(truth, box_mask=mask)
    assert not draw_occupancy(later, VAD).packed.any()
    drawn = draw_occupancy(later, UNIAD).packed.any(axis=(-1, -2))
    np.testing.assert_array_equal(drawn[0], [False, False, True, True, True, True])


def test_an_unseen_agent_counts_where_points_do_not_matter() -> None:
    unseen = replace(made_truth(objects=[box(3.0, 10.0)]), seen=np.zeros((1, 1), dtype=bool))
    assert not draw_occupancy(unseen, VAD).packed.any()
    assert draw_occupancy(unseen, UNIAD).packed.any()


def test_the_ego_box_meets_what_stands_in_its_way_whatever_its_heading() -> None:
    truth = made_truth(objects=[box(0.0, 11.0)])
    for protocol in (VAD, UNIAD):
        hit = draw_occupancy(truth, protocol).touched_by_box(STRAIGHT[None], protocol)
        np.testing.assert_array_equal(hit[0], [False, True, True, False, False, False])
    # A car that has turned right lies across, and would touch; the box that keeps its heading does not.
    beside = made_truth(objects=[box(7.6, 5.0)])
    turned = np.tile([5.0, 5.0], (1, 6, 1))
    assert not draw_occupancy(beside, VAD).touched_by_box(turned, VAD).any()


def test_beyond_the_border_the_border_is_looked_up() -> None:
    occupancy = draw_occupancy(made_truth(objects=[box(49.5, 0.0)]), UNIAD)
    outside = np.tile([70.0, 0.0], (1, 6, 1))
    assert occupancy.touched_by_box(outside, UNIAD).all()
    assert not occupancy.touched_by_point(outside, 49.75).any()


def test_the_point_look_up_of_vad_is_25_m_off() -> None:
    occupancy = draw_occupancy(made_truth(objects=[box(-14.0, 26.0)]), VAD)
    at_agent, off = np.tile([-14.0, 26.0], (1, 6, 1)), np.tile([11.1, 0.9], (1, 6, 1))
    assert VAD.point_lookup_m is not None
    assert not occupancy.touched_by_point(at_agent, VAD.point_lookup_m).any()
    assert occupancy.touched_by_point(off, VAD.point_lookup_m).all()
