"""Nu-X: what the ego vehicle does and why, in words, for key frames (Hint-AD, arXiv 2409.06702).

The file is `{sample_token: {"narration": str, "reasoning": str}}`, lower case, no final period.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.datasets.language_files import read_json, rows_by_token, text_field


@dataclass(frozen=True, slots=True)
class Explanation:
    """A driving explanation: what the ego vehicle does, and why."""

    narration: str
    reasoning: str


def load_nu_x(path: str | Path) -> dict[str, Explanation]:
    """Explanations by sample token.

    Raises:
        DataError: naming the file, and the sample whose entry is broken.
    """
    rows = rows_by_token(path, read_json(path), "sample token")
    return {
        token: Explanation(*(text_field(path, f"sample {token}", row, name) for name in ("narration", "reasoning")))
        for token, row in rows.items()
    }
