"""Planning as a chapter of the report: protocols, obedience, errors by situation, cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aln_p3_core.evaluation.obedience import Obedience, measure_obedience
from aln_p3_core.evaluation.open_loop import OpenLoop
from aln_p3_core.evaluation.plan_groups import RowErrors, group_blocks, horizon_picture, scene_table
from aln_p3_core.evaluation.plan_rows import PlanRow, displacement_errors
from aln_p3_core.evaluation.report_blocks import Block, Section, Table, percent
from aln_p3_core.evaluation.report_cases import choose_cases, draw_cases
from aln_p3_core.evaluation.sample_facts import scene_facts

#: Pictures of each kind.
CASES = 3


def planning_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON."""
    targets, facts = open_loop.targets, open_loop.facts
    rows = [row for found in open_loop.drivers.values() for row in found.rows]
    blocks: list[Block] = []
    results: dict[str, Any] = {}
    obediences = {
        label: measure_obedience(found.main, targets, open_loop.dataset, open_loop.obedience_protocol)
        for label, found in open_loop.drivers.items()
    }
    if obediences:
        blocks.append(_obedience_table(obediences, open_loop.obedience_protocol.name))
        results["obedience"] = {label: found.to_json() for label, found in obediences.items()}
    errors = [RowErrors(row.name, displacement_errors(row.predictions, targets), row.in_plots) for row in rows]
    blocks.append(horizon_picture(errors, facts))
    grouped, results["by_situation"] = group_blocks(errors, facts)
    blocks += grouped
    if open_loop.request.per_scene:
        blocks.append(scene_table(errors, facts, _scene_titles(open_loop)))
    blocks += _cases(open_loop, rows, errors)
    return Section("Planning", "", tuple(blocks)), results


def _obedience_table(obediences: dict[str, Obedience], protocol: str) -> Table:
    commands = ("left", "right", "straight")
    rows = []
    for label, found in obediences.items():
        by_asked = [found.by_asked.get(command) for command in commands]
        cells = [None if cell is None else f"{100 * cell[0]:.1f} ({cell[1]})" for cell in by_asked]
        rows.append((label, str(found.frames), percent(found.given, 1), percent(found.flipped, 1), *cells))
    return Table(
        ("obedience", "frames", "given %", "flipped %", *(f"flipped to {command} %" for command in commands)),
        tuple(rows),
        "Obedience",
        f"Protocol {protocol}: share of the plans that go where their command says, at key frames where the road "
        "leaves a choice and the true path shows it; in brackets how many. Flipped: the plans of other commands than "
        "the given one.",
    )


def _scene_titles(open_loop: OpenLoop) -> dict[str, str]:
    told = scene_facts(open_loop.dataset)
    return {name: str(told[name].get("description", "")) for name in open_loop.scenes if name in told}


def _cases(open_loop: OpenLoop, rows: Sequence[PlanRow], errors: Sequence[RowErrors]) -> list[Block]:
    found: list[Block] = []
    for label, driver in open_loop.drivers.items():
        index = next(i for i, row in enumerate(rows) if row.predictions is driver.main)
        scores = errors[index].mean_errors
        for kind, best in (("Worst", False), ("Best", True)):
            chosen = choose_cases(scores, open_loop.facts, CASES, best=best, moving=best)
            if chosen and np.isfinite(scores).any():
                heading = f"{kind} plans of {label}"
                found.append(
                    draw_cases(heading, chosen, driver.main, scores, open_loop.facts, open_loop.targets,
                               open_loop.dataset)
                )  # fmt: skip
    return found
