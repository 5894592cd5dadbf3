"""Text files are UTF-8 on every machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import aln_p3_core

SOURCES = Path(aln_p3_core.__file__).parents[1]


def calls_by_locale(tree: ast.AST) -> Iterator[int]:
    """Lines that open a file of text, or a child's output, in whatever encoding the locale has."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if "encoding" in keywords:
            continue
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            yield node.lineno
        modes = [a.value for a in [*node.args[:2], *([keywords["mode"]] if "mode" in keywords else [])]
                 if isinstance(a, ast.Constant) and isinstance(a.value, str)]  # fmt: skip
        if name == "open" and any(set(mode) <= set("rwax+t") for mode in modes):
            yield node.lineno
        if "text" in keywords and name in ("run", "Popen", "check_output"):
            yield node.lineno


def test_the_scan_finds_what_it_looks_for() -> None:
    bad = 'p.read_text()\np.write_text(x)\np.open("w")\nopen(p, "r")\nsubprocess.run(c, text=True)\n'
    good = (
        'p.read_text(encoding="utf-8")\np.open("rb")\nwrite_text(p, x)\nzip.open(name)\np.open("a", encoding="utf-8")'
    )
    assert list(calls_by_locale(ast.parse(bad + good))) == [1, 2, 3, 4, 5]


def test_no_file_of_text_depends_on_the_locale() -> None:
    files = [file for package in ("aln_p3_core", "aln_p3_ros") for file in sorted((SOURCES / package).rglob("*.py"))]
    assert len(files) > 300
    found = [f"{file}:{line}" for file in files for line in calls_by_locale(ast.parse(file.read_text("utf-8")))]
    assert not found, "\n".join(found)
