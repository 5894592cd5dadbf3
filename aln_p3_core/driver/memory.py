"""Temporal memory of the driver: a stamped ring of BEV maps with written rules.

The network was trained with a memory of a certain age (`MemoryConfig.interval_s`, 0.5 s for nuScenes key
frames). The ring keeps the states of the last frames, so that the one nearest to that age serves,
whatever the camera rate.

The memory is dropped (and the reason told) when

1. time goes back (a bag starts over, a seek);
2. more than `max_gap_s` pass without a frame;
3. the ego pose moves faster than `max_speed_mps` (localisation jumped, the simulator respawned);
4. the calibration of a camera or the model frame changes (a lost camera is no change);
5. the drive has another name (`DrivingFrame.drive_id`);
6. somebody asks for it (`reset`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch

from aln_p3_core.config import MemoryConfig
from aln_p3_core.frame import DrivingFrame
from aln_p3_core.geometry import FloatArray, invert_transform

# Noise of a pose estimate at standstill, metres: no jump, however short the time between two frames.
_POSE_NOISE_M = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class MemoryState:
    """What is kept of one earlier frame.

    Attributes:
        stamp_ns: its reference stamp.
        T_global_model: 4x4, its model frame in the global frame.
        bev_1RSD: its BEV map [1, rows, columns, D], on the network's device.
        can_bus: [18] its CAN vector with absolute values, or None.
    """

    stamp_ns: int
    T_global_model: FloatArray
    bev_1RSD: torch.Tensor
    can_bus: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    stamp_ns: int
    position_global: FloatArray
    calibrations: dict[str, str]
    T_ego_model: FloatArray
    drive_id: str


class TemporalMemory:
    """Ring of `MemoryState`, and the rules for when it must be dropped."""

    def __init__(self, config: MemoryConfig) -> None:
        self.config = config
        self._states: deque[MemoryState] = deque(maxlen=config.capacity)
        self._last: _Context | None = None
        self._pending_reset = ""

    def __len__(self) -> int:
        return len(self._states)

    def reset(self, reason: str) -> None:
        """Drops everything; the next `advance` tells the reason."""
        self._states.clear()
        self._last = None
        self._pending_reset = reason

    def advance(self, frame: DrivingFrame) -> str:
        """Applies the rules for a new frame. Returns why the memory was dropped, or ""."""
        context = _Context(
            stamp_ns=frame.reference_stamp_ns,
            position_global=frame.T_global_ego[:3, 3],
            calibrations={name: view.calibration.fingerprint for name, view in frame.views.items()},
            T_ego_model=frame.T_ego_model,
            drive_id=frame.drive_id,
        )
        reason = self._pending_reset or self._reason_to_drop(context)
        self._pending_reset = ""
        if reason:
            self._states.clear()
        elif self._last is not None:
            # A camera that is away for a while must come back with the calibration that it had.
            context = _Context(
                context.stamp_ns,
                context.position_global,
                {**self._last.calibrations, **context.calibrations},
                context.T_ego_model,
                context.drive_id,
            )
        self._last = context
        return reason

    def recall(self, stamp_ns: int) -> MemoryState | None:
        """The state whose age at `stamp_ns` is nearest to the trained interval, or None where none is near."""
        ages = {state.stamp_ns: (stamp_ns - state.stamp_ns) * 1e-9 for state in self._states}
        candidates = [state for state in self._states if ages[state.stamp_ns] > 0]
        if not candidates:
            return None
        best = min(candidates, key=lambda state: abs(ages[state.stamp_ns] - self.config.interval_s))
        # The tolerance carries a microsecond of slack: stamps of 10 Hz data are not exact decimals.
        error = abs(ages[best.stamp_ns] - self.config.interval_s)
        return best if error <= self.config.tolerance_s + 1e-6 else None

    def store(self, state: MemoryState) -> None:
        """Keeps a state; one of the same stamp is replaced.

        States closer together than the ring could hold over the useful age are thinned out, so that the
        ring reaches back far enough at any frame rate.
        """
        if self._states and self._states[-1].stamp_ns == state.stamp_ns:
            self._states.pop()
        oldest_useful = state.stamp_ns - int((self.config.interval_s + self.config.tolerance_s) * 1e9)
        while self._states and self._states[0].stamp_ns < oldest_useful:
            self._states.popleft()
        spacing_ns = int(1e9 * (self.config.interval_s + self.config.tolerance_s) / self.config.capacity)
        if len(self._states) >= 2 and self._states[-1].stamp_ns - self._states[-2].stamp_ns < spacing_ns:
            self._states.pop()
        self._states.append(state)

    def _reason_to_drop(self, now: _Context) -> str:
        last = self._last
        if last is None:
            return ""
        if now.drive_id != last.drive_id:
            return f"another drive: {last.drive_id!r} -> {now.drive_id!r}"
        elapsed_s = (now.stamp_ns - last.stamp_ns) * 1e-9
        if elapsed_s < 0:
            return f"time went back by {-elapsed_s:.3f} s"
        if elapsed_s > self.config.max_gap_s:
            return f"no frame for {elapsed_s:.3f} s (limit {self.config.max_gap_s} s)"
        distance = float(np.linalg.norm(now.position_global - last.position_global))
        if distance > _POSE_NOISE_M + self.config.max_speed_mps * elapsed_s:
            return f"the ego pose jumped by {distance:.1f} m in {elapsed_s:.3f} s"
        changed = [n for n, mark in now.calibrations.items() if last.calibrations.get(n, mark) != mark]
        if changed:
            return f"the calibration of {', '.join(sorted(changed))} changed"
        if not np.allclose(now.T_ego_model, last.T_ego_model, atol=1e-6):
            return "the model frame changed"
        return ""


def T_prev_cur(previous: MemoryState, frame: DrivingFrame) -> FloatArray:
    """4x4, the current model frame -> the model frame of an earlier state."""
    return invert_transform(previous.T_global_model) @ frame.T_global_model


def can_bus_with_differences(current: FloatArray, previous: FloatArray | None) -> FloatArray:
    """The CAN vector as VAD's network sees it (method: [:3] and [-1] are differences to the earlier frame).

    Args:
        current: [18] absolute values (`preprocess.can_bus_vector`).
        previous: the same of the earlier frame, or None when the driver starts afresh (then zeros).
    """
    result = current.copy()
    result[:3] = 0.0 if previous is None else current[:3] - previous[:3]
    if previous is None:
        result[-1] = 0.0
    else:
        # The released code subtracts bare degrees and jumps by 360 at the seam; a car never does.
        result[-1] = (current[-1] - previous[-1] + 180.0) % 360.0 - 180.0
    return result
