"""Plots of a report as PNG: errors over the horizon, by situation, precision over recall, bars of average precision."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aln_p3_core.evaluation.bootstrap import Band
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.closed_loop.report_plot import PLANNER_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = ("-", "--", "-.", ":")


def horizon_plot(rows: Mapping[str, Band], step_s: float, unit: str = "L2 error, m") -> bytes:
    """A line for each row over the seconds ahead, with its band.

    Args:
        rows: bands of [T] values by name.
        step_s: seconds between them.
        unit: of the upright axis.
    """
    figure, axes = _figure(7.4, 4.4)
    for index, (name, band) in enumerate(rows.items()):
        seconds = step_s * np.arange(1, len(band.mean) + 1)
        color, style = PLANNER_COLORS[index % len(PLANNER_COLORS)], _STYLES[index // len(PLANNER_COLORS) % len(_STYLES)]
        axes.plot(seconds, band.mean, style, color=color, marker="o", markersize=3, linewidth=1.6, label=name)
        if np.isfinite(band.low).any():
            axes.fill_between(seconds, band.low, band.high, color=color, alpha=0.13, linewidth=0)
    axes.set_xlabel("seconds ahead")
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    _legend(figure, axes, len(rows))
    return _png(figure)


def group_plot(groups: Sequence[tuple[str, int]], rows: Mapping[str, Sequence[Band | None]], unit: str) -> bytes:
    """Groups of bars, a bar for each row, with whiskers over its band.

    Args:
        groups: names, and how many samples each has.
        rows: a band of a single value for each group, by the row's name; None where it has none.
        unit: of the upright axis.
    """
    figure, axes = _figure(max(5.0, 1.8 + 0.16 * len(groups) * max(len(rows), 3)), 3.9)
    width = 0.84 / max(len(rows), 1)
    for index, (name, bands) in enumerate(rows.items()):
        color = PLANNER_COLORS[index % len(PLANNER_COLORS)]
        hatch = "" if index < len(PLANNER_COLORS) else "///"
        for place, band in enumerate(bands):
            if band is None or not np.isfinite(band.mean):
                continue
            x = place + (index - (len(rows) - 1) / 2) * width
            axes.bar(x, float(band.mean), 0.92 * width, color=color, hatch=hatch, edgecolor="white", linewidth=0)
            if np.isfinite(band.low):
                axes.plot([x, x], [float(band.low), float(band.high)], color="#222222", linewidth=0.8)
        axes.bar(0, 0, color=color, hatch=hatch, label=name)
    labels = [f"{name.replace('_', ' ')}\n{count}" for name, count in groups]
    axes.set_xticks(range(len(groups)), labels, fontsize=8, rotation=25 if len(groups) > 6 else 0)
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    _legend(figure, axes, len(rows))
    return _png(figure)


def curves_plot(curves: Mapping[str, tuple[FloatArray, FloatArray]], title: str = "") -> bytes:
    """Precision over recall: (recall, precision) by name."""
    figure, axes = _figure(5.6, 4.4)
    for index, (name, (recall, precision)) in enumerate(curves.items()):
        color, style = PLANNER_COLORS[index % len(PLANNER_COLORS)], _STYLES[index // len(PLANNER_COLORS) % len(_STYLES)]
        axes.plot(recall, precision, style, color=color, linewidth=1.6, label=name.replace("_", " "))
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=title)
    _legend(figure, axes, len(curves))
    return _png(figure)


def bars_plot(bars: Mapping[str, Mapping[str, float]], unit: str) -> bytes:
    """Bars by class, one for each series: `bars[series][class]`, in 0..1."""
    classes = list(dict.fromkeys(name for series in bars.values() for name in series))
    figure, axes = _figure(max(5.0, 1.5 + 0.75 * len(classes)), 3.6)
    width = 0.84 / max(len(bars), 1)
    for index, (name, series) in enumerate(bars.items()):
        heights = [series.get(label, np.nan) for label in classes]
        x = np.arange(len(classes)) + (index - (len(bars) - 1) / 2) * width
        axes.bar(x, heights, 0.92 * width, color=PLANNER_COLORS[index % len(PLANNER_COLORS)], label=name)
    axes.set_xticks(range(len(classes)), [label.replace("_", "\n") for label in classes], fontsize=8)
    axes.set(ylabel=unit, ylim=(0, 1))
    if len(bars) > 1:
        _legend(figure, axes, len(bars))
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.grid(visible=False)  # whatever style somebody set
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _legend(figure: Figure, axes: Axes, entries: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 1 if entries <= 2 else 2 if entries <= 6 else 3
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
