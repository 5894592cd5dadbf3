from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from planning_helpers import STRAIGHT, box, made_truth, shifted
from shapely.geometry import LineString, Polygon

from aln_p3_core.evaluation.planning_collision import (
    box_meets_segments,
    boxes_overlap,
    ego_boxes,
    touches_agents,
    touches_curbs,
)
from aln_p3_core.evaluation.protocol import read_planning_protocol
from aln_p3_core.world.boxes import footprints
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH

P3 = read_planning_protocol("p3")
SEEDS = st.integers(0, 2**32 - 1)


def boxes_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.uniform(-4, 4, (count, 2)), rng.uniform(-4, 4, count), rng.uniform(0.5, 6, (count, 2))


def test_the_car_is_that_of_the_world() -> None:
    assert (P3.ego_length_m, P3.ego_width_m) == EGO_SIZE_LWH[:2]
    assert P3.ego_center_ahead_m == EGO_CENTER_AHEAD_M


@given(SEEDS)
def test_boxes_overlap_as_polygons_do_and_both_ways(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = boxes_of(rng, 20), boxes_of(rng, 20)
    ours = boxes_overlap(*first, *second)
    np.testing.assert_array_equal(ours, boxes_overlap(*second, *first))
    corners = [footprints(*boxes) for boxes in (first, second)]
    theirs = [Polygon(a).intersection(Polygon(b)).area > 0 for a, b in zip(*corners, strict=True)]
    np.testing.assert_array_equal(ours, theirs)


@given(SEEDS)
def test_lines_meet_boxes_as_shapely_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, segments = boxes_of(rng, 20), rng.uniform(-6, 6, (20, 2, 2))
    ours = box_meets_segments(*boxes, segments)
    corners = footprints(*boxes)
    theirs = [Polygon(c).intersects(LineString(s)) for c, s in zip(corners, segments, strict=True)]
    np.testing.assert_array_equal(ours, theirs)


def test_the_middle_lies_ahead_of_the_rear_axle_and_turns_with_the_path() -> None:
    truth = made_truth()
    centers, headings = ego_boxes(STRAIGHT[None], truth.T_ego_model, P3)
    # The model frame lies 0.94 m ahead of the rear axle, the middle of the car 1.39 m.
    np.testing.assert_allclose(centers[0], shifted(0.0, 0.45), atol=1e-9)
    np.testing.assert_allclose(headings, np.pi / 2, atol=1e-9)
    angle = np.linspace(0, np.pi / 2, 7)[1:]
    right_turn = 20 * np.stack([1 - np.cos(angle), np.sin(angle)], axis=1)
    _, headings = ego_boxes(right_turn[None], truth.T_ego_model, P3)
    np.testing.assert_allclose(headings[0, :-1], np.pi / 2 - angle[:-1], atol=0.05)
    _, fixed = ego_boxes(right_turn[None], truth.T_ego_model, replace(P3, ego_heading="fixed"))
    np.testing.assert_allclose(fixed, np.pi / 2, atol=1e-9)


def test_every_road_user_counts_wherever_it_is() -> None:
    for kind in ("vehicle", "pedestrian", "other"):
        truth = made_truth(path=STRAIGHT * 3, objects=[box(0.5, 60.0, kind=kind)])
        hit = touches_agents(truth, *ego_boxes(3 * STRAIGHT[None], truth.T_ego_model, P3), P3)
        np.testing.assert_array_equal(hit[0], [False, False, False, False, True, False])
        near = replace(P3, agent_range_m=(15.0, 30.0))
        assert not touches_agents(truth, *ego_boxes(3 * STRAIGHT[None], truth.T_ego_model, near), near).any()


def test_moving_agents_are_where_they_are_then() -> None:
    crossing = box(-12.0, 12.45, heading=0.0, velocity=(8.0, 0.0))
    truth = made_truth(objects=[crossing])
    hit = touches_agents(truth, *ego_boxes(STRAIGHT[None], truth.T_ego_model, P3), P3)
    np.testing.assert_array_equal(hit[0], [False, False, True, False, False, False])


def test_curbs_are_met_and_crossed() -> None:
    curb = np.array([[[3.0, -30.0], [3.0, 30.0]]])
    truth = made_truth(lines=curb)

    def touched(path: np.ndarray) -> list[float]:
        boxes = ego_boxes(path[None], truth.T_ego_model, P3)
        return touches_curbs(truth, *boxes, P3)[0].tolist()

    assert touched(STRAIGHT) == [0.0] * 6
    drifting = STRAIGHT + np.stack([np.linspace(0.4, 2.4, 6), np.zeros(6)], axis=1)
    assert touched(drifting) == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    # In one step over it: no box lies on the line, the way does.
    jump = np.where(np.arange(6)[:, None] < 3, STRAIGHT, shifted(9.0, 0.0))
    assert touched(jump)[3] == 1.0


def test_without_a_map_no_curb_is_known() -> None:
    truth = made_truth()
    assert np.isnan(touches_curbs(truth, *ego_boxes(STRAIGHT[None], truth.T_ego_model, P3), P3)).all()
