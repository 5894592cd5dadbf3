"""Contacts of planned boxes as exact outlines: with other boxes, and with the road's edge.

N = samples, T = steps, M = objects, S = pieces of lines. Two convex outlines overlap unless an axis parts them that
stands across a side of either (separating axis theorem); mere touching is no contact.
"""

from __future__ import annotations

import numpy as np

from aln_p3_core.evaluation.planning_occupancy import counted, moved_mask
from aln_p3_core.evaluation.planning_truth import BoolArray, PlanningTruth
from aln_p3_core.evaluation.protocol import PlanningProtocol
from aln_p3_core.geometry import FloatArray, invert_transform
from aln_p3_core.scene import path_headings

# Samples at a time: pairs of boxes with pieces of lines are millions.
_CHUNK = 256


def ego_boxes(
    paths_model: FloatArray, T_ego_model: FloatArray, protocol: PlanningProtocol
) -> tuple[FloatArray, FloatArray]:
    """Where the ego's box is when the model frame's origin follows paths [N, T, 2].

    Headings follow the path (`scene.path_headings`), beginning with the car's own, or stay.

    Returns:
        Middles [N, T, 2] m and headings [N, T] rad, in the model frame.
    """
    rotation, start_ego = T_ego_model[:, :2, :2], T_ego_model[:, None, :2, 3]
    path_ego = paths_model @ np.swapaxes(rotation, -1, -2) + start_ego
    if protocol.ego_heading == "path":
        headings_ego = path_headings(np.concatenate([start_ego, path_ego], axis=1))
    else:
        headings_ego = np.zeros(path_ego.shape[:2])
    # The box's middle as seen from the model frame's origin, along the car's own axes.
    offset = np.zeros((len(path_ego), 1, 2))
    offset[..., 0] = protocol.ego_center_ahead_m
    if protocol.ego_box_origin == "ego":
        offset = offset - start_ego
    cos, sin = np.cos(headings_ego), np.sin(headings_ego)
    x = path_ego[..., 0] + cos * offset[..., 0] - sin * offset[..., 1]
    y = path_ego[..., 1] + sin * offset[..., 0] + cos * offset[..., 1]
    T_model_ego = invert_transform(T_ego_model)
    turn = np.arctan2(T_model_ego[:, 1, 0], T_model_ego[:, 0, 0])
    centers = np.stack([x, y], axis=-1) @ np.swapaxes(T_model_ego[:, :2, :2], -1, -2) + T_model_ego[:, None, :2, 3]
    return centers, headings_ego + turn[:, None]


def touches_agents(
    truth: PlanningTruth, centers: FloatArray, headings: FloatArray, protocol: PlanningProtocol
) -> BoolArray:
    """[N, T] whether the ego's box, middles [N, T, 2] and headings [N, T], overlaps an agent that counts."""
    boxes, mask = truth.boxes_now[:, 1:], truth.box_mask[:, 1:]
    sizes = boxes[..., 2:4]
    if protocol.agent_boxes == "present_boxes_moved":
        mask, sizes = moved_mask(truth), np.broadcast_to(truth.boxes_now[:, :1, :, 2:4], sizes.shape)
    own = np.array([protocol.ego_length_m, protocol.ego_width_m])
    hit = boxes_overlap(
        centers[:, :, None], headings[:, :, None], own, boxes[..., :2], boxes[..., 4], sizes
    )  # fmt: skip
    return (hit & mask & counted(truth, protocol)[:, None]).any(axis=-1)


def touches_curbs(
    truth: PlanningTruth, centers: FloatArray, headings: FloatArray, protocol: PlanningProtocol
) -> FloatArray:
    """[N, T] 1 where the ego's box overlaps a boundary line, or its middle crossed one since the step before.

    NaN where there is no map. The boxes are those of `ego_boxes`; the map ends where the driver's range does.
    """
    lines = truth.boundaries_model
    samples, steps = headings.shape
    segments = np.stack([lines[:, :, :-1], lines[:, :, 1:]], axis=-2).reshape(samples, -1, 2, 2)
    now = ego_boxes(np.zeros((samples, 1, 2)), truth.T_ego_model, protocol)[0]
    before = np.concatenate([now, centers[:, :-1]], axis=1)
    way = centers - before
    own = np.array([protocol.ego_length_m, protocol.ego_width_m])
    touched = np.zeros((samples, steps), dtype=bool)
    for first in range(0, samples, _CHUNK):
        part = slice(first, first + _CHUNK)
        pieces = segments[part, None]
        hit = box_meets_segments(centers[part, :, None], headings[part, :, None], own, pieces)
        # The way of the middle is a box without width.
        length = np.stack([np.linalg.norm(way[part], axis=-1), np.zeros_like(headings[part])], axis=-1)
        direction = np.arctan2(way[part, :, 1], way[part, :, 0])
        middle = (centers[part] + before[part]) / 2
        hit |= box_meets_segments(middle[:, :, None], direction[:, :, None], length[:, :, None], pieces)
        touched[part] = hit.any(axis=-1)
    return np.where(truth.map_known[:, None], touched.astype(np.float64), np.nan)


def boxes_overlap(
    centers_a: FloatArray,
    headings_a: FloatArray,
    sizes_a: FloatArray,
    centers_b: FloatArray,
    headings_b: FloatArray,
    sizes_b: FloatArray,
) -> BoolArray:
    """[...] whether boxes overlap: middles and sizes (length, width) [..., 2], headings [...]; shapes broadcast."""
    delta = centers_b - centers_a
    turned, crossed = np.abs(np.cos(headings_b - headings_a)), np.abs(np.sin(headings_b - headings_a))
    apart = np.zeros(np.broadcast_shapes(delta.shape[:-1], turned.shape), dtype=bool)
    for heading, own, other in ((headings_a, sizes_a, sizes_b), (headings_b, sizes_b, sizes_a)):
        cos, sin = np.cos(heading), np.sin(heading)
        along = np.abs(delta[..., 0] * cos + delta[..., 1] * sin)
        across = np.abs(delta[..., 1] * cos - delta[..., 0] * sin)
        apart |= 2 * along >= own[..., 0] + turned * other[..., 0] + crossed * other[..., 1]
        apart |= 2 * across >= own[..., 1] + crossed * other[..., 0] + turned * other[..., 1]
    return ~apart


def box_meets_segments(centers: FloatArray, headings: FloatArray, sizes: FloatArray, segments: FloatArray) -> BoolArray:
    """[...] whether pieces of lines [..., 2, 2] meet boxes: middles and sizes [..., 2], headings [...].

    NaN pieces meet nothing.
    """
    cos, sin = np.cos(headings), np.sin(headings)
    middle = segments.mean(axis=-2) - centers
    half = (segments[..., 1, :] - segments[..., 0, :]) / 2
    middle_x, middle_y = middle[..., 0] * cos + middle[..., 1] * sin, middle[..., 1] * cos - middle[..., 0] * sin
    half_x, half_y = half[..., 0] * cos + half[..., 1] * sin, half[..., 1] * cos - half[..., 0] * sin
    length, width = sizes[..., 0] / 2, sizes[..., 1] / 2
    return (
        (np.abs(middle_x) <= length + np.abs(half_x))
        & (np.abs(middle_y) <= width + np.abs(half_y))
        & (np.abs(middle_x * half_y - middle_y * half_x) <= length * np.abs(half_y) + width * np.abs(half_x))
    )
