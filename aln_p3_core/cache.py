"""Where this project keeps what it can compute again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where caches go: $ALN_P3_CACHE, else $XDG_CACHE_HOME/aln_p3, else ~/.cache/aln_p3."""
    own = os.environ.get("ALN_P3_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aln_p3"
