"""Stores that are computed from a frame store, with one shard for each of its shards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from aln_p3_core.errors import DataError
from aln_p3_core.training.frame_shards import check_files, read_index

Verification = Literal["quick", "full"]


def is_whole(folder: Path, shard: Path, verify: Verification = "quick") -> bool:
    """Whether what was computed from a frame shard lies in `folder`, intact; else what is there is removed."""
    own = folder / shard.name
    if not own.is_dir():
        return False
    try:
        index = read_index(own)
        check_files(own, index["files"], full=verify == "full")
        if index["frames"] == shard_identity(shard):
            return True
    except DataError:
        pass
    shutil.rmtree(own)
    return False


def shard_identity(shard: Path) -> list[Any]:
    """What tells the frames of a frame shard: scenes with fingerprints and tokens, in the order of its rows."""
    return read_index(shard)["scenes"]
