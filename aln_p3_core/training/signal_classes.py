"""The traffic light that counts for the ego, as a class to learn.

It is not kept in the frame store: a root may be told its lights after its frames were prepared.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.nuscenes import NuScenesDataset

#: Of a sample about whose light nothing is known.
UNKNOWN = -1
SIGNAL_CLASSES = ("none", "red", "yellow", "green")
_CLASS_OF_COLOR = {"none": 0, "off": 0, "red": 1, "yellow": 2, "green": 3, "green_yield": 3}


def signal_classes(dataset: NuScenesDataset, tokens: Iterable[str]) -> NDArray[np.int8]:
    """[n] index into `SIGNAL_CLASSES` for every sample, `UNKNOWN` where the root does not tell.

    A light that is off counts as none, and green without priority as green.

    Raises:
        DataError: when the root's file is broken.
    """
    signals = (dataset.signal_ahead(token) for token in tokens)
    classes = [UNKNOWN if signal is None else _CLASS_OF_COLOR[signal.color] for signal in signals]
    return np.array(classes, dtype=np.int8)
