"""Facts of a key frame: what each visible labelled object is, where it is seen from the ego, and what it does.

Places are measured from where a LiDAR sits (`geometry.VIRTUAL_MODEL_ORIGIN_EGO`), the origin of the frame in which
drivers see and of nuScenes' own language benchmarks; directions are those of the ego's heading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import VIRTUAL_MODEL_ORIGIN_EGO, FloatArray, wrap_angle
from aln_p3_core.world.actors import ActorFlag, ActorKind
from aln_p3_core.world.assets.catalogue import MODELS, kinds_of, sizes_of
from aln_p3_core.world.key_frame import KeyFrame, LabelFact
from aln_p3_core.world.language.colors import color_name
from aln_p3_core.world.language.roads import LaneMatches, RoadIndex, RouteMatches, match_route
from aln_p3_core.world.language.stated import Direction, Motion, Place
from aln_p3_core.world.recorder.labels import MOVING_SPEED, attribute_of
from aln_p3_core.world.route import Route

#: Nouns of NuScenes-QA for what the world has, in the benchmark's spelling.
CLASSES = ("car", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "traffic cone", "barrier")
#: Its answers for the status of an object; cones and barriers have none.
STATUSES = ("moving", "stopped", "parked", "with rider", "without rider", "standing", "not standing")
#: Its six directions of 60 degrees, counter-clockwise from the front.
SECTORS = ("front", "front left", "back left", "back", "back right", "front right")

#: Slower than this a vehicle "moves slowly", m/s.
SLOW_SPEED = 2.0
#: Faster than this a heading changes because of a turn, rad/s.
TURNING_RATE = 0.15

_CLASS_OF = {
    ActorKind.CAR: 0, ActorKind.VAN: 0, ActorKind.TRUCK: 1, ActorKind.BUS: 2, ActorKind.MOTORCYCLE: 3,
    ActorKind.BICYCLE: 4, ActorKind.PEDESTRIAN: 5, ActorKind.CONE: 6, ActorKind.BARRIER: 7,
}  # fmt: skip
_NOUNS = {
    ActorKind.CAR: "car", ActorKind.VAN: "van", ActorKind.TRUCK: "truck", ActorKind.BUS: "bus",
    ActorKind.MOTORCYCLE: "motorcycle", ActorKind.BICYCLE: "bicycle", ActorKind.PEDESTRIAN: "pedestrian",
    ActorKind.CONE: "traffic cone", ActorKind.BARRIER: "barrier",
}  # fmt: skip
_STATUS_OF = {
    "vehicle.moving": "moving", "vehicle.stopped": "stopped", "vehicle.parked": "parked",
    "cycle.with_rider": "with rider", "cycle.without_rider": "without rider",
    "pedestrian.moving": "moving", "pedestrian.standing": "standing",
    "pedestrian.sitting_lying_down": "not standing",
}  # fmt: skip
_CYCLES = (ActorKind.MOTORCYCLE, ActorKind.BICYCLE)
_LOOK_M = 90.0


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """Facts of the visible labelled objects of a key frame, one row each. N = objects.

    Attributes:
        frame: the key frame. ids: names of the actors. labels: of each.
        kinds: of each. nouns: as in "van". colors: names.
        classes: [N] index into `CLASSES`. statuses: [N] index into `STATUSES`, -1 for none.
        offsets: [N, 2] m, x ahead and y left of the sensor. distances: [N] m. bearings: [N] rad, left positive.
        velocities: [N, 2] m/s, ahead and left. sizes: [N, 3] length, width, height, m.
        speeds: [N] m/s. flags: [N] bits of `ActorFlag`.
        headings: [N] rad relative to the ego's.
        motions, places: seen from the ego and its way.
        route: where they lie along the route. lanes: theirs.
    """

    frame: KeyFrame
    ids: tuple[str, ...]
    labels: tuple[LabelFact, ...]
    kinds: tuple[ActorKind, ...]
    nouns: tuple[str, ...]
    colors: tuple[str, ...]
    classes: NDArray[np.int64]
    statuses: NDArray[np.int64]
    offsets: FloatArray
    distances: FloatArray
    bearings: FloatArray
    velocities: FloatArray
    sizes: FloatArray
    speeds: FloatArray
    flags: NDArray[np.int64]
    headings: FloatArray
    motions: tuple[Motion, ...]
    places: tuple[Place, ...]
    route: RouteMatches
    lanes: LaneMatches

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, actor_id: str) -> int:
        """Row of an actor, -1 where it is not seen or not labelled."""
        return self.ids.index(actor_id) if actor_id in self.ids else -1

    def sectors_from(self, origins: FloatArray) -> NDArray[np.int64]:
        """[M, N] index into `SECTORS` of every object seen from places [M, 2] (x ahead, y left), ego's axes."""
        delta = self.offsets[None, :, :] - np.asarray(origins)[:, None, :]
        return sector_of(np.arctan2(delta[..., 1], delta[..., 0]))


def sector_of(bearing: FloatArray) -> NDArray[np.int64]:
    """Index into `SECTORS` of angles, rad, counter-clockwise from ahead."""
    return np.floor((np.degrees(bearing) + 30.0) / 60.0).astype(np.int64) % 6


def direction_of(bearing: float) -> Direction:
    """One of the eight directions."""
    return tuple(Direction)[int(np.floor((np.degrees(bearing) + 22.5) / 45.0)) % 8]


def status_of(kind: ActorKind, flags: int, speed: float) -> str:
    """Status in the words of NuScenes-QA, which are the label's attribute; "" where it has none."""
    return _STATUS_OF.get(attribute_of(kind, speed, flags), "")


def frame_facts(
    frame: KeyFrame, roads: RoadIndex, route: Route, yaw_rates: Mapping[str, float] | None = None
) -> FrameFacts:
    """Facts of a key frame.

    Args:
        frame: the key frame; objects without a label, or that no camera shows, are left out.
        roads: of the city. route: of the ego.
        yaw_rates: rad/s of actors, from the key frames around this one.
    """
    actors, ego = frame.state.actors, frame.state.ego
    rows = [r for r, name in enumerate(actors.ids) if _is_seen(frame.labels.get(name))]
    seen = actors.select(np.asarray(rows, dtype=np.int64))
    kinds = tuple(kinds_of(seen))
    xy = seen.positions[:, :2]
    cos, sin = np.cos(ego.heading), np.sin(ego.heading)
    delta = xy - ego.xy
    offsets = np.stack([delta[:, 0] * cos + delta[:, 1] * sin, delta[:, 1] * cos - delta[:, 0] * sin], axis=1)
    offsets[:, 0] -= VIRTUAL_MODEL_ORIGIN_EGO[0]
    speeds = seen.speeds
    vehicles = np.array([kind.is_vehicle for kind in kinds], dtype=bool)
    lanes = roads.match(xy, seen.headings, vehicles, ego.xy, _LOOK_M)
    along = match_route(route, frame.route_s, xy, _LOOK_M, _LOOK_M)
    headings = wrap_angle(seen.headings - ego.heading)
    statuses = [status_of(k, int(f), float(v)) for k, f, v in zip(kinds, seen.flags, speeds, strict=True)]
    rates = [(yaw_rates or {}).get(name, 0.0) for name in seen.ids]
    return FrameFacts(
        frame=frame,
        ids=seen.ids,
        labels=tuple(frame.labels[name] for name in seen.ids),
        kinds=kinds,
        nouns=tuple("child" if MODELS[m].child else _NOUNS[k] for m, k in zip(seen.models, kinds, strict=True)),
        colors=tuple(color_name(rgb) for rgb in seen.colors),
        classes=np.array([_CLASS_OF[kind] for kind in kinds], dtype=np.int64),
        statuses=np.array([STATUSES.index(s) if s else -1 for s in statuses], dtype=np.int64),
        offsets=offsets,
        distances=np.linalg.norm(offsets, axis=1),
        bearings=np.arctan2(offsets[:, 1], offsets[:, 0]),
        velocities=seen.velocities @ np.array([[cos, -sin], [sin, cos]]),
        sizes=sizes_of(seen),
        speeds=speeds,
        flags=seen.flags,
        headings=headings,
        motions=tuple(
            _motion(kind, status, float(heading), rate)
            for kind, status, heading, rate in zip(
                kinds, _moving_words(kinds, statuses, speeds), _course(seen.velocities, headings, ego.heading), rates,
                strict=True,
            )
        ),
        places=_places(roads, xy, kinds, seen.flags, lanes, along),
        route=along,
        lanes=lanes,
    )  # fmt: skip


def turning_rates(frames: Sequence[KeyFrame], index: int) -> dict[str, float]:
    """Yaw rate, rad/s, of every actor of a key frame, from the frames before and after it."""
    around = [frames[i].state for i in (index - 1, index, index + 1) if 0 <= i < len(frames)]
    headings = [dict(zip(state.actors.ids, state.actors.headings, strict=True)) for state in around]
    rates = {}
    for name in frames[index].state.actors.ids:
        known = [(state.time_s, table[name]) for state, table in zip(around, headings, strict=True) if name in table]
        if len(known) > 1:
            (start, first), (end, last) = known[0], known[-1]
            rates[name] = float(wrap_angle(last - first)) / max(end - start, 1e-6)
    return rates


def _is_seen(label: LabelFact | None) -> bool:
    return label is not None and label.visibility > 0.0 and bool(label.cameras)


def _moving_words(kinds: Sequence[ActorKind], statuses: Sequence[str], speeds: FloatArray) -> list[str]:
    """Statuses, with those of cycles told apart by their speed."""
    words = []
    for kind, status, speed in zip(kinds, statuses, speeds, strict=True):
        if kind in _CYCLES:
            status = "moving" if speed > MOVING_SPEED else ("stopped" if status == "with rider" else "parked")
        words.append(status)
    return words


def _course(velocities: FloatArray, headings: FloatArray, ego_heading: float) -> FloatArray:
    """[N] rad relative to the ego: the direction of motion, the heading for who stands."""
    moving = np.linalg.norm(velocities, axis=1) > MOVING_SPEED
    course = wrap_angle(np.arctan2(velocities[:, 1], velocities[:, 0]) - ego_heading)
    return np.where(moving, course, headings)


_STILL = {
    "parked": Motion.PARKED,
    "stopped": Motion.STOPPED,
    "standing": Motion.STANDING,
    "not standing": Motion.SITTING,
    "": Motion.PLACED,
}


def _motion(kind: ActorKind, status: str, course: float, yaw_rate: float) -> Motion:
    if status in _STILL:
        return _STILL[status]
    if kind is not ActorKind.PEDESTRIAN and abs(yaw_rate) > TURNING_RATE:
        return Motion.TURNING_LEFT if yaw_rate > 0 else Motion.TURNING_RIGHT
    if abs(course) < np.pi / 4:
        return Motion.SAME_WAY
    if abs(course) > 3 * np.pi / 4:
        return Motion.ONCOMING
    return Motion.TO_LEFT if course > 0 else Motion.TO_RIGHT


def _places(
    roads: RoadIndex,
    xy: FloatArray,
    kinds: Sequence[ActorKind],
    flags: NDArray[np.int64],
    lanes: LaneMatches,
    along: RouteMatches,
) -> tuple[Place, ...]:
    crossing, walkway, drivable = roads.on_crossing(xy), roads.on_walkway(xy), roads.on_drivable(xy)
    turned = np.abs(wrap_angle(lanes.direction - along.direction))
    places = []
    for row, kind in enumerate(kinds):
        on_foot = kind is ActorKind.PEDESTRIAN or kind is ActorKind.BICYCLE
        lateral, width = float(lanes.lateral[row]), float(lanes.width[row])
        if on_foot and crossing[row] and drivable[row]:
            place = Place.CROSSING
        elif walkway[row] and not drivable[row]:
            place = Place.ROADSIDE if _on_four_wheels(kind) else Place.PAVEMENT
        elif not drivable[row]:
            # Half on the kerb, as parked cars are, or beyond any road.
            place = Place.ROADSIDE if lanes.lane[row] >= 0 else Place.OFF_ROAD
        elif (
            lanes.lane[row] < 0
            or abs(lateral) > 0.5 * width + 0.3
            or (flags[row] & ActorFlag.PARKED and abs(lateral) > 0.8)
        ):
            place = Place.ROADSIDE
        else:
            place = _lane_place(
                float(along.lateral[row]), float(along.off[row]), float(turned[row]), width, bool(lanes.connector[row])
            )
        places.append(place)
    return tuple(places)


def _on_four_wheels(kind: ActorKind) -> bool:
    return kind.is_vehicle and kind not in _CYCLES


def _lane_place(lateral: float, off: float, turned: float, width: float, connector: bool) -> Place:
    """The lane of somebody on the road, seen from the route: `lateral` m beside it, its lane turned against it."""
    beside = off < 3.0
    if beside and abs(lateral) <= 0.5 * width and turned < np.pi / 4:
        return Place.EGO_LANE
    if connector:
        return Place.INTERSECTION
    if not beside or abs(lateral) > 5 * width or np.pi / 4 <= turned <= 3 * np.pi / 4:
        return Place.OTHER_ROAD
    if turned > np.pi / 2:
        return Place.OPPOSITE_LANE
    if abs(lateral) <= 1.5 * width:
        return Place.LEFT_LANE if lateral > 0 else Place.RIGHT_LANE
    return Place.SAME_DIRECTION
