"""What the embedded world stores about traffic lights: the one that counts for the ego at every key frame.

`signal_ahead.json`: `{sample_token: {"color": "off" | "red" | "yellow" | "green" | "green_yield", "distance_m": m} |
null}`: the first light along the ego's route whose stop line lies at most 60 m ahead of the front bumper; null where
there is none. Roots that were recorded without lights do not have the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aln_p3_core.datasets.stored_plans import RECORD_AGAIN, read_by_sample
from aln_p3_core.errors import DataError

SIGNAL_FILE = "signal_ahead.json"
COLORS = ("off", "red", "yellow", "green", "green_yield")


@dataclass(frozen=True, slots=True)
class SignalAhead:
    """The light that counts.

    Attributes:
        color: one of `COLORS`, or "none" where there is no light ahead. Green without priority is "green_yield".
        distance_m: from the front bumper to the stop line along the route; infinite without a light.
    """

    color: str
    distance_m: float


NO_SIGNAL = SignalAhead("none", math.inf)


class StoredSignals:
    """Reads the file of a root, once, when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._path = root / SIGNAL_FILE

    def signal(self, token: str) -> SignalAhead | None:
        """The light of a sample; None where nothing is known about it.

        Raises:
            DataError: naming the file when it is broken.
        """
        if token not in self._rows:
            return None
        row = self._rows[token]
        if row is None:
            return NO_SIGNAL
        try:
            signal = SignalAhead(str(row["color"]), float(row["distance_m"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._path}: signal of sample {token}: {error!r}; {RECORD_AGAIN}") from error
        if signal.color not in COLORS:
            raise DataError(
                f"{self._path}: sample {token} has the color {signal.color!r}; known are {', '.join(COLORS)}; "
                f"{RECORD_AGAIN}"
            )
        return signal

    @cached_property
    def _rows(self) -> Mapping[str, Any]:
        return read_by_sample(self._path)
