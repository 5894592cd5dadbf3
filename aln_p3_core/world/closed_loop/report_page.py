"""The page of a campaign: tables, plot, and every route with its films. One file, no scripts from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aln_p3_core.whole_files import write_text
from aln_p3_core.world.closed_loop.statistics import ALL, GroupSummary, Statistic

if TYPE_CHECKING:
    from aln_p3_core.world.closed_loop.campaign import CampaignOutcome

#: Style of every report of this package.
PAGE_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --good: #00a06a; --bad: #d5462e; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1, h2 { font-weight: 600; line-height: 1.2; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 13px; } .wide { overflow-x: auto; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .left { text-align: left; } th { font-weight: 600; }
.range { color: var(--dim); font-size: 11px; } .good { color: var(--good); } .bad { color: var(--bad); }
img { max-width: 100%; background: #fff; border-radius: 6px; } pre { overflow-x: auto; font-size: 12px; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: 12px; color: var(--dim); } video { max-width: 100%; }
"""


def write_page(
    path: Path,
    groups: Sequence[GroupSummary],
    outcome: CampaignOutcome,
    summary: Mapping[str, Any],
    columns: Sequence[tuple[str, str, int]],
    routes_folder: str,
    plot: str,
) -> Path:
    """Writes the page. Links are relative: the folder can be moved or served as it is."""
    whole = [group for group in groups if group.scenario == ALL]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Closed loop</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{PAGE_STYLE}</style></head><body><h1>Closed loop</h1>",
        f"<p>{escape(summary['routes'])}; {escape(summary['protocol'])}.</p>",
        "<div class='wide'>" + _planner_table(whole, columns) + "</div>",
        "<p class='range'>Means over routes (collisions to time-outs: totals), least and greatest over seeds.</p>",
        f"<img src='{escape(plot)}' alt='Driving score and success by scenario and planner'>",
        "<h2>By scenario</h2><div class='wide'>" + _scenario_table(groups, whole) + "</div>",
    ]
    if outcome.errors:
        rows = "".join(f"<li>{escape(k)}<pre>{escape(text)}</pre></li>" for k, text in outcome.errors.items())
        parts.append(f"<h2>Not driven</h2><ul>{rows}</ul>")
    parts.append(_films(outcome.reports, routes_folder))
    parts.append("<h2>Routes</h2><div class='wide'>" + _route_table(outcome.reports, routes_folder) + "</div>")
    card = {key: value for key, value in summary.items() if key not in ("groups", "errors")}
    parts.append(f"<h2>Made with</h2><pre>{escape(json.dumps(card, indent=1))}</pre></body></html>")
    write_text(path, "\n".join(parts) + "\n")
    return path


def _planner_table(whole: Sequence[GroupSummary], columns: Sequence[tuple[str, str, int]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in ("planner", "routes", *(c[0] for c in columns)))
    rows = []
    for group in whole:
        cells = "".join(f"<td>{_cell(group.statistics.get(name), digits)}</td>" for _, name, digits in columns)
        rows.append(f"<tr><td>{escape(group.planner)}</td><td>{group.routes}</td>{cells}</tr>")
    human = ""
    if any(group.human for group in whole):
        names = list(dict.fromkeys(name for group in whole for name in group.human))
        titles = "".join(f"<th>{escape(name)}</th>" for name in names)
        lines = "".join(
            f"<tr><td>{escape(group.planner)}</td>"
            + "".join(f"<td>{group.human[n]:.2f}</td>" if n in group.human else "<td></td>" for n in names)
            + "</tr>"
            for group in whole
        )
        human = f"<h2>Distance to the human driver, m</h2><table><tr><th>planner</th>{titles}</tr>{lines}</table>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{human}"


def _scenario_table(groups: Sequence[GroupSummary], whole: Sequence[GroupSummary]) -> str:
    by_key = {(group.planner, group.scenario): group for group in groups}
    scenarios = list(dict.fromkeys(group.scenario for group in groups if group.scenario != ALL))
    head = "".join(f"<th colspan='2'>{escape(group.planner)}</th>" for group in whole)
    second = "<th>success %</th><th>score</th>" * len(whole)
    rows = []
    for scenario in scenarios:
        cells = ""
        for planner in whole:
            group = by_key.get((planner.planner, scenario))
            values = (
                [None, None] if group is None else [group.statistics.get(n) for n in ("success_rate", "driving_score")]
            )
            cells += "".join(f"<td>{_cell(value, 1)}</td>" for value in values)
        rows.append(f"<tr><td>{escape(scenario)}</td>{cells}</tr>")
    return f"<table><tr><th>scenario</th>{head}</tr><tr><th></th>{second}</tr>{''.join(rows)}</table>"


def _films(reports: Sequence[Mapping[str, Any]], folder: str) -> str:
    figures = []
    for report in reports:
        for view, name in report.get("films", {}).items():
            source = escape(f"{folder}/{report['planner']}/{name}", quote=True)
            caption = escape(f"{report['planner']}, {report['episode']['name']}, {view}: {_ending(report['measures'])}")
            media = (
                f"<img loading='lazy' src='{source}' alt='{caption}'>"
                if name.endswith(".gif")
                else f"<video controls preload='metadata' src='{source}'></video>"
            )
            figures.append(f"<figure><a href='{source}'>{media}</a><figcaption>{caption}</figcaption></figure>")
    return f"<h2>Films</h2><div class='films'>{''.join(figures)}</div>" if figures else ""


def _route_table(reports: Sequence[Mapping[str, Any]], folder: str) -> str:
    head = "".join(
        f"<th{' class=left' if name in ('route', 'what happened') else ''}>{name}</th>"
        for name in ("planner", "route", "score", "completion %", "time s", "ended", "what happened", "files")
    )
    rows = []
    for report in reports:
        measures, base = report["measures"], f"{folder}/{report['planner']}"
        files = {"json": f"{report['episode']['name']}.json", **report.get("films", {})}
        links = " ".join(f"<a href='{escape(f'{base}/{file}', quote=True)}'>{kind}</a>" for kind, file in files.items())
        mark = "good" if measures["success"] else "bad"
        rows.append(
            f"<tr><td>{escape(report['planner'])}</td><td class='left'>{escape(report['episode']['name'])}</td>"
            f"<td class='{mark}'>{measures['driving_score']:.1f}</td><td>{measures['route_completion']:.0f}</td>"
            f"<td>{measures['duration_s']:.1f}</td><td>{escape(measures['status'].replace('_', ' '))}</td>"
            f"<td class='left'>{escape(_happened(measures))}</td><td>{links}</td></tr>"
        )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _ending(measures: Mapping[str, Any]) -> str:
    return f"{measures['status'].replace('_', ' ')}, score {measures['driving_score']:.1f}"


def _happened(measures: Mapping[str, Any]) -> str:
    """Infractions in words: "12.3 s collision vehicle (ego's fault)"."""
    words = []
    for event in measures["infractions"]:
        fault = f" ({event['fault']}'s fault)" if event["kind"].startswith("collision") else ""
        words.append(f"{event['time_s']:.1f} s {event['kind'].replace('_', ' ')}{fault}")
    return "; ".join(words)


def _cell(statistic: Statistic | None, digits: int) -> str:
    if statistic is None:
        return ""
    text = f"{statistic.value:.{digits}f}"
    if statistic.high - statistic.low < 0.5 * 10**-digits:
        return text
    return f"{text} <span class='range'>{statistic.low:.{digits}f}–{statistic.high:.{digits}f}</span>"
