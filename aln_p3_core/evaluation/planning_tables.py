"""The tables of plans: both published protocols side by side, and ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aln_p3_core.evaluation.planning import PlanningRow, PlanningTable, forms_of
from aln_p3_core.evaluation.protocol import HORIZONS_S, PlanningProtocol
from aln_p3_core.evaluation.report_blocks import Cell, Table, without_empty_columns

_HORIZONS = (*(f"{seconds:g}s" for seconds in HORIZONS_S), "avg")
_SHOWN = {"l2": "L2", "collision": "collision %", "curb": "curb %"}

#: Protocols that stand in one table: nobody shall take the one for the other.
PUBLISHED = ("vad", "uniad")


def planning_tables(table: PlanningTable, strong: Sequence[str] = ()) -> list[Table]:
    """The published protocols in one table, every other protocol in its own.

    Args:
        table: of `planning.evaluate_planning`.
        strong: names of rows that the report is about.
    """
    protocols = {row.protocol.title: row.protocol for row in table.rows}
    groups = [[protocols[title] for title in PUBLISHED if title in protocols]]
    groups += [[protocol] for title, protocol in protocols.items() if title not in PUBLISHED]
    return [_table(table, group, strong) for group in groups if group]


def _table(table: PlanningTable, protocols: Sequence[PlanningProtocol], strong: Sequence[str]) -> Table:
    names = list(dict.fromkeys(row.name for row in table.rows))
    columns = ["plans"]
    rows: list[list[Cell]] = [[name] for name in names]
    for protocol in protocols:
        found = [table.row(name, protocol.title) for name in names]
        columns.append(f"{protocol.title} samples")
        for cells, row in zip(rows, found, strict=True):
            cells.append(str(max(row.counts.values())) if row.counts else None)
        for key in _keys(protocol):
            columns.append(_heading(protocol, key))
            for cells, row in zip(rows, found, strict=True):
                cells.append(_cell(row, key))
    note = "; ".join(f"{p.title}: {p.name}, {_meaning(p)}" for p in protocols)
    return without_empty_columns(
        Table(
            tuple(columns),
            tuple(tuple(cells) for cells in rows),
            f"Protocol {' and '.join(protocol.title for protocol in protocols)}",
            f"{note}. L2 in metres, the others in percent of samples. avg: mean of 1, 2 and 3 s, in brackets 95 % of "
            "the resamplings of the scenes. What was not measured is blank.",
            frozenset(i for i, name in enumerate(names) if name in strong),
        )
    )


def _keys(protocol: PlanningProtocol) -> list[tuple[str, str, str]]:
    """(measure, form, horizon) of the columns. Where a protocol has two forms, the second one at the end only."""
    first, *more = forms_of(protocol)
    keys = []
    for measure in _SHOWN:
        keys += [(measure, first, horizon) for horizon in _HORIZONS]
        keys += [(measure, form, _HORIZONS[-2]) for form in more]
    return keys


def _heading(protocol: PlanningProtocol, key: tuple[str, str, str]) -> str:
    measure, form, horizon = key
    at = "at " if len(forms_of(protocol)) > 1 and form == "at" else ""
    return f"{protocol.title} {_SHOWN[measure]} {at}{horizon}"


def _cell(row: PlanningRow, key: tuple[str, str, str]) -> Cell:
    band = row.bands.get(key)
    if band is None or not np.isfinite(band.mean):
        return None
    scale = 1 if key[0] == "l2" else 100
    text = f"{scale * float(band.mean):.2f}"
    if key[2] != "avg" or not np.isfinite(band.low):
        return text
    return f"{text} ({scale * float(band.low):.2f}–{scale * float(band.high):.2f})"


def _meaning(protocol: PlanningProtocol) -> str:
    return {
        "mean_to_horizon": "a value is the mean over the steps up to it",
        "at_horizon": "a value is that of the step itself",
        "both": "means over the steps up to a time, and the values at 3 s",
    }[protocol.values]
