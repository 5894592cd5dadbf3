"""The report: one page, Markdown and JSON; what was not measured stays blank."""

from __future__ import annotations

import json
from pathlib import Path

from aln_p3_core.evaluation.report_blocks import Picture, Section, Table, number, percent, without_empty_columns
from aln_p3_core.evaluation.report_page import write_report


def test_what_was_not_measured_is_blank_everywhere(tmp_path: Path) -> None:
    assert number(None) is None and number(float("nan")) is None and percent(float("nan")) is None
    assert number(0.0) == "0.00" and percent(0.123, 1) == "12.3"
    table = Table(("row", "L2", "nothing"), (("a <b>", "0.10", None), ("c", None, None)), note="of & all")
    assert without_empty_columns(table).columns == ("row", "L2")
    picture = Picture(b"\x89PNG", "png", "a plot")
    files = write_report(
        tmp_path / "new", "Title", {"data": "root", "hardware": {"cpu": "x", "gpu": ""}},
        [Section("Planning", "Words.", (table, picture))], {"L2": [0.1, float("nan")], "deep": {"x": float("nan")}},
    )  # fmt: skip
    page, text = files["page"].read_text(), files["table"].read_text()
    assert "<td>a &lt;b&gt;</td><td>0.10</td><td></td>" in page and "of &amp; all" in page
    assert "data:image/png;base64,iVBORw==" in page
    assert "http" not in page and "<script" not in page and "src='data:" in page, "nothing from elsewhere"
    assert (
        "| a <b> | 0.10 |  |" in text
        and "| c |  |  |" in text
        and "## Planning" in text
        and "| hardware: cpu | x |" in text
        and "gpu" not in text
    )
    assert json.loads(files["json"].read_text())["results"] == {"L2": [0.1, None], "deep": {"x": None}}
