"""Reads texts back: each sentence that the grammar makes, of any split, to the facts that it states."""

from aln_p3_core.world.language.parse_ego import parse_narration, parse_reasoning, parse_statement
from aln_p3_core.world.language.parse_objects import parse_caption, parse_question

__all__ = ["parse_caption", "parse_narration", "parse_question", "parse_reasoning", "parse_statement"]
