"""Annotations of one scene: who is labelled in which key frame, with category, attribute, visibility and tracks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors
from aln_p3_core.world.assets.catalogue import MODELS, sizes_of
from aln_p3_core.world.key_frame import LabelFact
from aln_p3_core.world.recorder.tables import Row, Table, attribute_token, category_token, chain, make_token
from aln_p3_core.world.recorder.tables import visibility_token as level_of

#: Actors farther from the ego than this are not labelled, m (nuScenes annotates to about 80 m).
LABEL_RADIUS_M = 80.0
#: An actor counts as seen from this share of its pixels and this many pixels on.
MIN_VISIBILITY = 0.02
MIN_PIXELS = 6
#: An actor that is lost for at most this many key frames keeps its label in between, as annotators do it.
MAX_GAP = 2
#: Below this speed, m/s, somebody stands.
MOVING_SPEED = 0.2
# The ground's own points lie at the foot of every box; a little more than the box is counted on its other sides.
_GROUND_Z_M = 0.08
_POINT_MARGIN_M = 0.02

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sightings:
    """The actors near the ego in one key frame, as the sensors have them. N = actors.

    Attributes:
        sample_token: of the key frame.
        actors: those within `LABEL_RADIUS_M`.
        visibility: [N] share of each that the six cameras see, 0..1.
        pixels: [C, N] pixels in each camera. cameras: names of the C channels.
        lidar_points: [N] LiDAR points in its box.
    """

    sample_token: str
    actors: Actors
    visibility: FloatArray
    pixels: IntArray
    cameras: tuple[str, ...]
    lidar_points: IntArray

    @property
    def sensed(self) -> NDArray[np.bool_]:
        """[N] a camera sees it, or the LiDAR touches it."""
        seen = (self.visibility >= MIN_VISIBILITY) & (self.pixels.sum(axis=0) >= MIN_PIXELS)
        return seen | (self.lidar_points > 0)


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """Rows of `instance` and `sample_annotation` of a scene, and the facts of every label for annotators.

    Attributes:
        instances, annotations: the rows, linked.
        facts: by key frame: actor id -> fact.
    """

    instances: Table = field(default_factory=list)
    annotations: Table = field(default_factory=list)
    facts: list[dict[str, LabelFact]] = field(default_factory=list)


def count_lidar_points(points_world: FloatArray, actors: Actors) -> IntArray:
    """[N] points [n, 3] (world frame) inside the box of each actor; those on the ground do not count."""
    counts = np.zeros(len(actors), np.int64)
    points = points_world[points_world[:, 2] > _GROUND_Z_M]
    # Sorted along x, so that each actor looks at a slice only.
    points = points[np.argsort(points[:, 0], kind="stable")]
    half = sizes_of(actors) / 2 + _POINT_MARGIN_M
    reach = np.hypot(half[:, 0], half[:, 1])
    starts = np.searchsorted(points[:, 0], actors.positions[:, 0] - reach)
    ends = np.searchsorted(points[:, 0], actors.positions[:, 0] + reach)
    for row in np.flatnonzero(ends > starts):
        offset = points[starts[row] : ends[row]] - actors.positions[row]
        cos, sin = np.cos(actors.headings[row]), np.sin(actors.headings[row])
        along = np.abs(cos * offset[:, 0] + sin * offset[:, 1]) <= half[row, 0]
        aside = np.abs(cos * offset[:, 1] - sin * offset[:, 0]) <= half[row, 1]
        counts[row] = int((along & aside & (offset[:, 2] <= 2 * half[row, 2])).sum())
    return counts


def attribute_of(kind: ActorKind, speed: float, flags: int) -> str:
    """nuScenes attribute of an actor, "" where its category has none."""
    moving = speed > MOVING_SPEED
    if kind.is_static:
        return ""
    if kind is ActorKind.PEDESTRIAN:
        if flags & ActorFlag.SITTING:
            return "pedestrian.sitting_lying_down"
        return "pedestrian.moving" if moving else "pedestrian.standing"
    if kind in (ActorKind.BICYCLE, ActorKind.MOTORCYCLE):
        return "cycle.with_rider" if flags & ActorFlag.RIDER else "cycle.without_rider"
    if moving:
        return "vehicle.moving"
    return "vehicle.parked" if flags & ActorFlag.PARKED else "vehicle.stopped"


def instance_token(scene: str, actor_id: str) -> str:
    """Token of an actor's track in a scene; `scene` is the scene's identity (`SceneInfo.identity`)."""
    return make_token(scene, "instance", actor_id)


def label_scene(scene: str, key_frames: Sequence[Sightings]) -> SceneLabels:
    """Labels of all key frames of a scene.

    As in nuScenes, an actor is annotated where a sensor has it: a camera sees some of it or a LiDAR point lies in
    its box. One that is out of sight for up to `MAX_GAP` key frames between two such frames is annotated there
    too (visibility level 1, no points), so that tracks do not break behind every lamp post.

    Args:
        scene: identity of the scene, which makes its tokens unique.
        key_frames: in time order.
    """
    labels = SceneLabels(facts=[{} for _ in key_frames])
    for actor_id, frames in _tracks(key_frames).items():
        track = instance_token(scene, actor_id)
        rows = []
        for index in frames:
            sightings = key_frames[index]
            row = sightings.actors.ids.index(actor_id)
            token = make_token(scene, "annotation", actor_id, index)
            rows.append(_annotation(token, track, sightings, row))
            labels.facts[index][actor_id] = _fact(token, sightings, row)
        chain(rows)
        labels.annotations.extend(rows)
        first = key_frames[frames[0]]
        model = MODELS[int(first.actors.models[first.actors.ids.index(actor_id)])]
        labels.instances.append(
            {
                "token": track,
                "category_token": category_token(model.category),
                "nbr_annotations": len(rows),
                "first_annotation_token": rows[0]["token"],
                "last_annotation_token": rows[-1]["token"],
            }
        )
    return labels


def _tracks(key_frames: Sequence[Sightings]) -> Mapping[str, list[int]]:
    """Key frames in which each actor is annotated, actors in order of their first label."""
    sensed: dict[str, list[int]] = defaultdict(list)
    present: list[set[str]] = []
    for index, sightings in enumerate(key_frames):
        present.append(set(sightings.actors.ids))
        for row in np.flatnonzero(sightings.sensed):
            sensed[sightings.actors.ids[row]].append(index)
    tracks = {}
    for actor_id, frames in sensed.items():
        filled = [frames[0]]
        for index in frames[1:]:
            between = range(filled[-1] + 1, index)
            if len(between) <= MAX_GAP and all(actor_id in present[i] for i in between):
                filled.extend(between)
            filled.append(index)
        tracks[actor_id] = filled
    return tracks


def _annotation(token: str, track: str, sightings: Sightings, row: int) -> Row:
    actors = sightings.actors
    model = MODELS[int(actors.models[row])]
    length, width, height = model.size_lwh
    x, y, z = (float(v) for v in actors.positions[row])
    half = float(actors.headings[row]) / 2
    attribute = attribute_of(model.kind, float(actors.speeds[row]), int(actors.flags[row]))
    return {
        "token": token,
        "sample_token": sightings.sample_token,
        "instance_token": track,
        "visibility_token": level_of(float(sightings.visibility[row])),
        "attribute_tokens": [attribute_token(attribute)] if attribute else [],
        "translation": [x, y, z + height / 2],
        "size": [width, length, height],
        "rotation": [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))],
        "num_lidar_pts": int(sightings.lidar_points[row]),
        "num_radar_pts": 0,
    }


def _fact(token: str, sightings: Sightings, row: int) -> LabelFact:
    pixels = sightings.pixels[:, row]
    cameras = tuple(sightings.cameras[i] for i in np.argsort(-pixels, kind="stable") if pixels[i] > 0)
    return LabelFact(token, float(sightings.visibility[row]), cameras, int(sightings.lidar_points[row]))
