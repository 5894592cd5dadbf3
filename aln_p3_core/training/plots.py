"""Curves of a run as PNG: losses by term, validation, speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.run_log import TIME, read_rows

_NOT_A_LOSS = {"kind", "step", "learning_rate", "gradient_norm", "samples_per_s", "wait_share", "seconds", "epoch"}
# A plot of the time tells the mean of so many parts of the run.
_TIME_POINTS = 60


def plot_run(folder: Path) -> list[Path]:
    """Draws `losses.png`, `validation.png` and `time.png` from a run's log. Returns what was drawn."""
    rows = read_rows(folder / "log.jsonl")
    drawn = []
    train = [row for row in rows if row["kind"] == "train"]
    checks = [row for row in rows if row["kind"] == "validation"]
    if train:
        drawn.append(_draw_losses(folder / "losses.png", train, checks))
        if any(name.startswith(TIME) for name in train[-1]):
            drawn.append(_draw_time(folder / "time.png", train))
    if checks:
        groups = {
            "plan, m": ["plan_l2", "plan_l2_withheld", "plan_l2_1s", "plan_l2_2s", "plan_l2_3s"],
            "perception, average precision": ["car_ap_2m", "line_ap_1.5m"],
        }
        drawn.append(_draw_groups(folder / "validation.png", checks, groups))
    return drawn


def _draw_losses(path: Path, train: list[dict[str, Any]], checks: list[dict[str, Any]]) -> Path:
    """A field for each term: every step in grey, their running mean, and the validation's in orange."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    found = {name for row in train for name in row if not name.startswith(TIME) and ".layer" not in name}
    names = sorted(name for name in found if name not in _NOT_A_LOSS and not name.startswith("gradient_norm."))
    columns = 4
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4 * columns, 2.4 * lines), squeeze=False, sharex=True)
    for axis, name in zip(axes.flat, names, strict=False):
        steps, values = _curve(train, name)
        axis.plot(steps, values, color="0.8", linewidth=0.8)
        if len(values) > 5:
            width = max(3, len(values) // 20)
            kernel = np.ones(width) / width
            smooth = np.convolve(values, kernel, "valid")
            axis.plot(steps[width // 2 :][: len(smooth)], smooth, color="tab:blue")
        axis.plot(*_curve(checks, name if name == "loss" else f"loss.{name}"), "o-", color="tab:orange", markersize=3)
        axis.set_title(name, fontsize=9)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("optimiser step (blue: training, orange: validation)")
    # By hand: `tight_layout` would draw everything once more.
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.28 / lines, top=1 - 0.12 / lines, hspace=0.3, wspace=0.18)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _draw_time(path: Path, train: list[dict[str, Any]]) -> Path:
    """Seconds of a step, stacked by part."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [name for name in train[-1] if name.startswith(TIME)]
    rows = [row for row in train if all(name in row for name in names)]
    groups = np.array_split(np.arange(len(rows)), min(_TIME_POINTS, len(rows)))
    steps = [np.mean([rows[i]["step"] for i in group]) for group in groups]
    parts = [[np.mean([rows[i][name] for i in group]) for group in groups] for name in names]
    figure, axis = plt.subplots(figsize=(9, 4))
    axis.stackplot(steps, parts, labels=[name.removeprefix(TIME) for name in names])
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("seconds a step")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _curve(rows: list[dict[str, Any]], name: str) -> tuple[FloatArray, FloatArray]:
    points = np.array([(row["step"], row[name]) for row in rows if name in row], dtype=float).reshape(-1, 2)
    return points[:, 0], points[:, 1]


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
