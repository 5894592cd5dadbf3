"""Captions of objects in the layout of TOD3Cap: five fields and the sentence that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.language.facts import SLOW_SPEED, FrameFacts, direction_of
from aln_p3_core.world.language.grammar import Alternatives, Chooser, with_article
from aln_p3_core.world.language.naming import named_object
from aln_p3_core.world.language.sentences import bare
from aln_p3_core.world.language.stated import Caption, Direction, Motion
from aln_p3_core.world.language.wording_caption import (
    DEPTH,
    DIRECTION,
    DRIVING,
    MOTION,
    PLACE,
    SENTENCE,
    SIDE_DIRECTION,
    VERBS,
)

MOVING = tuple(motion for motion in Motion if any("{slowly}" in pattern for pattern in MOTION[motion]))


def caption_of(facts: FrameFacts, row: int) -> Caption:
    """What there is to say of one object."""
    motion = facts.motions[row]
    on_foot = facts.kinds[row] is ActorKind.PEDESTRIAN
    return Caption(
        object=named_object(facts, row),
        depth_m=round(float(facts.distances[row])),
        direction=direction_of(float(facts.bearings[row])),
        motion=motion,
        place=facts.places[row],
        slowly=motion in MOVING and not on_foot and float(facts.speeds[row]) < SLOW_SPEED,
    )


def say_caption(caption: Caption, chooser: Chooser, key: object) -> dict[str, str]:
    """Texts of a caption: "object", "depth", "direction", "motion", "place" and, made of them, "sentence"."""
    parts = {
        "object": bare(caption.object),
        "depth": chooser.pick(DEPTH, key, "depth").format(metres=caption.depth_m),
        "direction": chooser.pick(direction_words(caption.direction), key, "direction").format(
            direction=caption.direction.value
        ),
        "motion": chooser.pick(MOTION[caption.motion], key, "motion").format(
            verb=VERBS.get(caption.object.noun, DRIVING), slowly=" slowly" if caption.slowly else ""
        ),
        "place": chooser.pick(PLACE[caption.place], key, "place"),
    }
    sentence = chooser.pick(SENTENCE, key, "sentence").format(**parts, an_object=with_article(parts["object"]))
    return parts | {"sentence": sentence[0].upper() + sentence[1:]}


def direction_words(direction: Direction) -> Alternatives:
    """Wording of a direction."""
    return SIDE_DIRECTION if direction in (Direction.LEFT, Direction.RIGHT) else DIRECTION


def caption_row(facts: FrameFacts, row: int, chooser: Chooser, key: object) -> dict[str, Any]:
    """An entry of TOD3Cap's file: the fields nested as there, and what else its tools read.

    Offsets and velocity are in LIDAR_TOP's axes (x right, y forward), m and m/s; `localization_theta` is the angle
    from straight ahead, degrees, right positive; `3d_size` is width, length, height, m, as in nuScenes.
    """
    said = say_caption(caption_of(facts, row), chooser, key)
    ahead, left = (float(v) for v in facts.offsets[row])
    forward, leftward = (float(v) for v in facts.velocities[row])
    length, width, height = (float(v) for v in facts.sizes[row])
    label = facts.labels[row]
    return {
        "attribute_caption": {"attribute_caption": said["object"][0].upper() + said["object"][1:]},
        "depth_caption": {"depth": _rounded(float(facts.distances[row]))},
        "localization_caption": {
            "localization_caption": said["direction"],
            "x_offset": _rounded(-left),
            "y_offset": _rounded(ahead),
            "localization_theta": _rounded(-float(np.degrees(facts.bearings[row])), 1),
        },
        "motion_caption": {
            "motion_caption": said["motion"],
            "x_vel": _rounded(-leftward),
            "y_vel": _rounded(forward),
        },
        "map_caption": {"map_caption": said["place"]},
        "final_caption": said["sentence"],
        "3d_size": [_rounded(v) for v in (width, length, height)],
        "camera": label.cameras[0],
    }


def caption_rows(facts: FrameFacts, chooser: Chooser) -> Mapping[str, dict[str, Any]]:
    """Entries of all objects of a key frame by annotation token."""
    return {label.token: caption_row(facts, row, chooser, label.token) for row, label in enumerate(facts.labels)}


def _rounded(value: float, digits: int = 2) -> float:
    return round(value, digits) + 0.0  # no negative zero
