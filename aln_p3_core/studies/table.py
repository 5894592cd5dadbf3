"""The table of a study, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from aln_p3_core.studies.measures import COMMANDS, MEASURES, Measure
from aln_p3_core.studies.plan import plan_text
from aln_p3_core.studies.results import Comparison, StudyResults
from aln_p3_core.studies.statistics import Estimate


def table_text(results: StudyResults, command: str) -> str:
    """Plan, means of all variants, and all comparisons.

    Args:
        results: of `results.analyse`.
        command: command line that made it.
    """
    study = results.study
    planned = sum(variant.seeds for variant in study.variants)
    ended = {(row["variant"], row["seed"]): row["study_hash"] for row in results.rows if row["state"] == "finished"}
    earlier = [study_hash for study_hash in ended.values() if study_hash != study.hash]
    before = f", {len(earlier)} of them before other variants were changed (hash `{'`, `'.join(sorted({*earlier}))}`)"
    sections = [
        plan_text(study),
        "## Tests\n",
        f"{len(ended)} of {planned} trainings are measured{before if earlier else ''}.\n",
        *_lines(_tests(results, ("confirmatory", "exploratory"))),
        "## Means\n",
        f"Mean over seeds with its {100 * (1 - study.tests.alpha):g} % interval, and how many seeds. What was not "
        "measured is blank.\n",
        *_means(results),
    ]
    secondary = list(_tests(results, ("secondary",)))
    if len(secondary) > 2:
        sections += ["## Other measures\n", "Differences without a test: to read, not to decide by.\n"]
        sections += _lines(iter(secondary))
    if results.failures:
        sections += ["## Failed\n", *(f"- {v}, seed {s}: {reason}" for v, s, reason in results.failures), ""]
    sections += ["## Made by\n", *_made_by(results, command)]
    return "\n".join(sections).rstrip() + "\n"


def _lines(lines: Iterator[str]) -> list[str]:
    return [*lines, ""]


def _tests(results: StudyResults, families: Sequence[str]) -> Iterator[str]:
    tested = families != ("secondary",)
    columns = ["measure", "variant, reference", "seeds", "difference", "in % of the reference", "published"]
    if tested:
        columns += ["p", "p corrected", "could be found", "with the correction", "verdict"]
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for one in results.comparisons:
        if one.family in families:
            yield f"| {' | '.join(_test_cells(results, one, tested))} |"


def _test_cells(results: StudyResults, one: Comparison, tested: bool) -> Iterator[str]:
    measure, estimate, digits = one.measure, one.estimate, one.measure.digits
    yield _titled(measure)
    yield f"{one.variant}, {one.reference}"
    if estimate is None:
        yield from [""] * (3 + 1 + 4 * tested)
    else:
        yield str(estimate.seeds)
        yield _interval(estimate, digits, sign=True)
        percents = [one.percent(value) for value in (estimate.value, estimate.low, estimate.high)]
        yield _bracketed(percents, 0, sign=True)
        anchor = results.study.anchors.get(measure.name)
        published = (
            anchor is not None and one.family == "confirmatory" and one.reference == results.study.tests.reference
        )
        yield anchor.change if anchor is not None and published else ""
        if tested:
            yield from (_p(estimate.p), _p(one.p_corrected))
            yield from (_number(one.detectable, digits), _number(one.detectable_corrected, digits))
    if tested:
        yield one.verdict


def _means(results: StudyResults) -> Iterator[str]:
    study = results.study
    splits = dict.fromkeys(split for _, split, _, _ in results.means)
    wanted = [*study.tests.primary, *study.tests.secondary]
    for split in splits:
        for command in COMMANDS:
            found = {(v, m): e for (v, s, c, m), e in results.means.items() if (s, c) == (split, command)}
            names = [name for name in wanted if any(measure == name for _, measure in found)]
            if not names:
                continue
            yield f"Split {split}, command {command}:\n"
            yield "| variant | seeds | " + " | ".join(_titled(MEASURES[name]) for name in names) + " |"
            yield "|" + "---|" * (2 + len(names))
            for variant in study.variants:
                own = [found.get((variant.name, name)) for name in names]
                seeds = max((e.seeds for e in own if e is not None), default=0)
                cells = [
                    "" if e is None else _interval(e, MEASURES[n].digits) + (f" ({e.seeds})" * (e.seeds != seeds))
                    for n, e in zip(names, own, strict=True)
                ]
                yield f"| {variant.name} | {seeds or ''} | " + " | ".join(cells) + " |"
            yield ""


def _made_by(results: StudyResults, command: str) -> Iterator[str]:
    yield f"`{command}`\n"
    for key, title in (("commit", "trained at commit"), ("evaluation_commit", "measured at commit")):
        found = sorted({str(row[key]) for row in results.rows if row.get(key)})
        if found:
            yield f"- {title}: {', '.join(found)}"
    machines = {
        f"{h.get('gpu') or h['cpu']}, {h['cores']} cores, {h['threads']} threads, torch {h['torch']}"
        for row in results.rows
        if (h := row.get("hardware"))
    }
    types = {
        f"{row.get('dtype', {}).get('train', '')} trained, {row.get('evaluation_dtype', '')} measured"
        for row in results.rows
        if row.get("evaluation_dtype")
    }
    data = {f"{name} {mark}" for row in results.rows for name, mark in row.get("data", {}).items()}
    for title, values in (("hardware", machines), ("types", types), ("marks of the data", data)):
        if values:
            yield f"- {title}: {'; '.join(sorted(values))}"
    seconds = [row["seconds"]["train"] for row in results.rows if row.get("seconds", {}).get("train")]
    if seconds:
        yield f"- a training took {min(seconds):.0f} to {max(seconds):.0f} s"


def _titled(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def _interval(estimate: Estimate, digits: int, *, sign: bool = False) -> str:
    return _bracketed([estimate.value, estimate.low, estimate.high], digits, sign=sign)


def _bracketed(values: Sequence[float], digits: int, *, sign: bool = False) -> str:
    value, low, high = (_number(v, digits, sign=sign) for v in values)
    return f"{value} ({low} to {high})" if low and high else value


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return ""
    rounded = round(value, digits) + 0.0  # no "-0.0"
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"


def _p(value: float) -> str:
    return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
