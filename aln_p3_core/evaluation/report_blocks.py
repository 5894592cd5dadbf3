"""What a report is made of: sections of tables and pictures, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Cell = str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Attributes:
        columns: headings; the first one is of the rows' names.
        rows: cells; None was not measured, and stays blank.
        heading: above it, "" for none. note: below it, "" for none.
        strong: indices of rows that the report is about.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    heading: str = ""
    note: str = ""
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that lies in the page itself.

    Attributes:
        data: of a file of that `kind`.
        caption: below it.
        heading: above it, "" for none.
    """

    data: bytes
    kind: Literal["png", "jpeg"]
    caption: str
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side where there is room."""

    pictures: tuple[Picture, ...]
    heading: str = ""


Block = Table | Picture | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter: a title, a paragraph, and what follows."""

    title: str
    text: str = ""
    blocks: tuple[Block, ...] = field(default=())


def number(value: float | None, digits: int = 2) -> Cell:
    """A figure; None and NaN stay blank."""
    return None if value is None or value != value else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 2) -> Cell:
    """A share of 0..1 in percent; None and NaN stay blank."""
    return None if value is None or value != value else f"{100 * value:.{digits}f}"


def without_empty_columns(table: Table) -> Table:
    """The table without columns in which no row has anything."""
    filled = [i for i in range(len(table.columns)) if i == 0 or any(row[i] is not None for row in table.rows)]
    rows = tuple(tuple(row[i] for i in filled) for row in table.rows)
    return Table(tuple(table.columns[i] for i in filled), rows, table.heading, table.note, table.strong)
