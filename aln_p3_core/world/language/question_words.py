"""Puts questions into words."""

from __future__ import annotations

from aln_p3_core.world.language.grammar import Chooser, with_article
from aln_p3_core.world.language.question import Question, Thing
from aln_p3_core.world.language.sentences import plural
from aln_p3_core.world.language.wording_question import AFTER_NOUN, FROM, QUESTION


def say_question(question: Question, chooser: Chooser, key: object) -> str:
    """The question as a sentence."""
    pattern = chooser.pick(QUESTION[question.form], key, "question")
    one = thing_words(question.things, chooser, key)
    return pattern.format(
        thing=one,
        a_thing=with_article(one),
        things=thing_words(question.things, chooser, key, many=True),
        other="the " + thing_words(question.other, chooser, key) if question.other is not None else "",
    )


def thing_words(thing: Thing, chooser: Chooser, key: object, *, many: bool = False) -> str:
    """ "moving cars to the front of the bus", without an article."""
    words = plural(thing.noun) if many else thing.noun
    if thing.status in AFTER_NOUN:
        words = f"{words} {thing.status}"
    elif thing.status:
        words = f"{thing.status} {words}"
    if thing.sector:
        place = "me" if thing.anchor is None else "the " + thing_words(thing.anchor, chooser, key)
        words += " " + chooser.pick(FROM, key, "from").format(sector=thing.sector, place=place)
    return words
