"""Options that name what a command writes: what cannot be written is told before the work begins."""

from __future__ import annotations

from pathlib import Path

import click

from aln_p3_core.whole_files import write_problem


def output_file(_context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Callback of an option that names a file to write; the folders that it lies in may be missing."""
    if path is not None:
        _require_room(parameter, path, path.parent)
    return path


def output_folder(_context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Callback of an option that names a folder to write into, which may be missing."""
    if path is not None:
        _require_room(parameter, path, path)
    return path


def refuse_own_source(out: Path, source: Path) -> None:
    """Raises UsageError when a command would write over the file that it reads, by whatever name or link."""
    if out.exists() and source.exists() and out.samefile(source):
        raise click.UsageError(f"{out} is the file that is read ({source}), and would be lost: name another --out")


def _require_room(parameter: click.Parameter, path: Path, folder: Path) -> None:
    if problem := write_problem(folder):
        raise click.BadParameter(f"{path} cannot be written: {problem}", param=parameter)
