"""Bars of driving score and success, by scenario and planner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aln_p3_core.whole_files import written_whole
from aln_p3_core.world.closed_loop.statistics import ALL, GroupSummary

#: Colours of planners: those of Okabe and Ito that stay apart beside each other on white.
PLANNER_COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#6e6e6e", "#b8a800")
_PANELS = (("driving_score", "driving score"), ("success_rate", "success %"))


def write_plot(path: Path, groups: Sequence[GroupSummary]) -> Path:
    """Writes a PNG: two rows of bars, each scenario a group and "all" the first; whiskers reach over the seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    planners = list(dict.fromkeys(group.planner for group in groups))
    scenarios = [ALL, *dict.fromkeys(group.scenario for group in groups if group.scenario != ALL)]
    by_key = {(group.planner, group.scenario): group for group in groups}
    figure = Figure(figsize=(max(6.0, 1.6 + 1.15 * len(scenarios)), 6.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(_PANELS), 1, sharex=True)
    width = 0.82 / max(len(planners), 1)
    places = np.arange(len(scenarios)) + np.where(np.arange(len(scenarios)) > 0, 0.35, 0.0)
    for axes, (metric, title) in zip(all_axes, _PANELS, strict=True):
        for row, planner in enumerate(planners):
            color = PLANNER_COLORS[row % len(PLANNER_COLORS)]
            for place, scenario in zip(places, scenarios, strict=True):
                group = by_key.get((planner, scenario))
                statistic = group.statistics.get(metric) if group else None
                if statistic is None:
                    continue
                x = place + (row - (len(planners) - 1) / 2) * width
                axes.bar(x, statistic.value, 0.9 * width, color=color)
                # A bar of nothing is a value too: a dash on the axis tells it from a scenario that was not driven.
                cap = [x - 0.45 * width, x + 0.45 * width]
                axes.plot(cap, [statistic.value] * 2, color=color, linewidth=2, solid_capstyle="butt")
                if statistic.high > statistic.low:
                    axes.plot([x, x], [statistic.low, statistic.high], color="#222222", linewidth=1)
        axes.set_ylim(0, 104)
        axes.margins(x=0.01)
        axes.set_ylabel(title)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    all_axes[-1].set_xticks(places, [name.replace("_", "\n") for name in scenarios], fontsize=8)
    handles = [
        all_axes[0].bar(0, 0, color=PLANNER_COLORS[i % len(PLANNER_COLORS)], label=name)
        for i, name in enumerate(planners)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(planners), 5), frameon=False, fontsize=9)
    with written_whole(path) as temporary:
        # Without the software's name and date in the file: the same figures give the same bytes.
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Software": None})
    return path
