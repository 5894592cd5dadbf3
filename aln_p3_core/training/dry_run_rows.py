"""What a dry run tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class DryRun:
    """Named rows; what is missing before the training can start; and what else is worth knowing."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: Any) -> None:
        """A row."""
        self.rows.append((name, str(value)))
