"""The statistics of a root as one page with plots, and as JSON."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.world.recorder.tables import write_bytes, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPLIT_ORDER = ("train", "val", "heldout", "mini")
_COLORS = {"train": "#3b6fb6", "val": "#e08a2e", "heldout": "#4c9f70", "mini": "#8a5fa8"}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 0.6em 0; } td, th { padding: 0.15em 0.8em; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr:nth-child(even) { background: #f4f5f7; }
th { border-bottom: 1px solid #999; } img { max-width: 100%; } .note { color: #555; } code { background: #f4f5f7; }
"""

Statistics = Mapping[str, Any]


def write_statistics(statistics: Statistics, out: Path) -> Path:
    """Writes `index.html` (pictures inside), the pictures as PNG files, and `statistics.json`.

    Args:
        statistics: of `statistics.root_statistics`.
        out: folder; created when it is not there.

    Returns:
        Path of the page.
    """
    plots = draw_statistics(statistics)
    for name, data in plots.items():
        write_bytes(out / f"{name}.png", data)
    write_json(out / "statistics.json", statistics)
    page = out / "index.html"
    write_bytes(page, _page(statistics, plots).encode())
    return page


def draw_statistics(statistics: Statistics) -> dict[str, bytes]:
    """PNG pictures by name: "boxes", "motion", "decisions", "conditions", and "answers" where there are questions."""
    splits = _ordered(statistics)
    plots = {
        "boxes": _draw(
            [
                ("boxes", lambda axes: _bars(axes, {s: _boxes(f) for s, f in splits.items()}, logarithmic=True)),
                ("visibility", lambda axes: _bars(axes, _of(splits, "visibility"), order=sorted)),
                ("distance of boxes, m", lambda axes: _steps(axes, _of(splits, "distance_m"))),
                ("attributes", lambda axes: _bars(axes, _of(splits, "attributes"))),
            ]
        ),
        "motion": _draw(
            [
                ("speed, m/s", lambda axes: _steps(axes, _of(splits, "speed"))),
                (
                    "curvature of target plans, 1/m (left positive)",
                    lambda axes: _steps(axes, _of(splits, "plan_curvature"), logarithmic=True),
                ),
                ("command", lambda axes: _bars(axes, _of(splits, "commands"))),
                ("pushes", lambda axes: _bars(axes, _of(splits, "pushes"))),
            ]
        ),
        "decisions": _draw(
            [
                ("cause", lambda axes: _bars(axes, _of(splits, "causes"))),
                ("maneuver", lambda axes: _bars(axes, _of(splits, "maneuvers"))),
                ("lateral maneuver", lambda axes: _bars(axes, _of(splits, "lateral_maneuvers"), logarithmic=True)),
                ("cause of leaving the lane's middle", lambda axes: _bars(axes, _left_lane(splits))),
            ]
        ),
        "conditions": _draw(
            [
                ("condition", lambda axes: _bars(axes, _of(splits, "conditions"))),
                ("scenario", lambda axes: _bars(axes, _of(splits, "scenarios"))),
                ("location", lambda axes: _bars(axes, _of(splits, "locations"))),
                ("how scenes end", lambda axes: _bars(axes, _of(splits, "endings"))),
            ]
        ),
    }
    asked = {split: figures["questions"] for split, figures in splits.items() if figures["questions"].get("count")}
    if asked:
        plots["answers"] = _draw(
            [
                ("answers", lambda axes: _bars(axes, {s: q["answers"] for s, q in asked.items()})),
                ("accuracy of guessing", lambda axes: _accuracies(axes, asked)),
            ]
        )
    return plots


def _ordered(statistics: Statistics) -> dict[str, Statistics]:
    splits = statistics["splits"]
    return {name: splits[name] for name in sorted(splits, key=lambda n: (*_SPLIT_ORDER, n).index(n))}


def _of(splits: Mapping[str, Statistics], field: str) -> dict[str, Any]:
    return {split: figures[field] for split, figures in splits.items()}


def _boxes(figures: Statistics) -> dict[str, int]:
    return {name: row["boxes"] for name, row in figures["categories"].items()}


def _left_lane(splits: Mapping[str, Statistics]) -> dict[str, dict[str, int]]:
    """Without the many key frames in which the ego keeps to its lane's middle."""
    counts = _of(splits, "lateral_causes")
    return {split: {k: n for k, n in values.items() if k != "free_road"} for split, values in counts.items()}


def _draw(panels: Sequence[tuple[str, Any]]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(12.5, 4.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for index, (title, draw) in enumerate(panels):
        axes = figure.add_subplot(rows, 2, index + 1)
        axes.set_title(title, fontsize=11)
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, counts: Mapping[str, Mapping[str, int]], *, logarithmic: bool = False, order: Any = None) -> None:
    """Shares in percent, one group of bars a name, one bar a split."""
    totals = {split: max(sum(values.values()), 1) for split, values in counts.items()}
    weight: dict[str, float] = {}
    for split, values in counts.items():
        for name, count in values.items():
            weight[name] = weight.get(name, 0.0) + count / totals[split]
    names = order(weight) if order else sorted(weight, key=lambda name: (-weight[name], name))
    height = 0.8 / max(len(counts), 1)
    for k, (split, values) in enumerate(counts.items()):
        shares = [100 * values.get(name, 0) / totals[split] for name in names]
        axes.barh(np.arange(len(names)) + (k + 0.5) * height - 0.4, shares, height, color=_color(split), label=split)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("share, %")
    if logarithmic and names:
        _logarithmic(axes, "x")
    if not names:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes, color="#777")
    elif len(counts) > 1:
        axes.legend(fontsize=8)


def _steps(axes: Axes, histograms: Mapping[str, Mapping[str, Any]], *, logarithmic: bool = False) -> None:
    for split, histogram in histograms.items():
        counts = np.asarray(histogram["counts"], dtype=np.float64)
        shares = 100 * counts / max(counts.sum(), 1)
        axes.stairs(shares, histogram["edges"], color=_color(split), label=split, fill=len(histograms) == 1)
    axes.set_ylabel("share, %")
    if logarithmic:
        _logarithmic(axes, "y")
    if len(histograms) > 1:
        axes.legend(fontsize=8)


def _accuracies(axes: Axes, asked: Mapping[str, Statistics]) -> None:
    names = sorted({name for figures in asked.values() for name in figures["by_type"]})
    height = 0.8 / len(asked)
    for k, (split, figures) in enumerate(asked.items()):
        places = np.arange(len(names)) + (k + 0.5) * height - 0.4
        by_type, by_text = (
            [100 * (figures["by_type"].get(name, {}).get(field) or 0.0) for name in names]
            for field in ("prior_accuracy", "question_prior_accuracy")
        )
        axes.barh(places, by_type, height, color=_color(split), label=f"{split}, by type")
        axes.plot(by_text, places, "|", color="black", markersize=13 * height, markeredgewidth=2)
    axes.plot([], [], "k|", markersize=9, markeredgewidth=2, label="by the question's text")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("correct, %")
    axes.legend(fontsize=8)


def _logarithmic(axes: Axes, which: str) -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _color(split: str) -> str:
    return _COLORS.get(split, "#666666")


def _page(statistics: Statistics, plots: Mapping[str, bytes]) -> str:
    splits = _ordered(statistics)
    title = f"Statistics of {html.escape(str(statistics['root']))}"
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<p class='note'>Recorded with <code>{html.escape(_settings(statistics['settings']))}</code></p>",
        "<h2>Amounts</h2>",
        _table(["", *splits], _amounts(splits)),
        "<h2>Boxes</h2>",
        _table(["category", *(f"{s}: boxes (tracks)" for s in splits)], _category_rows(splits)),
        _picture(plots["boxes"], "boxes"),
        "<h2>Motion and commands</h2>",
        "<p class='note'>Speed at the key frames; curvature of the 3 s plans that are the targets, where they go"
        " 2 m or more; the command is the route's.</p>",
        _picture(plots["motion"], "motion"),
        "<h2>What the driver does, and why</h2>",
        _picture(plots["decisions"], "decisions"),
        "<h2>Where and when</h2>",
        _picture(plots["conditions"], "conditions"),
    ]
    if "answers" in plots:
        parts += [
            "<h2>Questions</h2>",
            "<p class='note'>Accuracy of the most frequent answer: of the template type and hop count (prior), and of"
            " the very text of the question. It is drawn from the training split where the root has one; within the"
            " same split from the other scenes only.</p>",
            _table(["question", "number", "prior", "prior of the text", "answers"], _question_rows(splits)),
            _picture(plots["answers"], "answers"),
        ]
    return "\n".join(parts) + "\n"


def _settings(settings: Mapping[str, Any]) -> str:
    told = {name: "x".join(map(str, v)) if isinstance(v, list) else v for name, v in settings.items()}
    return ", ".join(f"{name}={value}" for name, value in told.items() if value != "")


def _amounts(splits: Mapping[str, Statistics]) -> list[list[str]]:
    rows = [[name.replace("_", " "), *(_number(f[name]) for f in splits.values())] for name in _AMOUNTS]
    for label, group, field in _WORDS:
        rows.append([label, *(_number(figures[group].get(field, 0)) for figures in splits.values())])
    for label, field in (("prior", "prior_accuracy"), ("prior of the text", "question_prior_accuracy")):
        shares = [_percent(figures["questions"].get(field)) for figures in splits.values()]
        rows.append([f"questions answered by the {label}", *shares])
    return rows


_AMOUNTS = ("scenes", "key_frames", "boxes", "tracks")
_WORDS = (
    ("narrations", "narration", "entries"),
    ("different narrations", "narration", "distinct_narrations"),
    ("different reasons", "narration", "distinct_reasonings"),
    ("captions", "captions", "entries"),
    ("different captions", "captions", "distinct"),
    ("questions", "questions", "count"),
)


def _category_rows(splits: Mapping[str, Statistics]) -> Iterable[list[str]]:
    names = dict.fromkeys(name for figures in splits.values() for name in figures["categories"])
    for name in names:
        rows = [figures["categories"].get(name, {"boxes": 0, "tracks": 0}) for figures in splits.values()]
        yield [name, *(f"{_number(row['boxes'])} ({_number(row['tracks'])})" for row in rows)]


def _question_rows(splits: Mapping[str, Statistics]) -> Iterable[list[str]]:
    for split, figures in splits.items():
        for name, row in figures["questions"].get("by_type", {}).items():
            common = ", ".join(f"{answer} {_number(count)}" for answer, count in list(row["answers"].items())[:5])
            accuracies = (_percent(row["prior_accuracy"]), _percent(row["question_prior_accuracy"]))
            yield [f"{split}: {name}", _number(row["count"]), *accuracies, common]


def _number(value: float) -> str:
    return f"{value:,}".replace(",", " ")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["<table><tr>", *(f"<th>{html.escape(cell)}</th>" for cell in head), "</tr>"]
    for row in rows:
        lines += ["<tr>", *(f"<td>{html.escape(cell)}</td>" for cell in row), "</tr>"]
    return "".join(lines) + "</table>"


def _picture(data: bytes, name: str) -> str:
    return f"<img alt='{name}' src='data:image/png;base64,{base64.b64encode(data).decode()}'>"
