"""What a driver's perception says about all frames of a frame store: one shard for each of its shards.

`perception_build.build_perception` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.training.frame_shards import open_array

#: The array of a shard.
PERCEIVED_FILE = "perceived.npy"


@dataclass(frozen=True, slots=True)
class PerceptionStore:
    """Records of the frames of a store (`perceived_dtype`). Cheap to pickle; every process opens the files for itself.

    Attributes:
        location: folder of the shards.
    """

    location: Path

    def record(self, shard: Path, row: int) -> NDArray[np.void]:
        """Record of one frame (`FrameStore.place` gives its shard and row), without a copy."""
        return _array(self.location / shard.name)[row]


@lru_cache(maxsize=128)
def _array(folder: Path) -> NDArray[np.void]:
    return open_array(folder / PERCEIVED_FILE)
