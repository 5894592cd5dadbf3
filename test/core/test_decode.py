"""Boxes and lines from raw outputs."""

import math

import pytest
import torch

from aln_p3_core.driver.decode import decode_agents, decode_map

RANGE = (-15.0, -30.0, -2.0, 15.0, 30.0, 2.0)


def agents_of(logits, boxes=None, **options):
    logits = torch.tensor(logits)
    queries = len(logits)
    if boxes is None:
        boxes = torch.zeros(queries, 10)
        boxes[:, 7] = 1.0
    forecasts = torch.ones(queries, 2, 3, 2)
    return decode_agents(logits, boxes, forecasts, torch.zeros(queries, 2), **options)


def test_best_pairs_of_query_and_class_come_first():
    agents = agents_of([[0.0, 2.0], [3.0, 1.0]], limit=3)
    assert agents.query_ids_A.tolist() == [1, 0, 1]
    assert agents.class_ids_A.tolist() == [0, 1, 1]
    assert agents.scores_A.tolist() == pytest.approx([1 / (1 + math.exp(-x)) for x in (3, 2, 1)])


def test_unique_takes_each_query_once_and_a_threshold_drops_the_rest():
    agents = agents_of([[0.0, 2.0], [3.0, 1.0], [-4.0, -5.0]], unique=True, score_threshold=0.5)
    assert agents.query_ids_A.tolist() == [1, 0]
    assert agents.class_ids_A.tolist() == [0, 1]


@pytest.mark.parametrize("heading", [0.0, math.pi / 2, -math.pi / 2, 3.0, -3.1])
def test_heading_size_and_forecast(heading):
    released_yaw = -heading - math.pi / 2
    code = [3.0, 4.0, math.log(1.9), math.log(4.5), 0.5, math.log(1.6), math.sin(released_yaw),
            math.cos(released_yaw), 1.0, -2.0]  # fmt: skip
    agents = agents_of([[5.0]], torch.tensor([code]))
    assert agents.headings_A.tolist() == pytest.approx([heading], abs=1e-6)
    assert agents.sizes_lwh_A3[0].tolist() == pytest.approx([4.5, 1.9, 1.6])
    assert agents.centers_A3[0].tolist() == [3.0, 4.0, 0.5]
    assert agents.velocities_A2[0].tolist() == [1.0, -2.0]
    # Offsets add up, from the box's centre.
    assert agents.forecasts_AMT2[0, 1].tolist() == [[4.0, 5.0], [5.0, 6.0], [6.0, 7.0]]
    assert agents.mode_probabilities_AM[0].tolist() == [0.5, 0.5]


def test_boxes_out_of_range_are_dropped():
    boxes = torch.zeros(3, 10)
    boxes[:, 0] = torch.tensor([0.0, 20.0, 20.1])
    assert agents_of([[1.0], [2.0], [3.0]], boxes).query_ids_A.tolist() == [1, 0]


def test_map_points_in_metres_and_boxes():
    points = torch.tensor([[[0.0, 0.0], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.75]]])
    lines = decode_map(torch.tensor([[0.0, 1.0], [2.0, -9.0]]), points, RANGE, unique=True)
    assert lines.query_ids_V.tolist() == [1, 0]
    assert lines.class_ids_V.tolist() == [0, 1]
    assert lines.points_VP2[1].tolist() == [[-15.0, -30.0], [15.0, 30.0]]
    assert lines.boxes_V4[0].tolist() == [0.0, 0.0, 0.0, 15.0]


def test_lines_that_leave_the_box_range_are_dropped():
    points = torch.tensor([[[0.5, 0.5], [0.5, 1.0]], [[0.5, 0.5], [0.5, 0.9]]])
    lines = decode_map(torch.zeros(2, 1), points, RANGE, box_range=(-15.0, -29.0, 15.0, 29.0))
    assert lines.query_ids_V.tolist() == [1]
