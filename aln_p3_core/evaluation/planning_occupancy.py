"""Occupancy grids of the released planning evaluations: agents drawn into 200 x 200 cells of 0.5 m, step by step.

Exactly the released rounding and drawing (VAD's `PlanningMetric`, UniAD's occupancy labels): corners are rounded to
whole cells and filled with OpenCV, borders included, so that a box grows by up to a cell on every side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.evaluation.planning_truth import BoolArray, PlanningTruth
from aln_p3_core.evaluation.protocol import PlanningProtocol
from aln_p3_core.geometry import FloatArray

CELLS = 200
CELL_M = 0.5
HALF_M = 50.0
#: Middle of the first cell.
FIRST_CELL_M = -HALF_M + CELL_M / 2
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Occupied cells of N samples at T steps.

    Attributes:
        packed: [N, T, 200, 25] uint8, eight cells of a row (x) in a byte, the first one highest (`numpy.packbits`).
        rows_from_front: row 0 lies at y = +50 m, else at -50 m.
    """

    packed: NDArray[np.uint8]
    rows_from_front: bool

    def at(self, rows: IntArray, columns: IntArray) -> BoolArray:
        """[N, T, ...] whether cells are occupied, by index [N, T, ...] inside of the grid."""
        samples, steps = np.ogrid[: self.packed.shape[0], : self.packed.shape[1]]
        extra = (1,) * (rows.ndim - 2)
        samples, steps = (index.reshape(index.shape + extra) for index in (samples, steps))
        bytes_ = self.packed[samples, steps, rows, columns >> 3]
        return (bytes_ >> (7 - (columns & 7)).astype(np.uint8) & 1).astype(bool)

    def touched_by_box(self, paths_model: FloatArray, protocol: PlanningProtocol) -> BoolArray:
        """[N, T] whether the ego's box, always along y, touches an occupied cell on paths [N, T, 2].

        Cells beyond the border are looked up at the border, as in the released code.
        """
        own_rows, own_columns = ego_cells(protocol)
        moved = paths_model.astype(np.float32) / np.float32(CELL_M)
        rows = moved[..., 1, None].astype(np.float64) + own_rows
        if self.rows_from_front:
            rows = CELLS - rows
        columns = moved[..., 0, None].astype(np.float64) + own_columns
        return self.at(_cells(rows), _cells(columns)).any(axis=-1)

    def touched_by_point(self, paths_model: FloatArray, lookup_m: float) -> BoolArray:
        """[N, T] whether the cell that the released look-up finds for paths [N, T, 2] is occupied.

        With `lookup_m` 24.875, a quarter of the grid in place of half of it, that is the cell 25 m to the left and
        25 m ahead.
        """
        places = paths_model.astype(np.float32)
        along = -places[..., 1] if self.rows_from_front else places[..., 1]
        rows = ((along + np.float32(lookup_m)) / np.float32(CELL_M)).astype(np.int64)
        columns = ((places[..., 0] + np.float32(lookup_m)) / np.float32(CELL_M)).astype(np.int64)
        inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
        return self.at(np.where(inside, rows, 0), np.where(inside, columns, 0)) & inside


def draw_occupancy(truth: PlanningTruth, protocol: PlanningProtocol) -> Occupancy:
    """Draws the agents that the protocol counts. Costs a few microseconds for each agent and step."""
    front = protocol.grid_rows_from == "front"
    if protocol.agent_boxes == "present_boxes_moved":
        corners, mask = _present_boxes_moved(truth), moved_mask(truth)
    else:
        corners, mask = _boxes_of_each_frame(truth), truth.box_mask[:, 1:]
    mask = mask & counted(truth, protocol)[:, None]
    rows = (HALF_M - corners[..., 1]) / CELL_M if front else (corners[..., 1] + HALF_M) / CELL_M
    columns = (corners[..., 0] + HALF_M) / CELL_M
    pixels = np.round(np.stack([columns, rows], axis=-1)).astype(np.int32)
    near = (pixels.max(axis=-2) >= 0).all(axis=-1) & (pixels.min(axis=-2) < CELLS).all(axis=-1)
    samples, steps = mask.shape[:2]
    packed = np.zeros((samples, steps, CELLS, CELLS // 8), dtype=np.uint8)
    grid = np.zeros((CELLS, CELLS), dtype=np.uint8)
    for n, k in zip(*np.nonzero((mask & near).any(axis=2)), strict=True):
        grid[:] = 0
        for polygon in pixels[n, k, mask[n, k] & near[n, k]]:
            cv2.fillPoly(grid, [polygon], (1,))
        packed[n, k] = np.packbits(grid, axis=-1)
    return Occupancy(packed, front)


def counted(truth: PlanningTruth, protocol: PlanningProtocol) -> BoolArray:
    """[N, M] objects that the protocol counts, by kind, place and points now."""
    keep = truth.is_kind(protocol.agent_kinds)
    if protocol.seen_agents_only:
        keep = keep & truth.seen
    if protocol.agent_range_m is not None:
        center = np.abs(truth.boxes_now[:, 0, :, :2])
        keep = keep & truth.box_mask[:, 0] & (center < protocol.agent_range_m).all(axis=-1)
    return keep


def moved_mask(truth: PlanningTruth) -> BoolArray:
    """[N, T, M] objects that are there now and at all steps up to this one: stored offsets cannot skip a step."""
    return np.logical_and.accumulate(truth.box_mask, axis=1)[:, 1:]


def ego_cells(protocol: PlanningProtocol) -> tuple[IntArray, IntArray]:
    """Rows (along y, from behind) and columns of the cells whose middle lies in the ego's box at the origin, flat."""
    half = np.array([protocol.ego_length_m, protocol.ego_width_m]) / 2
    ahead = np.array([protocol.ego_center_ahead_m, 0.0])
    low = np.ceil((ahead - half - FIRST_CELL_M) / CELL_M).astype(int)
    high = np.floor((ahead + half - FIRST_CELL_M) / CELL_M).astype(int)
    rows, columns = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
    return rows.ravel(), columns.ravel()


def _cells(values: FloatArray) -> IntArray:
    return np.clip(np.trunc(values), 0, CELLS - 1).astype(np.int64)


def _present_boxes_moved(truth: PlanningTruth) -> FloatArray:
    """[N, T, M, 4, 2] corners of today's boxes along their futures, m."""
    boxes = truth.boxes_now[:, 1:].copy()
    boxes[..., 2:4] = truth.boxes_now[:, :1, :, 2:4]
    return _corners(boxes[..., :2], boxes[..., 2:4], boxes[..., 4])


def _boxes_of_each_frame(truth: PlanningTruth) -> FloatArray:
    """[N, T, M, 4, 2] corners of the boxes annotated at each step, m, in the present model frame.

    The released chain: bottom centres in single precision, moved through ego and global frame one after the other,
    headings turned by the level part of every rotation. Metres in the global frame are thousands, and single
    precision leaves a tenth of a millimetre of them: enough to change cells at the border of a box.
    """
    boxes = truth.boxes_own[:, 1:].astype(np.float32)
    place = boxes[..., :3].copy()
    place[..., 2] -= boxes[..., 5] * np.float32(0.5)
    yaw = (-truth.boxes_own[:, 1:, :, 6] - np.pi / 2).astype(np.float32)
    T_ego_own = np.broadcast_to(truth.T_ego_model[:, None], truth.T_global_ego[:, 1:].shape)
    for T in (T_ego_own, truth.T_global_ego[:, 1:]):
        place, yaw = _rotated(place, yaw, T[..., :3, :3])
        place = place + T[..., None, :3, 3].astype(np.float32)
    for T in (truth.T_global_ego[:, :1], truth.T_ego_model[:, None]):
        place = place + (-T[..., None, :3, 3]).astype(np.float32)
        place, yaw = _rotated(place, yaw, np.linalg.inv(T[..., :3, :3]))
    return _corners(place[..., :2], boxes[..., 3:5], -yaw - np.float32(np.pi / 2))


def _rotated(
    place: NDArray[np.float32], yaw: NDArray[np.float32], rotation: FloatArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    transposed = np.swapaxes(rotation, -1, -2).astype(np.float32)
    angle = np.arctan2(transposed[..., 1, 0], transposed[..., 0, 0])
    return place @ transposed, yaw + angle[..., None]


def _corners(
    centers: NDArray[np.floating], sizes_lw: NDArray[np.floating], headings: NDArray[np.floating]
) -> FloatArray:
    """[..., 4, 2] corners of boxes, in a row around."""
    signs = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]], dtype=centers.dtype)
    local = signs * sizes_lw[..., None, :]
    cos, sin = np.cos(headings)[..., None], np.sin(headings)[..., None]
    x = cos * local[..., 0] - sin * local[..., 1] + centers[..., None, 0]
    y = sin * local[..., 0] + cos * local[..., 1] + centers[..., None, 1]
    return np.stack([x, y], axis=-1)
