"""What the rows of a study say: means with intervals, paired differences, tests and their correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from aln_p3_core.studies.measures import COMMANDS, MEASURES, Measure
from aln_p3_core.studies.rows import SceneValues, scene_key
from aln_p3_core.studies.statistics import (
    Estimate,
    SceneSum,
    Trials,
    detectable_difference,
    estimate_difference,
    estimate_mean,
    holm,
)
from aln_p3_core.studies.study_file import Study

Family = Literal["confirmatory", "exploratory", "secondary"]
# Means are only shown; differences are what is decided by.
_RESAMPLINGS_OF_MEANS = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant against a reference by one measure.

    Attributes:
        variant, reference, measure: what is compared.
        family: tests are corrected within "confirmatory" and within "exploratory"; "secondary" ones are told without.
        estimate: the difference; None where it was not measured. reference_mean: over the same seeds.
        tests: how many the family has. p_corrected: Holm's; NaN without a test.
        detectable: true difference that this comparison alone would have found, and detectable_corrected: that it
            would have found whatever the family's other tests come to.
        alpha: of the study. planned_seeds: that both variants are to have.
    """

    variant: str
    reference: str
    measure: Measure
    family: Family
    estimate: Estimate | None
    reference_mean: float
    tests: int
    p_corrected: float
    detectable: float
    detectable_corrected: float
    alpha: float
    planned_seeds: int

    @property
    def verdict(self) -> str:
        """In words."""
        if self.estimate is None:
            return "not measured"
        if self.family == "secondary":
            return ""
        if math.isnan(self.p_corrected) or self.estimate.seeds < 2:
            return "too little to say"
        if self.p_corrected >= self.alpha:
            said = "no difference shown"
        else:
            said = "better" if (self.estimate.value < 0) == (self.measure.better == "less") else "worse"
        return f"{said} so far" if self.estimate.seeds < self.planned_seeds else said

    def percent(self, value: float) -> float:
        """A difference in percent of the reference's mean; NaN where that is 0."""
        return 100 * value / abs(self.reference_mean) if self.reference_mean else math.nan


@dataclass(frozen=True, eq=False)
class StudyResults:
    """All that a study has found so far.

    Attributes:
        study: its file. rows: of all trainings that have ended.
        means: by (variant, split, command, measure).
        comparisons: in the order of the file: confirmatory, exploratory, then secondary ones.
        failures: variant, seed and reason.
    """

    study: Study
    rows: Sequence[Mapping[str, Any]]
    means: Mapping[tuple[str, str, str, str], Estimate]
    comparisons: Sequence[Comparison]
    failures: Sequence[tuple[str, int, str]]

    def find(self, variant: str, reference: str, measure: str) -> Comparison | None:
        """The comparison of these, if the study has it."""
        wanted = (variant, reference, measure)
        return next((c for c in self.comparisons if (c.variant, c.reference, c.measure.name) == wanted), None)


def analyse(study: Study, rows: Sequence[Mapping[str, Any]], scenes: SceneValues) -> StudyResults:
    """Means and comparisons of the rows of a study.

    Args:
        study: its file.
        rows, scenes: of `rows.collect`.
    """
    trials = _trials(rows, scenes)
    means = {}
    for key, one in trials.items():
        found = estimate_mean(one, alpha=study.tests.alpha, resamplings=_RESAMPLINGS_OF_MEANS)
        if found is not None:
            means[key] = found
    comparisons: list[Comparison] = []
    families: tuple[tuple[Family, Sequence[tuple[str, str]]], ...] = (
        ("confirmatory", study.tests.confirmatory),
        ("exploratory", study.tests.exploratory),
    )
    for family, pairs in families:
        planned = planned_tests(study, pairs)
        tested = [
            _compare(study, trials, variant, reference, measure, family, len(planned))
            for measure in study.tests.primary
            for variant, reference in pairs
            if (variant, reference, measure) in planned
        ]
        corrected = holm([one.estimate.p if one.estimate is not None else math.nan for one in tested])
        comparisons += [replace(one, p_corrected=p) for one, p in zip(tested, corrected, strict=True)]
    for measure in study.tests.secondary:
        for variant, reference in (*study.tests.confirmatory, *study.tests.exploratory):
            told = _compare(study, trials, variant, reference, measure, "secondary", 1)
            if told.estimate is not None:
                comparisons.append(told)
    failures = [(r["variant"], r["seed"], r["reason"]) for r in rows if r["state"] == "failed"]
    return StudyResults(study, rows, means, comparisons, failures)


def planned_tests(study: Study, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str, str]]:
    """Tests of a family as they were planned: a variant without an explainer has no tests of language."""
    return {
        (variant, reference, name)
        for name in study.tests.primary
        for variant, reference in pairs
        if not MEASURES[name].language or (study.variant(variant).language and study.variant(reference).language)
    }


def _trials(rows: Sequence[Mapping[str, Any]], scenes: SceneValues) -> dict[tuple[str, str, str, str], Trials]:
    """By (variant, split, command, measure), in the order of the rows."""
    values: dict[tuple[str, str, str, str], dict[int, float]] = {}
    by_scene: dict[tuple[str, str, str, str], dict[int, dict[str, SceneSum]]] = {}
    for row in rows:
        kept = scenes.get(scene_key(row), {})
        for name, value in row["measures"].items():
            key = (row["variant"], row["split"], row["command"], name)
            values.setdefault(key, {})[row["seed"]] = value
            if name in kept:
                found = {scene: (pair[0], pair[1]) for scene, pair in kept[name].items()}
                by_scene.setdefault(key, {})[row["seed"]] = found
    return {key: Trials(value, by_scene.get(key)) for key, value in values.items()}


def _compare(
    study: Study,
    trials: Mapping[tuple[str, str, str, str], Trials],
    variant: str,
    reference: str,
    measure: str,
    family: Family,
    count: int,
) -> Comparison:
    tests = study.tests
    ours, theirs = (trials.get((name, tests.split, tests.command, measure)) for name in (variant, reference))
    estimate, mean = None, math.nan
    if ours is not None and theirs is not None:
        estimate = estimate_difference(ours, theirs, alpha=tests.alpha, resamplings=tests.resamplings)
        if estimate is not None:
            mean = sum(theirs.values[seed] for seed in estimate.by_seed) / len(estimate.by_seed)
    alone, corrected = (
        math.nan
        if estimate is None
        else detectable_difference(estimate.standard_error, estimate.degrees, alpha=alpha, power=tests.power)
        for alpha in (tests.alpha, tests.alpha / count)
    )
    seeds = min(study.variant(name).seeds for name in (variant, reference))
    return Comparison(
        variant, reference, MEASURES[measure], family, estimate, mean, count, math.nan, alone, corrected, tests.alpha,
        seeds,
    )  # fmt: skip


def to_json(results: StudyResults) -> dict[str, Any]:
    """Means and comparisons as JSON; None for what is not known."""
    return {
        "study": results.study.name,
        "study_hash": results.study.hash,
        "means": [
            {"variant": v, "split": s, "command": c, "measure": m} | _estimate_json(e)
            for (v, s, c, m), e in results.means.items()
        ],
        "comparisons": [
            {
                "variant": c.variant, "reference": c.reference, "measure": c.measure.name, "family": c.family,
                "tests": c.tests, "reference_mean": _plain(c.reference_mean), "p_corrected": _plain(c.p_corrected),
                "detectable": _plain(c.detectable), "detectable_corrected": _plain(c.detectable_corrected),
                "verdict": c.verdict,
            }
            | (_estimate_json(c.estimate) if c.estimate is not None else {})
            for c in results.comparisons
        ],
        "commands": list(COMMANDS),
    }  # fmt: skip


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    names = ("value", "low", "high", "standard_error", "degrees", "p", "seed_sd", "scene_error", "seeds", "scenes")
    return {name: _plain(getattr(estimate, name)) for name in names} | {
        "by_seed": {str(seed): _plain(value) for seed, value in estimate.by_seed.items()}
    }


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
