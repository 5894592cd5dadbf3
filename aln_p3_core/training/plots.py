"""Curves of a run as PNG: losses by term, validation, speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.training.run_log import read_rows

_NOT_A_LOSS = {"kind", "step", "learning_rate", "gradient_norm", "samples_per_s", "wait_share", "seconds", "epoch"}


def plot_run(folder: Path) -> list[Path]:
    """Draws `losses.png` and `validation.png` from a run's log. Returns what was drawn."""
    rows = read_rows(folder / "log.jsonl")
    drawn = []
    train = [row for row in rows if row["kind"] == "train"]
    if train:
        terms = sorted({name for row in train for name in row if name not in _NOT_A_LOSS and ".layer" not in name})
        drawn.append(_draw(folder / "losses.png", train, terms, smooth=True))
    checks = [row for row in rows if row["kind"] == "validation"]
    if checks:
        groups = {
            "plan, m": ["plan_l2", "plan_l2_withheld", "plan_l2_1s", "plan_l2_2s", "plan_l2_3s"],
            "perception, average precision": ["car_ap_2m", "line_ap_1.5m"],
        }
        drawn.append(_draw_groups(folder / "validation.png", checks, groups))
    return drawn


def _draw(path: Path, rows: list[dict[str, Any]], names: list[str], smooth: bool) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = 4
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4 * columns, 2.4 * lines), squeeze=False, sharex=True)
    for axis, name in zip(axes.flat, names, strict=False):
        points = [(row["step"], row[name]) for row in rows if name in row]
        steps, values = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        axis.plot(steps, values, color="0.8", linewidth=0.8)
        if smooth and len(values) > 5:
            width = max(3, len(values) // 20)
            kernel = np.ones(width) / width
            axis.plot(steps[width - 1 :], np.convolve(values, kernel, "valid"), color="tab:blue")
        axis.set_title(name, fontsize=9)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("optimiser step")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _draw_groups(path: Path, rows: list[dict[str, Any]], groups: dict[str, list[str]]) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(groups), figsize=(6 * len(groups), 4))
    for axis, (title, names) in zip(axes, groups.items(), strict=True):
        named = False
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
                named = True
        axis.set_title(title)
        axis.set_xlabel("optimiser step")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if named:
            axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path
