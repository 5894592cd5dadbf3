"""What the numbers of a training may be: refused by name before anything is computed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from aln_p3_core.errors import ConfigError
from aln_p3_core.training.settings import TrainingConfig
from aln_p3_core.training.settings_tree import flatten

#: The largest seed that torch and NumPy both take.
LARGEST_SEED = 2**32 - 1
# Groups that check themselves as they are built, and what they hold together.
_OTHERS = ("explainer.", "alignment.")


@dataclass(frozen=True, slots=True)
class _Range:
    """Of a number; `above` and `below` leave out the ends."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        return math.isfinite(value) and low and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        if math.isinf(self.high):
            return low
        high = f"below {self.high:g}" if self.below else f"at most {self.high:.10g}"
        return f"{low} and {high}"


_COUNT, _SHARE, _RATE = _Range(low=1), _Range(high=1), _Range(above=True)
# By patterns of names; the first that fits counts. All other numbers are weights, counts and distances: 0 or more.
_RANGES = {
    r"run\.seed": _Range(high=LARGEST_SEED),
    r"run\.(batch_size|keep_checkpoints)|data\.(clip_frames|prefetch)|stages\.\d+\.steps": _COUNT,
    r"texts\.(per_frame|sample_tokens)": _COUNT,
    r"optimizer\.(learning_rate|clip_norm)|stages\.\d+\.rate": _RATE,
    r"optimizer\.ema_decay": _Range(high=1, below=True),
    r"optimizer\.final_rate|losses\.(focal_alpha|constraint_score)": _SHARE,
    r"data\.(fresh_start_probability|balance_commands|balance_speeds)|augmentation\..*": _SHARE,
}
_ANY = _Range()


def check_ranges(config: TrainingConfig) -> None:
    """
    Raises:
        ConfigError: for the first number that is out of its range, with the range.
    """
    for name, value, _ in flatten(config):
        if name.startswith(_OTHERS) or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        allowed = next((own for pattern, own in _RANGES.items() if re.fullmatch(pattern, name)), _ANY)
        if not allowed.holds(value):
            raise ConfigError(f"{name} must be {allowed}, got {value}")
