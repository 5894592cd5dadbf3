"""Errors of plans by situation: over the horizon, per command, scenario, light and weather, and speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aln_p3_core.evaluation.bootstrap import Band, scene_bootstrap
from aln_p3_core.evaluation.report_blocks import Block, Gallery, Picture, Table, number, percent
from aln_p3_core.evaluation.report_plots import group_plot, horizon_plot
from aln_p3_core.evaluation.sample_facts import SampleFacts, speed_bins
from aln_p3_core.geometry import FloatArray

_MEASURE = "mean L2 over the six steps, m; samples whose whole future is known"


@dataclass(frozen=True, eq=False)
class RowErrors:
    """Errors of one row of plans.

    Attributes:
        name: of the row. errors: [S, 6] m, NaN where not known. in_plots: drawn too.
    """

    name: str
    errors: FloatArray
    in_plots: bool = True

    @property
    def mean_errors(self) -> FloatArray:
        """[S] over the six steps, NaN unless all are known."""
        return self.errors.mean(axis=1)


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way to tell samples apart: title, the group of a sample ("" for none), and the groups' order."""

    title: str
    group: Callable[[SampleFacts], str]
    order: tuple[str, ...] = ()


GROUPINGS = (
    Grouping("command", lambda fact: fact.command, ("straight", "left", "right")),
    Grouping("speed", lambda fact: fact.speed_bin, tuple(speed_bins())),
    Grouping("scenario", lambda fact: fact.scenario),
    Grouping("light and weather", lambda fact: fact.condition, ("day", "dusk", "night", "rain")),
)


def horizon_picture(rows: Sequence[RowErrors], facts: Sequence[SampleFacts], step_s: float = 0.5) -> Picture:
    """L2 over the seconds ahead, with 95 % bands from resampling whole scenes."""
    scenes = [fact.scene for fact in facts]
    bands = {row.name: scene_bootstrap(row.errors, scenes) for row in rows if row.in_plots}
    caption = "L2 error at each step, over all steps that are known; bands: 95 % of 1000 resamplings of the scenes."
    return Picture(horizon_plot(bands, step_s), "png", caption, "Error over the horizon")


def group_blocks(rows: Sequence[RowErrors], facts: Sequence[SampleFacts]) -> tuple[list[Block], dict[str, object]]:
    """A plot and a table for each grouping that has two groups or more, and the numbers as JSON."""
    tables: list[Block] = []
    pictures: list[Picture] = []
    results: dict[str, object] = {}
    for grouping in GROUPINGS if rows else ():
        names = [grouping.group(fact) for fact in facts]
        found = sorted(set(names) - {""}, key=lambda name: (_place(name, grouping.order), name))
        if len(found) < 2:
            continue
        known = np.any([np.isfinite(row.mean_errors) for row in rows], axis=0)
        members = {name: np.flatnonzero(np.array([n == name for n in names])) for name in found}
        sizes = [(name, int(known[members[name]].sum())) for name in found]
        bands = {row.name: [_band(row, facts, members[name]) for name in found] for row in rows}
        drawn = {row.name: bands[row.name] for row in rows if row.in_plots}
        title = f"Error by {grouping.title}"
        pictures.append(Picture(group_plot(sizes, drawn, "mean L2, m"), "png", f"{title}: {_MEASURE}.", title))
        cells = tuple((name, *(_cell(band) for band in bands[name])) for name in bands)
        columns = (f"by {grouping.title}", *(f"{name.replace('_', ' ')} ({count})" for name, count in sizes))
        tables.append(Table(columns, cells, title, f"{_MEASURE[0].upper()}{_MEASURE[1:]}, and how many."))
        results[grouping.title] = {
            name: {group: None if band is None else float(band.mean) for group, band in zip(found, row, strict=True)}
            for name, row in bands.items()
        } | {"samples": dict(sizes)}
    gallery: list[Block] = [Gallery(tuple(pictures))] if pictures else []
    return gallery + tables, results


def scene_table(
    heading: str,
    values: Mapping[str, FloatArray],
    facts: Sequence[SampleFacts],
    titles: Mapping[str, str],
    *,
    share: bool = False,
    note: str = "",
) -> Table:
    """A line for each scene: how many samples, and the mean of every row.

    Args:
        heading: of the table.
        values: [S] by the row's name, NaN where not known.
        facts: [S].
        titles: what a scene is called beside its name, such as its scenario.
        share: values are of 0..1, shown in percent.
        note: below the table.
    """
    cells = []
    for scene in dict.fromkeys(fact.scene for fact in facts):
        own = np.array([fact.scene == scene for fact in facts])
        parts = [value[own] for value in values.values()]
        count = max((int(np.isfinite(part).sum()) for part in parts), default=0)
        means = [float(np.nanmean(part)) if np.isfinite(part).any() else None for part in parts]
        shown = [percent(mean) if share else number(mean) for mean in means]
        cells.append((" ".join([scene, titles.get(scene, "")]).strip(), str(count), *shown))
    return Table(("scene", "samples", *values), tuple(cells), heading, note)


def _band(row: RowErrors, facts: Sequence[SampleFacts], members: np.ndarray) -> Band | None:
    values = row.mean_errors[members]
    if not np.isfinite(values).any():
        return None
    return scene_bootstrap(values, [facts[i].scene for i in members])


def _cell(band: Band | None) -> str | None:
    return None if band is None else number(float(band.mean))


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
