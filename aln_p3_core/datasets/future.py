"""Where in a recording the planner's future steps lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Planner and forecasts: six steps of half a second (VAD).
FUTURE_STEPS = 6
STEP_S = 0.5
_MAX_GAP_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FutureStep:
    """An instant between two key frames: `fraction` of the way from index `before` to index `after`."""

    before: int
    after: int
    fraction: float


def future_steps(stamps_ns: Sequence[int], index: int, steps: int = FUTURE_STEPS) -> list[FutureStep | None]:
    """The next `steps` instants after key frame `index`, None where the recording has ended.

    With key frames at 2 Hz (nuScenes) the steps are the following key frames themselves, whatever their exact
    distance, as the VAD benchmark does it. With another rate they lie every half second of true time, between
    the key frames around; a gap of more than one second is not bridged.

    Args:
        stamps_ns: key-frame stamps of the scene, ascending.
        index: of the present key frame.
        steps: number of steps.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    spacing = float(np.median(np.diff(stamps))) * 1e-9 if len(stamps) > 1 else STEP_S
    if 0.7 * STEP_S < spacing < 1.3 * STEP_S:
        last = len(stamps) - 1
        return [FutureStep(i, i, 0.0) if i <= last else None for i in range(index + 1, index + 1 + steps)]
    result: list[FutureStep | None] = []
    for k in range(1, steps + 1):
        target = stamps[index] + round(k * STEP_S * 1e9)
        after = int(np.searchsorted(stamps, target))
        if after < len(stamps) and stamps[after] == target:
            result.append(FutureStep(after, after, 0.0))
        elif after >= len(stamps) or stamps[after] - stamps[after - 1] > _MAX_GAP_NS:
            result.append(None)
        else:
            fraction = float((target - stamps[after - 1]) / (stamps[after] - stamps[after - 1]))
            result.append(FutureStep(after - 1, after, fraction))
    return result
