"""The intelligent driver model (Treiber et al. 2000, Phys. Rev. E 62, 1805): how hard a follower accelerates."""

from __future__ import annotations

import numpy as np

#: Comfortable acceleration and braking, m/s^2; time gap, s; gap at standstill, m.
ACCELERATION = 1.8
COMFORT_BRAKING = 2.5
TIME_GAP_S = 1.2
STANDSTILL_GAP_M = 2.0
#: What brakes and tyres allow in need, m/s^2.
EMERGENCY_BRAKING = 8.0


def idm_acceleration(speed: float, wanted_speed: float, gap_m: float = np.inf, leader_speed: float = 0.0) -> float:
    """Acceleration, m/s^2, of a vehicle that wants a speed and has a leader `gap_m` ahead of its front bumper.

    Never brakes harder than `EMERGENCY_BRAKING`. A wanted speed below the present one brakes comfortably.
    """
    if wanted_speed < 0.05:
        free = -COMFORT_BRAKING if speed > 0 else 0.0
    elif speed <= wanted_speed:
        free = ACCELERATION * (1 - (speed / wanted_speed) ** 4)
    else:
        free = -min(COMFORT_BRAKING, 2.0 * (speed - wanted_speed))
    if not np.isfinite(gap_m):
        return free
    closing = speed * (speed - leader_speed) / (2 * np.sqrt(ACCELERATION * COMFORT_BRAKING))
    desired = STANDSTILL_GAP_M + max(0.0, speed * TIME_GAP_S + closing)
    interaction = ACCELERATION * (desired / max(gap_m, 0.1)) ** 2
    return float(np.clip(min(free, free - interaction), -EMERGENCY_BRAKING, ACCELERATION))
