"""What the oddities of the published protocols are worth: `p3` with one of them put in at a time.

    evaluate_planning(truth, plans, slip_protocols())

docs/evaluation.md shows the table; scripts/measure_slips.py makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aln_p3_core.evaluation.planning import PlanningTable
from aln_p3_core.evaluation.protocol import PlanningProtocol, read_planning_protocol
from aln_p3_core.evaluation.report_blocks import Cell, Table, number, percent

_OFFICIAL_BOX: dict[str, Any] = {
    "ego_length_m": 4.084,
    "ego_width_m": 1.85,
    "ego_box_origin": "model",
    "ego_center_ahead_m": 0.5,
}
#: What is changed in `p3`, by what it is called.
SLIPS: Mapping[str, Mapping[str, Any]] = {
    "ego box keeps its heading": {"ego_heading": "fixed"},
    "ego box of the released code": _OFFICIAL_BOX,
    "cells of 0.5 m, fixed heading, released box": {
        "outlines": "grid",
        "grid_rows_from": "front",
        "ego_heading": "fixed",
        **_OFFICIAL_BOX,
    },
    "agents within 15 m x 30 m only": {"agent_range_m": (15.0, 30.0)},
    "agents in sight now only": {"agent_boxes": "present_boxes_moved"},
    "no pedestrians": {"agent_kinds": ("vehicle",)},
    "true contacts count as free": {"true_contact": "counts_as_free"},
    "steps without truth count as perfect": {"samples": "all", "true_contact": "counts_as_free"},
    "samples with six future frames only": {"samples": "six_future_frames"},
}
_COLUMNS = (("l2", "mean", "avg"), ("l2", "at", "3s"), ("collision", "mean", "avg"), ("collision", "at", "3s"))
_TITLES = ("L2 mean, m", "L2 at 3 s, m", "collision mean, %", "collision at 3 s, %")


def slip_protocols() -> list[PlanningProtocol]:
    """`p3`, `p3` with every slip by itself, and the two published protocols as they are."""
    p3, *published = (read_planning_protocol(name) for name in ("p3", "vad", "uniad"))
    # The variants on the grid have no curbs; leaving them out everywhere saves the time.
    p3 = replace(p3, curbs=False)
    changed = [replace(p3, name=f"{p3.name}, {title}", title=title, **slip) for title, slip in SLIPS.items()]
    return [p3, *changed, *published]


def slip_table(table: PlanningTable) -> Table:
    """A line for every protocol and every row of plans, from the values of `slip_protocols`."""
    lines: list[tuple[Cell, ...]] = []
    for row in table.rows:
        cells = [
            number(row.value(*key), 3) if key[0] == "l2" else percent(row.value(*key), 2) for key in _COLUMNS
        ]  # fmt: skip
        samples = max(row.counts.values(), default=0)
        lines.append((row.protocol.title, row.name, str(samples), *cells))
    return Table(("protocol", "plans", "samples", *_TITLES), tuple(lines), "What each oddity is worth")
