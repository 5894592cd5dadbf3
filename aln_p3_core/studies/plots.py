"""Pictures of a study: every seed, paired differences, and all comparisons beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aln_p3_core.studies.measures import MEASURES, Measure
from aln_p3_core.studies.results import Comparison, StudyResults
from aln_p3_core.whole_files import written_whole

_INK, _PALE, _OURS, _ANCHOR = "#222222", "#9a9a9a", "#1f6fb4", "#c8500a"
_PANEL_WIDTH = 4.2


def draw_study(results: StudyResults, folder: Path) -> list[Path]:
    """Draws `seeds.png`, `differences.png` and `forest.png`. Returns those for which there was something to draw."""
    drawn = []
    for name, draw in (("seeds", _seeds), ("differences", _differences), ("forest", _forest)):
        figure = draw(results)
        if figure is not None:
            drawn.append(_save(figure, folder / f"{name}.png"))
    return drawn


def _seeds(results: StudyResults) -> Any:
    """A panel a measure: a dot for each seed, joined by its pairs, and the mean with its interval."""
    tests = results.study.tests
    names = [v.name for v in results.study.variants]
    found = {
        (name, variant): results.means.get((variant, tests.split, tests.command, name))
        for name in tests.primary
        for variant in names
    }
    measures = [MEASURES[name] for name in tests.primary if any(found[name, v] for v in names)]
    if not measures:
        return None
    figure, axes = _panels(len(measures), len(names))
    for axis, measure in zip(axes, measures, strict=True):
        own = [(row, found[measure.name, variant]) for row, variant in enumerate(names)]
        known = [(row, estimate) for row, estimate in own if estimate is not None]
        for seed in sorted({seed for _, estimate in known for seed in estimate.by_seed}):
            line = [(estimate.by_seed[seed], row) for row, estimate in known if seed in estimate.by_seed]
            axis.plot(*zip(*line, strict=True), color="#d5d5d5", linewidth=0.8, zorder=1)
        for row, estimate in known:
            values = list(estimate.by_seed.values())
            axis.scatter(values, [row] * len(values), s=22, color=_PALE, edgecolor="white", linewidth=0.5, zorder=2)
            _bar(axis, estimate.value, estimate.low, estimate.high, row + 0.22)
        _label(axis, measure, names, f"{_titled(measure)}; {measure.better} is better")
    figure.suptitle(f"Every seed (grey; lines join pairs), mean and interval (blue): {tests.split}, command "
                    f"{tests.command}", fontsize=10)  # fmt: skip
    return figure


def _differences(results: StudyResults) -> Any:
    """A panel a primary measure: the differences of every pair to the reference."""
    reference = results.study.tests.reference
    found = [c for c in results.comparisons if c.reference == reference and c.family != "secondary" and c.estimate]
    return _comparison_panels(found, f"Paired differences to {reference}: every seed (grey), mean and interval (blue)")


def _comparison_panels(found: Sequence[Comparison], title: str) -> Any:
    measures = list(dict.fromkeys(c.measure for c in found))
    if not measures:
        return None
    names = list(dict.fromkeys(c.variant for c in found))
    figure, axes = _panels(len(measures), len(names))
    for axis, measure in zip(axes, measures, strict=True):
        axis.axvline(0, color=_INK, linewidth=0.8)
        for one in found:
            if one.measure is measure and one.estimate is not None:
                row = names.index(one.variant)
                values = list(one.estimate.by_seed.values())
                axis.scatter(values, [row] * len(values), s=22, color=_PALE, edgecolor="white", linewidth=0.5, zorder=2)
                _bar(axis, one.estimate.value, one.estimate.low, one.estimate.high, row + 0.22)
        _label(axis, measure, names, f"{_titled(measure)}; {measure.better} is better")
    figure.suptitle(title, fontsize=10)
    return figure


def _forest(results: StudyResults) -> Any:
    """All tests in percent of their reference, with the published change beside."""
    found = [c for c in results.comparisons if c.family != "secondary" and c.estimate and c.reference_mean]
    if not found:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 1.5 + 0.34 * len(found)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color=_INK, linewidth=0.8)
    for row, one in enumerate(found):
        assert one.estimate is not None
        low, high = one.percent(one.estimate.low), one.percent(one.estimate.high)
        strong = one.verdict.startswith(("better", "worse"))
        _bar(axis, one.percent(one.estimate.value), low, high, row, color=_OURS if strong else _PALE)
        anchor = results.study.anchors.get(one.measure.name)
        if anchor is not None and one.reference == results.study.tests.reference and one.family == "confirmatory":
            axis.scatter([anchor.percent_of(one.reference_mean)], [row], marker="D", s=30, color=_ANCHOR, zorder=3)
    axis.set_yticks(range(len(found)), [f"{c.measure.title}: {c.variant} - {c.reference}" for c in found], fontsize=8)
    axis.set_ylim(len(found) - 0.4, -0.6)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("difference, % of the reference's mean")
    marks = "blue: a difference is shown, grey: none is"
    anchors = "; orange: published change" if results.study.anchors else ""
    axis.set_title(f"All tests. {marks}{anchors}", fontsize=10)
    return figure


def _panels(count: int, rows: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    size = (1.2 + _PANEL_WIDTH * count, 1.6 + 0.42 * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)
    return figure, list(axes[0])


def _bar(axis: Any, value: float, low: float, high: float, row: float, color: str = _OURS) -> None:
    if math.isfinite(low) and math.isfinite(high):
        axis.plot([low, high], [row, row], color=color, linewidth=2, solid_capstyle="round", zorder=3)
    axis.scatter([value], [row], marker="o", s=36, color=color, zorder=4)


def _label(axis: Any, measure: Measure, names: Sequence[str], text: str) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel(text, fontsize=9)
    axis.tick_params(labelsize=8)


def _titled(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def _save(figure: Any, path: Path) -> Path:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path
