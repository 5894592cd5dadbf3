"""Planning as a chapter of the report: protocols, obedience, errors by situation, cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aln_p3_core.evaluation.baselines import BASELINES
from aln_p3_core.evaluation.bootstrap import scene_sums
from aln_p3_core.evaluation.obedience import Obedience, measure_obedience
from aln_p3_core.evaluation.open_loop import OpenLoop
from aln_p3_core.evaluation.plan_groups import RowErrors, group_blocks, horizon_picture, scene_table
from aln_p3_core.evaluation.plan_rows import PlanRow
from aln_p3_core.evaluation.planning import MEASURES, PlanningTable, evaluate_planning, forms_of
from aln_p3_core.evaluation.planning_tables import planning_tables
from aln_p3_core.evaluation.protocol import HORIZONS_S, PLANNING_PROTOCOLS, read_planning_protocol
from aln_p3_core.evaluation.report_blocks import Block, Section, Table, percent
from aln_p3_core.evaluation.report_cases import choose_cases, draw_cases
from aln_p3_core.evaluation.sample_facts import scene_facts

#: Pictures of each kind.
CASES = 3
# Protocol, measure, and that in words, of the tables with a line for each scene.
_BY_SCENE = (("vad", "l2", "L2, m"), ("uniad", "l2", "L2, m"), ("p3", "collision", "collisions, %"))


def planning_suite(open_loop: OpenLoop) -> tuple[Section, dict[str, Any]]:
    """The chapter, and its numbers as JSON."""
    truth, facts, rows = open_loop.truth, open_loop.facts, open_loop.plan_rows
    table = evaluate_planning(
        truth,
        {row.name: row.plans_model for row in rows},
        [read_planning_protocol(name) for name in PLANNING_PROTOCOLS],
    )
    blocks: list[Block] = [*planning_tables(table, [row.name for row in rows if row.is_subject])]
    results: dict[str, Any] = {"protocols": table.to_json()}
    obediences = {
        label: measure_obedience(found.main, open_loop.targets, open_loop.dataset, open_loop.obedience_protocol)
        for label, found in open_loop.drivers.items()
    }
    if obediences:
        blocks.append(_obedience_table(obediences, open_loop.obedience_protocol.name))
        results["obedience"] = {label: found.to_json() for label, found in obediences.items()}
    errors = [RowErrors(row.name, row.errors(truth), row.in_plots) for row in rows]
    blocks.append(horizon_picture(errors, facts))
    grouped, results["by_situation"] = group_blocks(errors, facts)
    blocks += grouped
    if open_loop.request.per_scene:
        blocks += _scene_tables(open_loop, table)
        subjects = [row.name for row in rows if row.name not in BASELINES]
        results["by_scene"] = _scene_numbers(table, subjects, truth.scenes)
    blocks += _cases(open_loop, rows, errors)
    return Section("Planning", _text(open_loop), tuple(blocks)), results


def _text(open_loop: OpenLoop) -> str:
    stored = int(open_loop.truth.plan_stored.sum())
    count = len(open_loop.tokens)
    source = (
        f"the plan that the data set stores ({stored} of {count} samples), else what the ego did"
        if stored
        else ("what the ego did")
    )
    scenes = f"{len(open_loop.scenes)} scene{'' if len(open_loop.scenes) == 1 else 's'}"
    return f"{count} samples of {scenes}. The truth is {source}."


def _obedience_table(obediences: Mapping[str, Obedience], protocol: str) -> Table:
    commands = ("left", "right", "straight")
    rows = []
    for label, found in obediences.items():
        by_asked = [found.by_asked.get(command) for command in commands]
        cells = [None if cell is None else f"{100 * cell[0]:.1f} ({cell[1]})" for cell in by_asked]
        rows.append((label, str(found.frames), percent(found.given, 1), percent(found.flipped, 1), *cells))
    return Table(
        ("driver", "frames", "given %", "flipped %", *(f"flipped to {command} %" for command in commands)),
        tuple(rows),
        "Obedience",
        f"Protocol {protocol}: share of the plans that go where their command says, at key frames where the road "
        "leaves a choice and the true path shows it; in brackets how many. Flipped: the plans of other commands than "
        "the given one.",
    )


def _scene_tables(open_loop: OpenLoop, table: PlanningTable) -> list[Block]:
    """Distances under `vad` and `uniad`, and contacts under `p3`, scene by scene."""
    told = scene_facts(open_loop.dataset)
    titles = {name: str(told[name].get("description", "")) for name in open_loop.scenes if name in told}
    found: list[Block] = []
    for title, measure, what in (
        ("vad", "l2", "L2, m"),
        ("uniad", "l2", "L2, m"),
        ("p3", "collision", "collisions, %"),
    ):
        rows = [row for row in table.rows if row.protocol.title == title]
        form = forms_of(rows[0].protocol)[0]
        values = {
            row.name: np.mean([row.steps.horizon(measure, seconds, form) for seconds in HORIZONS_S], axis=0)
            for row in rows
        }
        note = "Mean of the values at 1, 2 and 3 s, over the samples that count."
        heading = f"By scene: {what}, protocol {title}"
        found.append(scene_table(heading, values, open_loop.facts, titles, share=measure != "l2", note=note))
    return found


def _scene_numbers(table: PlanningTable, names: Sequence[str], scenes: Sequence[str]) -> dict[str, Any]:
    """`{protocol: {row: {"l2_mean_avg": {scene: [sum, count]}}}}` over samples, of their means of 1, 2 and 3 s."""
    found: dict[str, Any] = {}
    for row in table.rows:
        if row.name not in names:
            continue
        values = {}
        for measure in MEASURES:
            if row.steps.of(measure) is None:
                continue
            for form in forms_of(row.protocol):
                mean = np.mean([row.steps.horizon(measure, seconds, form) for seconds in HORIZONS_S], axis=0)
                values[f"{measure}_{form}_avg"] = scene_sums(mean, scenes)
        found.setdefault(row.protocol.name, {})[row.name] = values
    return found


def _cases(open_loop: OpenLoop, rows: Sequence[PlanRow], errors: Sequence[RowErrors]) -> list[Block]:
    by_name = {row.name: row for row in errors}
    found: list[Block] = []
    for label, driver in open_loop.drivers.items():
        scores = by_name[driver.rows[0].name].mean_errors
        for kind, best in (("Worst", False), ("Best", True)):
            chosen = choose_cases(scores, open_loop.facts, CASES, best=best, moving=best)
            if chosen and np.isfinite(scores).any():
                heading = f"{kind} plans of {label}"
                found.append(
                    draw_cases(
                        heading, chosen, driver.main, scores, open_loop.facts, open_loop.targets, open_loop.dataset
                    )
                )
    return found
