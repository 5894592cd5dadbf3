"""Where detected objects are, seen from the plan: how far along it, how far beside it, how they move against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.explainer.plan_motion import PlanMotion
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.scene import Agents, MapElements

# The plan goes on straight beyond its end for so far: what is looked for is nearer.
_BEYOND_M = 80.0
# Shorter steps have no direction.
_LEAST_STEP_M = 0.3

_VEHICLES = ("car", "truck", "construction_vehicle", "bus", "trailer", "motorcycle")
#: Classes that may stand for a noun. A van is labelled as a car, or a truck where it is large.
CLASSES_OF: dict[str, tuple[str, ...]] = {
    "car": ("car",),
    "van": ("car", "truck"),
    "truck": ("truck", "construction_vehicle", "trailer"),
    "bus": ("bus",),
    "trailer": ("trailer", "truck"),
    "construction vehicle": ("construction_vehicle", "truck"),
    "motorcycle": ("motorcycle",),
    "motorcyclist": ("motorcycle",),
    "bicycle": ("bicycle",),
    "cyclist": ("bicycle",),
    "pedestrian": ("pedestrian",),
    "child": ("pedestrian",),
    "traffic cone": ("traffic_cone",),
    "barrier": ("barrier",),
    "vehicle": _VEHICLES,
    "works": ("traffic_cone", "barrier", "construction_vehicle"),
    "road user": (*_VEHICLES, "bicycle", "pedestrian"),
    "object": (*_VEHICLES, "bicycle", "pedestrian", "traffic_cone", "barrier"),
}


@dataclass(frozen=True, eq=False)
class SeenAgents:
    """Detected agents, seen from the plan. A = agents.

    Attributes:
        agents: as detected.
        along: [A] m along the plan (straight on beyond its end) to the place nearest to the centre.
        beside: [A] m from the plan to the centre, left positive.
        gaps: [A] m from the plan to the nearest side of the box, at least 0.
        bearings: [A] rad of the centre from straight ahead, left positive.
        speeds: [A] m/s; NaN where not known.
        courses: [A] rad, direction of motion (of a standing object: its heading) against the plan where it is nearest.
        from_now: [A] rad, the same against the car's heading now.
    """

    agents: Agents
    along: FloatArray
    beside: FloatArray
    gaps: FloatArray
    bearings: FloatArray
    speeds: FloatArray
    courses: FloatArray
    from_now: FloatArray

    @classmethod
    def from_plan(cls, motion: PlanMotion, agents: Agents) -> SeenAgents:
        """Measures all agents against a plan at once."""
        centers = np.stack([agents.centers_model[:, 1], -agents.centers_model[:, 0]], axis=1).astype(np.float64)
        along, beside, directions = _against(_extended(motion), centers)
        headings = wrap_angle(agents.headings_model.astype(np.float64) - np.pi / 2)
        velocities = agents.velocities_model.astype(np.float64)
        speeds = np.hypot(velocities[:, 0], velocities[:, 1])
        moving = np.nan_to_num(speeds) > 0.5
        moves = np.where(moving, np.arctan2(-velocities[:, 0], velocities[:, 1]), headings)
        turned = wrap_angle(headings - directions)
        lengths, widths = agents.sizes_lwh[:, 0], agents.sizes_lwh[:, 1]
        half = 0.5 * (lengths * np.abs(np.sin(turned)) + widths * np.abs(np.cos(turned)))
        return cls(
            agents=agents,
            along=along,
            beside=beside,
            gaps=np.maximum(np.abs(beside) - half, 0.0),
            bearings=np.arctan2(centers[:, 1], centers[:, 0]),
            speeds=speeds,
            courses=wrap_angle(moves - directions),
            from_now=wrap_angle(moves),
        )

    def of_classes(self, names: Iterable[str], score: float) -> NDArray[np.bool_]:
        """[A] of one of the classes, with at least this score."""
        ids = [self.agents.class_names.index(name) for name in names if name in self.agents.class_names]
        return np.isin(self.agents.class_ids, ids) & (self.agents.scores >= score)


@dataclass(frozen=True, eq=False)
class SeenCrossings:
    """How near pedestrian crossings are ahead.

    Attributes:
        nearest_m: m from the model frame's origin to the nearest point ahead of one; infinite where there is none.
    """

    nearest_m: float

    @classmethod
    def of(cls, map_elements: MapElements, score: float) -> SeenCrossings:
        """From detected lines of at least this score."""
        wanted = map_elements.class_names.index("ped_crossing") if "ped_crossing" in map_elements.class_names else -1
        points = map_elements.points_model[(map_elements.class_ids == wanted) & (map_elements.scores >= score)]
        flat = points.reshape(-1, 2)
        flat = flat[flat[:, 1] > -2.0]
        return cls(float(np.hypot(flat[:, 0], flat[:, 1]).min()) if len(flat) else float("inf"))


def _extended(motion: PlanMotion) -> FloatArray:
    """[P, 2] the path without steps that have no direction, straight on at its end."""
    kept = [motion.path[0]]
    for point in motion.path[1:]:
        if np.hypot(*(point - kept[-1])) >= _LEAST_STEP_M:
            kept.append(point)
    heading = motion.turned if len(kept) > 1 else 0.0
    kept.append(kept[-1] + _BEYOND_M * np.array([np.cos(heading), np.sin(heading)]))
    return np.stack(kept)


def _against(path: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Along [A], beside [A] (left positive) and the path's direction [A] at the place of a path [P, 2] nearest to
    points [A, 2]. The first leg reaches backwards without an end."""
    starts, legs = path[:-1], np.diff(path, axis=0)
    lengths = np.linalg.norm(legs, axis=1)
    units = legs / lengths[:, None]
    before = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    delta = points[:, None, :] - starts[None, :, :]
    reach = np.einsum("apd,pd->ap", delta, units)
    least = np.where(np.arange(len(lengths)) == 0, -np.inf, 0.0)
    reach = np.clip(reach, least, lengths)
    away = delta - reach[..., None] * units
    leg = np.linalg.norm(away, axis=-1).argmin(axis=1) if len(points) else np.zeros(0, dtype=np.int64)
    rows = np.arange(len(points))
    cross = units[leg, 0] * delta[rows, leg, 1] - units[leg, 1] * delta[rows, leg, 0]
    beside = np.sign(cross) * np.linalg.norm(away[rows, leg], axis=-1)
    return before[leg] + reach[rows, leg], beside, np.arctan2(units[leg, 1], units[leg, 0])
