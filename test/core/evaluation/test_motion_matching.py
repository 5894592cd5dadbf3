"""Who is who: matches with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from perception_helpers import as_agents, objects

from aln_p3_core.evaluation.motion_matching import BESIDE, NO_PART, group_table, match, motion_truth
from aln_p3_core.evaluation.perception_protocol import read_motion_protocol
from aln_p3_core.scene import AGENT_CLASSES

P3, VIP3D = read_motion_protocol("p3"), read_motion_protocol("vip3d")
CAR, PEDESTRIAN, BICYCLE, CONE = (AGENT_CLASSES.index(n) for n in ("car", "pedestrian", "bicycle", "traffic_cone"))


def test_groups_of_classes() -> None:
    table = group_table(VIP3D)
    assert table[CAR] == 0 and table[PEDESTRIAN] == 1 and table[BICYCLE] == BESIDE and table[CONE] == NO_PART
    assert table[AGENT_CLASSES.index("construction_vehicle")] == NO_PART


def test_another_class_is_a_match_as_released_and_none_under_p3() -> None:
    there = objects([{"class": CAR, "center": (0, 5)}])
    seen = as_agents(objects([{"class": PEDESTRIAN, "center": (0.5, 5)}]))
    assert match(seen, motion_truth(there, VIP3D), VIP3D).truth_of.tolist() == [0]
    assert match(seen, motion_truth(there, P3), P3).truth_of.tolist() == [-1]


def test_the_smallest_sum_or_the_best_score_first() -> None:
    """The surer prediction lies between both objects; the other one is near the first only."""
    there = objects([{"class": CAR, "center": (0, 0)}, {"class": CAR, "center": (0, 3)}])
    seen = as_agents(objects([{"class": CAR, "center": (0, 1.4)}, {"class": CAR, "center": (0, -0.5)}]))
    assert match(seen, motion_truth(there, VIP3D), VIP3D).truth_of.tolist() == [1, 0]
    assert match(seen, motion_truth(there, P3), P3).truth_of.tolist() == [0, -1]


def test_two_metres_are_near_enough_and_a_score_of_the_limit_is_not() -> None:
    there = motion_truth(objects([{"class": CAR, "center": (0, 0)}]), VIP3D)
    at, beyond = (as_agents(objects([{"class": CAR, "center": (x, 0)}])) for x in (2.0, 2.01))
    assert match(at, there, VIP3D).truth_of.tolist() == [0]
    assert match(beyond, there, VIP3D).truth_of.tolist() == [-1]
    low = replace(at, scores=np.array([0.6], dtype=np.float32))
    assert match(low, there, VIP3D).truth_of.tolist() == [-1]


def test_far_or_unseen_objects_are_dropped_or_ignored() -> None:
    rows = objects(
        [
            {"class": CAR, "center": (0, 0)},
            {"class": CAR, "center": (0, 31)},
            {"class": CAR, "center": (5, 0), "valid": False},
        ]
    )
    assert len(motion_truth(rows, VIP3D)) == 1
    ours = motion_truth(rows, P3)
    assert ours.counted.tolist() == [True, False, False]
    found = match(as_agents(rows), ours, P3)
    assert found.truth_of.tolist() == [0, 1, 2] and found.ignored.tolist() == [False, True, True]


def test_samples_without_objects_or_predictions() -> None:
    none = objects([])
    for protocol in (VIP3D, P3):
        assert len(match(as_agents(none), motion_truth(none, protocol), protocol).truth_of) == 0
        alone = match(as_agents(objects([{"center": (0, 0)}])), motion_truth(none, protocol), protocol)
        assert alone.truth_of.tolist() == [-1]
