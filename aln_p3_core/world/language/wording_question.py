"""Words of questions, by split.

Slots: {thing} one thing, {a_thing} with its article, {things} many, {other} what they are compared with ("the bus").
"""

from __future__ import annotations

from aln_p3_core.world.language.grammar import say
from aln_p3_core.world.language.question import Form

QUESTION = {
    Form.EXIST: say(
        "Are there any {things}? | Can any {things} be seen? | Is there any {thing}?",
        val="Do you see any {things}? | Is at least one {thing} there?",
        heldout="Would you find a single {thing} here? | Does this scene contain any {things}?",
        mini="Are some {things} visible?",
    ),
    Form.EXIST_SAME: say(
        "Is there another {thing} that has the same status as {other}? | Are there any other {things} with the status "
        "of {other}?",
        val="Do you see another {thing} in the status of {other}?",
        heldout="Does this scene contain one more {thing} whose status equals that of {other}?",
        mini="Is another {thing} visible that shares the status of {other}?",
    ),
    Form.COUNT: say(
        "How many {things} are there? | What number of {things} can be seen? | What is the number of {things}?",
        val="How many {things} do you see?",
        heldout="If you count all {things}, what do you get? | How many {things} does this scene contain?",
        mini="How many {things} are visible?",
    ),
    Form.COUNT_SAME: say(
        "How many other {things} have the same status as {other}? | What number of other {things} are in the status "
        "of {other}?",
        val="How many other {things} do you see in the status of {other}?",
        heldout="If you count all other {things} whose status equals that of {other}, what do you get?",
        mini="How many other {things} are visible that share the status of {other}?",
    ),
    Form.OBJECT: say(
        "What is the {thing}? | There is {a_thing}; what is it?",
        val="Which object is the {thing}? | You see {a_thing}; which object is it?",
        heldout="To what class does the {thing} belong? | This scene contains {a_thing}; what would you call it?",
        mini="The {thing} is what kind of object?",
    ),
    Form.STATUS: say(
        "What is the status of the {thing}? | What status is the {thing} in? | "
        "There is {a_thing}; what status is it in?",
        val="In which status do you see the {thing}? | You see {a_thing}; which status does it have?",
        heldout="How would you describe the status of the {thing}? | "
        "This scene contains {a_thing}; what is its status?",
        mini="The {thing} has what status?",
    ),
    Form.COMPARISON: say(
        "Do the {thing} and {other} have the same status? | Is the status of the {thing} the same as that of {other}?",
        val="Do you see the {thing} in the same status as {other}?",
        heldout="Would you describe the status of the {thing} and of {other} alike?",
        mini="Does the {thing} share its status with {other}?",
    ),
}

#: Where a thing is. {place} is "me" or "the bus".
FROM = say(
    "to the {sector} of {place}",
    val="on the {sector} side of {place}",
    heldout="towards the {sector} as seen from {place}",
    mini="at the {sector} of {place}",
)

#: These statuses follow the noun; the others go before it.
AFTER_NOUN = ("with rider", "without rider")
