"""Words for objects: the wording of captions, by split."""

from __future__ import annotations

from aln_p3_core.world.language.grammar import say
from aln_p3_core.world.language.stated import Motion, Place

#: How a noun gets along; it stands for {verb}. Shared by all splits, as nouns are.
VERBS = {
    "pedestrian": "walking",
    "child": "walking",
    "bicycle": "rolling",
    "cyclist": "riding",
    "motorcyclist": "riding",
}
DRIVING = "driving"

#: A whole caption. Slots: {object} ("white truck") or {an_object} ("a white truck"), and the parts below.
SENTENCE = say(
    "{object} {depth} {direction} is {motion} {place} | {object} {direction}, {depth}, is {motion} {place}",
    val="{object} is {motion} {place}, {depth} {direction} | {object} {direction} is {motion} {place}, {depth}",
    heldout="{place}, {depth} {direction}, {an_object} is {motion} | "
    "{direction}, {depth}, {an_object} is {motion} {place}",
    mini="{depth} {direction}, {an_object} is {motion} {place}",
)
DEPTH = say(
    "about {metres} meters away",
    val="around {metres} meters off",
    heldout="at roughly {metres} meters of distance",
    mini="some {metres} meters from here",
)
DIRECTION = say(
    "to the {direction} of the ego car | in the {direction} of the ego car",
    val="on the {direction} side of the ego car",
    heldout="towards the {direction} as seen from the ego car",
    mini="at the {direction} of the ego car",
)
#: Pure sides do not go with every preposition of `DIRECTION`: "in the left of" is not said.
SIDE_DIRECTION = say(
    "to the {direction} of the ego car | on the {direction} of the ego car",
    val="on the {direction} side of the ego car",
    heldout="towards the {direction} as seen from the ego car",
    mini="at the {direction} of the ego car",
)

#: After "is". {slowly} is " slowly" or nothing.
MOTION = {
    Motion.PARKED: say("parked", val="left parked", heldout="parked up", mini="in a parked state"),
    Motion.STOPPED: say(
        "standing still | stopped", val="halted", heldout="at a standstill", mini="waiting without moving"
    ),
    Motion.STANDING: say("standing", val="standing around", heldout="upright without walking", mini="standing there"),
    Motion.SITTING: say("sitting", val="sitting down", heldout="seated", mini="sitting there"),
    Motion.PLACED: say("placed", val="set up", heldout="put", mini="put down"),
    Motion.SAME_WAY: say(
        "{verb}{slowly} in the same direction as the ego car | {verb}{slowly} the same way as the ego car",
        val="{verb}{slowly} along with the ego car",
        heldout="{verb}{slowly} where the ego car is heading too",
        mini="{verb}{slowly} in the ego car's direction",
    ),
    Motion.ONCOMING: say(
        "{verb}{slowly} in the opposite direction | {verb}{slowly} the opposite way to the ego car",
        val="{verb}{slowly} against the direction of the ego car",
        heldout="{verb}{slowly} the other way round from the ego car",
        mini="{verb}{slowly} contrary to the ego car",
    ),
    Motion.TO_LEFT: say(
        "{verb}{slowly} from right to left",
        val="{verb}{slowly} across from the right",
        heldout="{verb}{slowly} over to the left side",
        mini="{verb}{slowly} towards the left",
    ),
    Motion.TO_RIGHT: say(
        "{verb}{slowly} from left to right",
        val="{verb}{slowly} across from the left",
        heldout="{verb}{slowly} over to the right side",
        mini="{verb}{slowly} towards the right",
    ),
    Motion.TURNING_LEFT: say(
        "turning left{slowly} | making a left turn{slowly}",
        val="taking a turn to its left{slowly}",
        heldout="rounding a corner on its left{slowly}",
        mini="in a turn to the left{slowly}",
    ),
    Motion.TURNING_RIGHT: say(
        "turning right{slowly} | making a right turn{slowly}",
        val="taking a turn to its right{slowly}",
        heldout="rounding a corner on its right{slowly}",
        mini="in a turn to the right{slowly}",
    ),
}

PLACE = {
    Place.EGO_LANE: say(
        "in the same lane as the ego car | in the lane of the ego car",
        val="in the ego car's own lane",
        heldout="within the lane that the ego car uses",
        mini="in the ego lane",
    ),
    Place.LEFT_LANE: say(
        "in the left adjacent lane | in the lane to the left",
        val="in the next lane on the left",
        heldout="within the neighbouring lane on the left side",
        mini="one lane further left",
    ),
    Place.RIGHT_LANE: say(
        "in the right adjacent lane | in the lane to the right",
        val="in the next lane on the right",
        heldout="within the neighbouring lane on the right side",
        mini="one lane further right",
    ),
    Place.SAME_DIRECTION: say(
        "in another lane of the same direction",
        val="in a farther lane of this direction",
        heldout="within a more distant lane that leads the same way",
        mini="some lanes further over",
    ),
    Place.OPPOSITE_LANE: say(
        "in the opposite lane | in the lane of the oncoming traffic",
        val="on the oncoming side of the road",
        heldout="within the carriageway that leads the other way",
        mini="in the facing lane",
    ),
    Place.OTHER_ROAD: say(
        "on another road | on a different road",
        val="in some other street",
        heldout="within a road that the ego car is not on",
        mini="on a road elsewhere",
    ),
    Place.INTERSECTION: say(
        "in the intersection | inside the intersection",
        val="on the junction",
        heldout="within the area where the roads meet",
        mini="in the junction",
    ),
    Place.CROSSING: say(
        "on the crosswalk | on the pedestrian crossing",
        val="on the zebra crossing",
        heldout="within the marked footpath over the road",
        mini="on a crossing for people on foot",
    ),
    Place.PAVEMENT: say(
        "on the sidewalk", val="on the pavement", heldout="within the walkway beside the road", mini="on the footway"
    ),
    Place.ROADSIDE: say(
        "at the roadside | at the side of the road",
        val="beside the lanes",
        heldout="along the edge of the road",
        mini="by the road",
    ),
    Place.OFF_ROAD: say(
        "off the road | away from the road",
        val="outside the road",
        heldout="beyond the limits of the road",
        mini="not on the road",
    ),
}
