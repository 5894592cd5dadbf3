"""The report as one page that holds everything, as Markdown, and as JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from aln_p3_core.evaluation.report_blocks import Block, Picture, Section, Table
from aln_p3_core.whole_files import write_json, write_text
from aln_p3_core.world.closed_loop.report import markdown_table
from aln_p3_core.world.closed_loop.report_page import PAGE_STYLE

# Characters of a text of the card.
_LONGEST = 300
_MORE_STYLE = """
nav a { margin-right: 1rem; } .strong td { font-weight: 600; } h3 { margin: 1.6rem 0 .5rem; font-weight: 600; }
.note { color: var(--dim); font-size: 13px; } .cases { display: grid; gap: 1.2rem; }
@media (min-width: 900px) { .plots { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start; } }
"""


def write_report(
    folder: Path, title: str, card: Mapping[str, Any], sections: Sequence[Section], results: Mapping[str, Any]
) -> dict[str, Path]:
    """Writes report.html, report.md and report.json. Returns the files by kind: page, table, json.

    Args:
        folder: created when it is not there.
        title: of the report.
        card: what the figures were made with, by name.
        sections: what there is to see.
        results: all numbers, JSON-ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {"page": folder / "report.html", "table": folder / "report.md", "json": folder / "report.json"}
    write_text(found["page"], page(title, card, sections))
    write_text(found["table"], markdown(title, card, sections))
    write_json(found["json"], {"card": dict(card), "results": without_nan(results)})
    return found


def page(title: str, card: Mapping[str, Any], sections: Sequence[Section]) -> str:
    """HTML without anything from elsewhere: pictures lie in it, and there are no scripts."""
    links = "".join(f"<a href='#s{i}'>{escape(section.title)}</a>" for i, section in enumerate(sections))
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{PAGE_STYLE}{_MORE_STYLE}</style></head><body><h1>{escape(title)}</h1><nav>{links}</nav>",
        _card(card),
    ]
    for i, section in enumerate(sections):
        parts.append(f"<h2 id='s{i}'>{escape(section.title)}</h2>")
        if section.text:
            parts.append(f"<p>{escape(section.text)}</p>")
        parts += [_block(block) for block in section.blocks]
    return "\n".join([*parts, "</body></html>", ""])


def markdown(title: str, card: Mapping[str, Any], sections: Sequence[Section]) -> str:
    """The tables, and the card."""
    lines = [f"# {title}", ""]
    lines += markdown_table(["", "made with"], _card_rows(card))
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        lines += [section.text, ""] if section.text else []
        for block in section.blocks:
            if isinstance(block, Table):
                lines += [f"### {block.heading}", ""] if block.heading else []
                lines += markdown_table(block.columns, [[cell or "" for cell in row] for row in block.rows])
                lines += ["", block.note] if block.note else []
                lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def without_nan(value: Any) -> Any:
    """The same JSON value with null for NaN: what was not measured."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value


def _card(card: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class='left'>{escape(text)}</td></tr>" for name, text in _card_rows(card)
    )
    return f"<div class='wide'><table>{rows}</table></div>"


def _card_rows(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and texts; what holds several things is told line by line, and long texts are cut: the JSON has them."""
    rows: list[tuple[str, str]] = []
    for name, value in card.items():
        entries = value.items() if isinstance(value, Mapping) else [("", value)]
        for entry, told in entries:
            text = " ".join(str(told).split()).replace("|", "/")
            if text:
                rows.append((f"{name}: {entry}" if entry else name, text[:_LONGEST] + "…" * (len(text) > _LONGEST)))
    return rows


def _block(block: Block) -> str:
    heading = f"<h3>{escape(block.heading)}</h3>" if block.heading else ""
    if isinstance(block, Table):
        return heading + _table(block)
    if isinstance(block, Picture):
        return heading + _figure(block)
    kind = "plots" if all(picture.kind == "png" for picture in block.pictures) else "cases"
    return f"{heading}<div class='{kind}'>{''.join(_figure(picture) for picture in block.pictures)}</div>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = []
    for index, row in enumerate(table.rows):
        cells = "".join(f"<td>{escape(cell or '')}</td>" for cell in row)
        rows.append(f"<tr{' class=strong' if index in table.strong else ''}>{cells}</tr>")
    note = f"<p class='note'>{escape(table.note)}</p>" if table.note else ""
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(rows)}</table></div>{note}"


def _figure(picture: Picture) -> str:
    source = f"data:image/{picture.kind};base64,{b64encode(picture.data).decode('ascii')}"
    caption = escape(picture.caption)
    return f"<figure><img src='{source}' alt='{caption}'><figcaption>{caption}</figcaption></figure>"
