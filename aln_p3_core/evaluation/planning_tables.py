"""The tables of plans: both published protocols side by side, and ours."""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3_core.evaluation.planning import PlanningTable, forms_of
from aln_p3_core.evaluation.protocol import HORIZONS_S, PlanningProtocol
from aln_p3_core.evaluation.report_blocks import Cell, Table, number, percent, without_empty_columns

_HORIZONS = (*(f"{seconds:g}s" for seconds in HORIZONS_S), "avg")
_SHOWN = {"l2": "L2 m", "collision": "collision %", "curb": "curb %"}
_FORMS = {"mean": "mean to", "at": "at"}

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
        columns.append(f"{protocol.title}: samples")
        for cells, name in zip(rows, names, strict=True):
            counts = table.row(name, protocol.title).counts
            cells.append(str(max(counts.values(), default=0)) if counts else None)
        for measure, title in _SHOWN.items():
            for form in forms_of(protocol):
                for horizon in _HORIZONS:
                    columns.append(f"{protocol.title}: {title} {_when(form, horizon)}")
                    for cells, name in zip(rows, names, strict=True):
                        value = table.row(name, protocol.title).value(measure, form, horizon)
                        cells.append(number(value) if measure == "l2" else percent(value))
    note = "; ".join(f"{p.title}: {p.name}, {_meaning(p)}" for p in protocols)
    return without_empty_columns(
        Table(
            tuple(columns),
            tuple(tuple(cells) for cells in rows),
            f"Protocol {' and '.join(protocol.title for protocol in protocols)}",
            f"{note}. Collisions and curbs in percent of samples. What was not measured is blank.",
            frozenset(i for i, name in enumerate(names) if name in strong),
        )
    )


def _when(form: str, horizon: str) -> str:
    return f"{_FORMS[form]} {horizon}" if horizon != "avg" else f"avg ({_FORMS[form].removesuffix(' to')})"


def _meaning(protocol: PlanningProtocol) -> str:
    return {
        "mean_to_horizon": "a value is the mean over the steps up to it",
        "at_horizon": "a value is that of the step itself",
        "both": "means up to a step, and values at it",
    }[protocol.values]
