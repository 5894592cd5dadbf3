"""From `datasets.Targets` to what the losses read: ground truth in the network's own codes.

`target_arrays` gives the flat NumPy form that is stored, `to_frame_targets` unfolds it to tensors, and
`frame_targets` does both. A line is stored once; its equivalent orders (method: MapTR's and VAD's "v2" shifts) are
made when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.future import FUTURE_STEPS, STEP_S
from aln_p3_core.datasets.map_elements import PATCH_SIZE, MapTargets
from aln_p3_core.datasets.targets import Targets
from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES
from aln_p3_core.training.batch import FrameTargets

BoolArray = NDArray[np.bool_]
FloatTensor = NDArray[np.float32]
IntArray = NDArray[np.int64]

# Two ends of a line closer than this, metres, are one point: the line is a closed outline.
_CLOSED_M = 1e-4
# A piece of a line that the range cuts off shorter than this, metres, says nothing.
_MIN_LINE_M = 0.5


@dataclass(slots=True, eq=False)
class TargetArrays:
    """`FrameTargets` without the equivalent orders. A agents, G lines, P points a line, T steps.

    Attributes:
        agent_boxes: [A, 10], agent_velocity_valid: [A], agent_classes: [A], agent_offsets: [A, T, 2],
            agent_future_mask: [A, T]: as in `FrameTargets`.
        lines: [G, P, 2] in 0..1 over the perception range, in the map's own order; a closed outline ends where it
            starts. line_closed: [G]. line_classes: [G].
        plan_offsets: [T, 2], plan_mask: [T], command: as in `FrameTargets`.
    """

    agent_boxes: FloatTensor
    agent_velocity_valid: BoolArray
    agent_classes: IntArray
    agent_offsets: FloatTensor
    agent_future_mask: BoolArray
    lines: FloatTensor
    line_closed: BoolArray
    line_classes: IntArray
    plan_offsets: FloatTensor
    plan_mask: BoolArray
    command: int


def frame_targets(targets: Targets, config: DriverConfig, visible: BoolArray | None = None) -> FrameTargets:
    """Ground truth of one frame for a recipe.

    Kept are agents of the recipe's classes whose centre lies in its range (x and y), and that a LiDAR or radar
    point hits or that are `visible`; and map lines of its classes, cut at its range.

    Args:
        targets: of the frame.
        config: recipe.
        visible: [A] agents that are seen although no point hits them; none when left out.

    Raises:
        ConfigError: when the recipe asks for more than targets hold (steps, range, classes).
    """
    return to_frame_targets(targets.token, target_arrays(targets, config, visible))


def target_arrays(targets: Targets, config: DriverConfig, visible: BoolArray | None = None) -> TargetArrays:
    """The flat form; arguments and errors as `frame_targets`."""
    steps = _steps(config, targets.step_s)
    agent_ids = _class_table(AGENT_CLASSES, config.agents.classes, "agents.classes")
    seen = targets.valid if visible is None else targets.valid | visible
    classes = agent_ids[targets.class_ids]
    kept = targets.select(seen & (classes >= 0) & targets.in_range(config.point_cloud_range))
    lines, closed, line_classes = _lines(targets.map_elements, config)
    return TargetArrays(
        agent_boxes=_box_codes(kept),
        agent_velocity_valid=kept.velocity_valid.astype(bool),
        agent_classes=agent_ids[kept.class_ids],
        agent_offsets=kept.future_offsets[:, :steps].astype(np.float32),
        agent_future_mask=kept.future_mask[:, :steps],
        lines=lines,
        line_closed=closed,
        line_classes=line_classes,
        plan_offsets=targets.ego_future_offsets[:steps].astype(np.float32),
        plan_mask=targets.ego_future_mask[:steps],
        command=targets.command.command.value,
    )


def to_frame_targets(token: str, arrays: TargetArrays) -> FrameTargets:
    """Tensors of their own memory, with every equivalent order of the lines."""
    orders, order_mask = equivalent_orders(arrays.lines, arrays.line_closed)
    return FrameTargets(
        token=token,
        agent_boxes_A10=torch.tensor(arrays.agent_boxes),
        agent_velocity_valid_A=torch.tensor(arrays.agent_velocity_valid),
        agent_classes_A=torch.tensor(arrays.agent_classes),
        agent_offsets_AT2=torch.tensor(arrays.agent_offsets),
        agent_future_mask_AT=torch.tensor(arrays.agent_future_mask),
        map_classes_G=torch.tensor(arrays.line_classes),
        map_orders_GOP2=torch.from_numpy(orders),
        map_order_mask_GO=torch.from_numpy(order_mask),
        plan_offsets_T2=torch.tensor(arrays.plan_offsets),
        plan_mask_T=torch.tensor(arrays.plan_mask),
        command=torch.tensor(arrays.command),
        weight=torch.tensor(1.0),
    )


def equivalent_orders(lines: FloatTensor, closed: BoolArray) -> tuple[FloatTensor, BoolArray]:
    """Every order of a line's points that draws the same line.

    An open line has two: along and against. A closed outline of P points (the last one is the first) has P - 1: one
    for each point to start at, always in the map's turning sense, which says on which side the road lies.

    Args:
        lines: [G, P, 2].
        closed: [G].

    Returns:
        [G, O, P, 2] with zeros where there is no such order, and [G, O] whether there is. The first order is the
        map's own. O is as large as these lines need.
    """
    count, points = lines.shape[:2]
    shifts = max(points - 1, 2) if closed.any() else 2
    along = np.arange(points)
    table = np.zeros((2, shifts, points), np.int64)  # open, closed
    table[0, 0], table[0, 1] = along, along[::-1]
    table[1] = (np.arange(shifts)[:, None] + along) % max(points - 1, 1)
    available = np.zeros((2, shifts), bool)
    available[0, :2] = True
    available[1, : points - 1] = True
    kind = closed.astype(np.int64)
    mask = available[kind]
    orders = lines[np.arange(count)[:, None, None], table[kind]] * mask[..., None, None]
    return orders.astype(np.float32), mask


def _box_codes(agents: Targets) -> FloatTensor:
    """[A, 10] as `DriverOutputs.agent_boxes_LBQ10`."""
    length, width, height = np.log(np.maximum(agents.sizes_lwh, 1e-3)).T
    yaw = -agents.headings_model - np.pi / 2
    velocity = np.where(agents.velocity_valid[:, None], agents.velocities_model, 0.0)
    x, y, z = agents.centers_model.T
    return np.stack([x, y, width, length, z, height, np.sin(yaw), np.cos(yaw), *velocity.T], axis=-1, dtype=np.float32)


def _lines(elements: MapTargets | None, config: DriverConfig) -> tuple[FloatTensor, BoolArray, IntArray]:
    points = config.map.points_per_line
    line_ids = _class_table(MAP_CLASSES, config.map.classes, "map.classes")
    low, high = np.array(config.point_cloud_range[:2]), np.array(config.point_cloud_range[3:5])
    half = np.array(PATCH_SIZE) / 2 + 1e-6
    if (low < -half).any() or (high > half).any():
        raise ConfigError(
            f"point_cloud_range {config.point_cloud_range} is larger than the patch that map lines are cut from, "
            f"{PATCH_SIZE[0]:g} m x {PATCH_SIZE[1]:g} m about the origin; choose a smaller range"
        )
    lines: list[FloatArray] = []
    classes: list[int] = []
    if elements is not None:
        for line, class_id in zip(elements.points_model, line_ids[elements.class_ids], strict=True):
            pieces = _cut(line, low, high) if class_id >= 0 else []
            lines += [_resampled(piece, points) for piece in pieces]
            classes += [int(class_id)] * len(pieces)
    metres = np.array(lines, dtype=np.float64).reshape(-1, points, 2)
    closed = np.linalg.norm(metres[:, 0] - metres[:, -1], axis=-1) < _CLOSED_M
    normalised = np.clip((metres - low) / (high - low), 0.0, 1.0)
    return normalised.astype(np.float32), closed, np.array(classes, dtype=np.int64)


def _cut(line: FloatArray, low: FloatArray, high: FloatArray) -> list[FloatArray]:
    """The pieces of a line [P, 2] inside the range, m; almost always the line itself."""
    if ((line >= low - _CLOSED_M) & (line <= high + _CLOSED_M)).all():
        return [line]
    from shapely import box
    from shapely.geometry import LineString
    from shapely.ops import linemerge

    inside = LineString(line).intersection(box(*low, *high))
    parts = [part for part in getattr(inside, "geoms", [inside]) if part.geom_type == "LineString"]
    if len(parts) > 1:  # a closed outline is cut at its own start too: that seam is joined again
        merged = linemerge(parts)
        parts = list(getattr(merged, "geoms", [merged]))
    return [np.array(part.coords) for part in parts if part.length >= _MIN_LINE_M]


def _resampled(line: FloatArray, count: int) -> FloatArray:
    """[count, 2] points at even distances along a line, ends kept."""
    if len(line) == count:
        return line
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(line, axis=0), axis=-1).cumsum()])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)], axis=-1)


def _steps(config: DriverConfig, step_s: float) -> int:
    steps = config.planner.steps
    if steps > FUTURE_STEPS or config.planner.step_s != step_s:
        raise ConfigError(
            f"planner: {steps} steps of {config.planner.step_s} s do not fit; targets hold {FUTURE_STEPS} of {STEP_S} s"
        )
    return steps


def _class_table(known: tuple[str, ...], wanted: tuple[str, ...], setting: str) -> IntArray:
    """[len(known)] index of each known class in the recipe's, -1 where the recipe does not have it."""
    strangers = [name for name in wanted if name not in known]
    if strangers:
        raise ConfigError(f"{setting} {strangers}: no targets of these classes; there are {', '.join(known)}")
    return np.array([wanted.index(name) if name in wanted else -1 for name in known], dtype=np.int64)
