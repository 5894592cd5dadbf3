"""What is written down before a study runs: its runs, tests, the differences it can detect, and what it may cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from aln_p3_core.studies.measures import MEASURES
from aln_p3_core.studies.results import planned_tests
from aln_p3_core.studies.runner import is_done, seconds_of
from aln_p3_core.studies.statistics import detectable_difference, expected_error
from aln_p3_core.studies.steps import Options, Run, steps_of
from aln_p3_core.studies.study_file import Study


def plan_text(study: Study) -> str:
    """The plan as Markdown: question, variants, measures, tests and detectable differences."""
    tests = study.tests
    lines = [f"# {study.title}", "", f"Study `{study.name}`, hash `{study.hash}`. {study.question}".strip(), ""]
    lines += ["| variant | seeds | what |", "|---|---|---|"]
    lines += [f"| {v.name} | {v.seeds} | {v.description} |" for v in study.variants]
    primary = ", ".join(_titled(name) for name in tests.primary)
    lines += [
        "",
        f"Primary measures: {primary}; split {tests.split}, command {tests.command}.",
        f"Test: paired bootstrap over seeds and scenes ({tests.resamplings} resamplings), two-sided at "
        f"{tests.alpha:g}, Holm's correction within each family.",
    ]
    for family, pairs in (("confirmatory", tests.confirmatory), ("exploratory", tests.exploratory)):
        if pairs:
            told = ", ".join(f"{v} against {r}" for v, r in pairs)
            lines.append(f"{family.capitalize()} ({len(planned_tests(study, pairs))} tests): {told}.")
    return "\n".join([*lines, "", *_detectable_lines(study)]) + "\n"


def cost_text(runs: Sequence[Run], options: Options) -> str:
    """What is to be done and how long it may take, in words. Measured seconds take the place of the file's.

    They are of the machine that the rows come from: where this one is slow at the precision, that is told too.
    """
    from aln_p3_core.device import resolve_device, slow_precision

    left = [run for run in runs if not is_done(run)]
    known = expected_seconds(runs)
    seconds = 0.0
    unknown: set[str] = set()
    steps = 0
    for run in left:
        done = seconds_of(run)
        for step in steps_of(run, options):
            if step.name in done:
                continue
            steps += 1
            if step.name in known:
                seconds += known[step.name]
            else:
                unknown.add(step.name)
    told = f"{len(runs)} trainings, {len(runs) - len(left)} of them measured; {steps} steps left"
    if not steps:
        return told
    hours = seconds / 3600 / min(options.jobs, max(1, len(left)))
    parts = ", ".join(f"{name} {known[name]:.0f} s" for name in known)
    cost = f"about {hours:.1f} h with {options.jobs} at a time" if known else "not known before the first one has ended"
    missing = f"; without {', '.join(sorted(unknown))}, of which nothing is known" if unknown and known else ""
    slow = {slow_precision(run.settings().get("run.precision", ""), resolve_device()) for run in left}
    notes = "".join(f"\nnote: {note}" for note in sorted(slow - {""}))
    return f"{told}: {cost}{f' ({parts} each)' if parts else ''}{missing}{notes}"


def expected_seconds(runs: Sequence[Run]) -> Mapping[str, float]:
    """Seconds of each step: the mean of those that are done, else what the study file says."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, seconds in seconds_of(run).items():
            found.setdefault(name, []).append(seconds)
    measured = {name: sum(values) / len(values) for name, values in found.items()}
    return {**(runs[0].study.cost if runs else {}), **measured}


def run_lines(runs: Sequence[Run], options: Options) -> Iterator[str]:
    """Every run: whether it is done, and the command lines of what is not."""
    for run in runs:
        done = seconds_of(run)
        yield f"{run.label}: {'measured' if is_done(run) else 'to do'}"
        for step in steps_of(run, options):
            if step.name not in done and not is_done(run):
                yield f"  {' '.join(step.command[1:])}"


def _detectable_lines(study: Study) -> list[str]:
    """A table of what each pair can detect, from the pilot's spread; a line where there is no pilot."""
    known = [name for name in study.tests.primary if name in study.pilot]
    if not known:
        return ["No pilot: the differences that it can detect are told with the results, from their own spread."]
    tests = study.tests
    lines = [
        f"Smallest true difference that is found with probability {tests.power:g}, from a pilot's spread: alone, and "
        "with the correction whatever the other tests come to.",
        "",
        "| family | variant, reference | seeds | " + " | ".join(_titled(name) for name in known) + " |",
        "|" + "---|" * (3 + len(known)),
    ]
    for family, pairs in (("confirmatory", tests.confirmatory), ("exploratory", tests.exploratory)):
        planned = planned_tests(study, pairs)
        for variant, reference in pairs:
            seeds = min(study.variant(variant).seeds, study.variant(reference).seeds)
            cells = []
            for name in known:
                if (variant, reference, name) not in planned:
                    cells.append("")
                    continue
                pilot = study.pilot[name]
                error, degrees = expected_error(pilot.seed_sd, pilot.scene_error, seeds, pilot.scenes)
                found = [
                    detectable_difference(error, degrees, alpha=alpha, power=tests.power)
                    for alpha in (tests.alpha, tests.alpha / len(planned))
                ]
                digits = MEASURES[name].digits
                cells.append("" if math.isnan(found[0]) else " and ".join(f"{value:.{digits}f}" for value in found))
            lines.append(f"| {family} | {variant}, {reference} | {seeds} | " + " | ".join(cells) + " |")
    return lines


def _titled(name: str) -> str:
    measure = MEASURES[name]
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.title}{unit} ({measure.better} is better)"
