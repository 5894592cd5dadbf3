"""The recipes' mixtures of texts, as docs/training.md has them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import takewhile
from pathlib import Path

import pytest

from aln_p3_core.training.recipes import TRAINING_RECIPES

PAGE = Path(__file__).parents[3] / "docs" / "training.md"


def told(column: int) -> dict[str, str]:
    """A column of the table of mixtures by the first cell of each row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| texts a frame"))
    table = takewhile(lambda line: line.startswith("|"), lines[start:])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[column] for row in rows}


@pytest.mark.parametrize(("recipe", "column"), [("nano_speak", 1), ("nano_joint", 1), ("aln_p3_base", 2)])
def test_the_page_tells_the_recipes_mixture(recipe: str, column: int) -> None:
    texts, rows = TRAINING_RECIPES[recipe].texts, told(column)
    assert texts is not None
    assert int(rows["texts a frame (`texts.per_frame`)"]) == texts.per_frame
    assert (rows["of every frame (`texts.every_frame`)"],) == texts.every_frame
    shares = {name.split()[2]: float(value) for name, value in rows.items() if name.startswith("share of ")}
    assert shares == asdict(texts.shares)


def test_what_learns_in_the_embedded_world_has_no_drivelm() -> None:
    with_texts = {name: recipe.texts for name, recipe in TRAINING_RECIPES.items() if recipe.texts is not None}
    assert [name for name, texts in with_texts.items() if texts.shares.drivelm > 0] == ["aln_p3_base"]
