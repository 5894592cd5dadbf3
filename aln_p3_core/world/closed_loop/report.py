"""Writes what a campaign gave: summary.json, table.md, plot.png, index.html beside the routes' own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.whole_files import write_json, write_text
from aln_p3_core.world.closed_loop.campaign import ROUTES_FOLDER, CampaignOutcome
from aln_p3_core.world.closed_loop.report_page import write_page
from aln_p3_core.world.closed_loop.report_plot import write_plot
from aln_p3_core.world.closed_loop.route_task import PROTOCOL
from aln_p3_core.world.closed_loop.score import PENALTIES
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.statistics import ALL, GroupSummary, Statistic, summarise

#: Columns of the table of planners: heading, metric, digits.
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("driving score", "driving_score", 1),
    ("success %", "success_rate", 1),
    ("success, own fault %", "success_own_fault_rate", 1),
    ("completion %", "route_completion", 1),
    ("collisions", "collisions", 0),
    ("of these own fault", "collisions_own_fault", 0),
    ("pedestrian", "collisions_pedestrian", 0),
    ("cyclist", "collisions_cyclist", 0),
    ("vehicle", "collisions_vehicle", 0),
    ("static", "collisions_static", 0),
    ("off-road", "off_road", 0),
    ("wrong way", "wrong_way", 0),
    ("red lights", "red_lights", 0),
    ("blocked", "blocked", 0),
    ("deviated", "route_deviations", 0),
    ("time-outs", "time_outs", 0),
    ("comfort %", "comfort", 1),
    ("critical TTC %", "critical_ttc", 1),
    ("mean m/s", "mean_speed", 1),
)
_HUMAN_COLUMNS = (("L2 1 s", "l2_1s"), ("L2 2 s", "l2_2s"), ("L2 3 s", "l2_3s"), ("departure", "departure_m"))


@dataclass(frozen=True, eq=False)
class ReportCard:
    """What the figures were made with: everything that a reader needs to make them again.

    Attributes:
        settings: of every drive. routes: what was driven, in words ("all, 3 seeds, split val").
        seeds: repetitions. split: of the cities. command: the command line.
        hardware: processor, software, commit.
    """

    settings: DriveSettings
    routes: str
    seeds: int
    split: str
    command: str
    hardware: Mapping[str, Any]

    def to_json(self, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """JSON-ready dictionary."""
        precision = precisions(reports)
        planners = {
            r["planner"]: {
                "name": r["planner_name"],
                "checkpoint_hash": r["checkpoint_hash"],
                "through": r["through"],
                "precision": precision.get(r["planner"], ""),
            }
            for r in reports
        }
        return {
            "protocol": PROTOCOL,
            "penalties": {kind.value: factor for kind, factor in PENALTIES.items()},
            "planners": planners,
            "routes": self.routes,
            "split": self.split,
            "seeds": self.seeds,
            "settings": self.settings.to_json(),
            "command": self.command,
            "hardware": dict(self.hardware),
        }


def write_report(out: Path, outcome: CampaignOutcome, card: ReportCard) -> dict[str, Path]:
    """Writes the summary of a campaign into its folder. Returns the files by kind: json, table, plot, page."""
    groups = summarise(outcome.reports)
    table = markdown(groups, card, outcome)
    files = {kind: out / name for kind, name in _FILES.items()}
    out.mkdir(parents=True, exist_ok=True)
    summary = {
        **card.to_json(outcome.reports),
        "groups": [group.to_json() for group in groups],
        "world_times_real_time": speeds(outcome),
        "errors": {route: text.strip().splitlines()[-1] for route, text in outcome.errors.items()},
    }
    write_json(files["json"], summary)
    write_text(files["table"], table)
    write_plot(files["plot"], groups)
    write_page(files["page"], groups, outcome, summary, COLUMNS, ROUTES_FOLDER, files["plot"].name)
    return files


def markdown(groups: Sequence[GroupSummary], card: ReportCard, outcome: CampaignOutcome) -> str:
    """The tables in Markdown: planners in all, success by scenario, distance to the human, and the card."""
    whole = [group for group in groups if group.scenario == ALL]
    lines = ["# Closed loop", "", _sentence(card, outcome), ""]
    lines += markdown_table(
        ["planner", "routes", *(heading for heading, _, _ in COLUMNS)],
        [[g.planner, str(g.routes), *(shown(g.statistics.get(name), digits) for _, name, digits in COLUMNS)]
         for g in whole],
    )  # fmt: skip
    lines += ["", "Means over routes (collisions to time-outs: totals); least and greatest over seeds in brackets."]
    scenarios = list(dict.fromkeys(group.scenario for group in groups if group.scenario != ALL))
    by_key = {(group.planner, group.scenario): group for group in groups}
    for heading, name in (("Success %", "success_rate"), ("Driving score", "driving_score")):
        lines += ["", f"## {heading} by scenario", ""]
        rows = []
        for scenario in scenarios:
            found = [by_key.get((g.planner, scenario)) for g in whole]
            rows.append([scenario, *("" if f is None else shown(f.statistics.get(name), 1) for f in found)])
        lines += markdown_table(["scenario", *(group.planner for group in whole)], rows)
    if any(group.human for group in whole):
        lines += ["", "## Distance to the human driver, m", ""]
        lines += markdown_table(
            ["planner", *(heading for heading, _ in _HUMAN_COLUMNS)],
            [[g.planner, *(f"{g.human[n]:.2f}" if n in g.human else "" for _, n in _HUMAN_COLUMNS)] for g in whole],
        )
    if outcome.errors:
        lines += ["", "## Not driven", ""]
        lines += [f"- {route}: {text.strip().splitlines()[-1]}" for route, text in outcome.errors.items()]
    hardware = ", ".join(f"{name} {value}" for name, value in card.hardware.items() if value != "")
    computed = "".join(f"; {planner} in {names}" for planner, names in precisions(outcome.reports).items())
    return "\n".join([*lines, "", f"`{card.command}`", "", f"{PROTOCOL}; {hardware}{computed}", ""])


def precisions(reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """By planner: what its network computed in, more than one where routes differ; none where no route says it."""
    found: dict[str, set[str]] = {}
    for report in reports:
        if report.get("precision"):
            found.setdefault(report["planner"], set()).add(report["precision"])
    return {planner: ", ".join(sorted(names)) for planner, names in found.items()}


def shown(statistic: Statistic | None, digits: int) -> str:
    """A statistic for a table: the value, and its range over the seeds where there is one."""
    if statistic is None:
        return ""
    text = f"{statistic.value:.{digits}f}"
    if statistic.high - statistic.low < 0.5 * 10**-digits:
        return text
    return f"{text} ({statistic.low:.{digits}f}–{statistic.high:.{digits}f})"


def speeds(outcome: CampaignOutcome) -> dict[str, float]:
    """By planner: how many times faster than real time the world was, the planner's own time not counted."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for key, timing in outcome.timing.items():
        ratio = timing["world_times_real_time"]
        parts.setdefault(key.partition("/")[0], []).append((timing["episode_s"], timing["episode_s"] / ratio))
    return {
        planner: round(float(np.sum([e for e, _ in rows]) / max(float(np.sum([w for _, w in rows])), 1e-9)), 2)
        for planner, rows in parts.items()
    }


_FILES = {"json": "summary.json", "table": "table.md", "plot": "plot.png", "page": "index.html"}


def _sentence(card: ReportCard, outcome: CampaignOutcome) -> str:
    s = card.settings
    pictures = {None: "cameras where the planner looks at them", True: "cameras", False: "no cameras"}[s.images]
    failed = f", {len(outcome.errors)} could not be driven" if outcome.errors else ""
    return (
        f"{len(outcome.reports)} drives: {card.routes}{failed}. {s.rate_hz} plans a second, {pictures} "
        f"({s.size[0]}x{s.size[1]})."
    )


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|--:" * (len(headings) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
