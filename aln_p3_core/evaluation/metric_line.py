"""`MetricLine`: one compared number, or array of numbers, of a parity check."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aln_p3_core.errors import DataError


@dataclass(frozen=True, slots=True)
class MetricLine:
    """Outcome of one comparison with a released metric.

    Attributes:
        folder: of the oracle, such as "planning".
        name: what was compared.
        max_abs: largest absolute difference; infinity where shapes or missing values differ.
        tolerance: what is allowed.
        ok: whether it holds.
        note: a word more, or "".
    """

    folder: str
    name: str
    max_abs: float
    tolerance: float
    ok: bool
    note: str = ""


def compare(
    folder: str, name: str, ours: ArrayLike | None, expected: ArrayLike, tolerance: float = 0.0, note: str = ""
) -> MetricLine:
    """A line from two arrays of numbers or booleans; NaN equals NaN and nothing else.

    None, for what is not measured here, is NaN.
    """
    a, b = np.asarray(np.nan if ours is None else ours, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if a.shape != b.shape:
        return MetricLine(folder, name, float("inf"), tolerance, False, f"shape {a.shape}, expected {b.shape}")
    both = np.isnan(a) & np.isnan(b)
    differences = np.where(both | (a == b), 0.0, np.abs(a - b))
    largest = float(np.nan_to_num(differences, nan=np.inf).max()) if differences.size else 0.0
    return MetricLine(folder, name, largest, tolerance, largest <= tolerance, note)


def read_json(path: Path) -> Any:
    """Content of a JSON file. Raises DataError naming a file that is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; get the whole folder again") from error


def read_arrays(path: Path) -> dict[str, Any]:
    """Content of an .npz file. Raises DataError naming a file that is missing or broken."""
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}; get the whole folder again") from error
