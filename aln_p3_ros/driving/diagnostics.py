"""`diagnostic_msgs` from the state of the driver node. Pure functions over plain values."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from aln_p3_ros.driving.camera_set import CameraFault, CameraState
from aln_p3_ros.driving.faults import Degradation, Level

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE

_LEVELS = {Level.NONE: OK, Level.REDUCED: WARN, Level.STOP: ERROR}
_WINDOW = 50


class LatencyWindow:
    """Milliseconds per stage of the last plans. Safe to use from several threads."""

    def __init__(self, size: int = _WINDOW) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, float]] = deque(maxlen=size)
        self.count = 0

    def add(self, timings_ms: Mapping[str, float]) -> None:
        """Takes the stages of one plan."""
        with self._lock:
            self._entries.append(dict(timings_ms))
            self.count += 1

    def summary(self) -> dict[str, tuple[float, float, float]]:
        """Median, 90th percentile and maximum per stage, in the order in which stages first appeared."""
        with self._lock:
            entries = list(self._entries)
        stages = dict.fromkeys(stage for entry in entries for stage in entry)
        result = {}
        for stage in stages:
            values = np.array([entry[stage] for entry in entries if stage in entry])
            result[stage] = (float(np.median(values)), float(np.percentile(values, 90)), float(values.max()))
        return result


def status(name: str, level: bytes, message: str, values: Mapping[str, object], hardware_id: str) -> DiagnosticStatus:
    """One status; values become text, floats with three digits behind the point."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def diagnostics_message(statuses: list[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """The array to publish."""
    return DiagnosticArray(header=Header(stamp=stamp), status=statuses)


def planning_status(
    name: str, degradation: Degradation, values: Mapping[str, object], hardware_id: str
) -> DiagnosticStatus:
    """How much the plan can be trusted, and why."""
    words = {Level.NONE: "driving", Level.REDUCED: "driving with less", Level.STOP: "stopping"}[degradation.level]
    message = words if not degradation.reasons else f"{words}: {'; '.join(degradation.reasons)}"
    return status(name, _LEVELS[degradation.level], message, values, hardware_id)


def camera_status(
    name: str, state: CameraState, fault: CameraFault | None, warning: str, now_ns: int, hardware_id: str
) -> DiagnosticStatus:
    """One camera's health.

    Args:
        state: what the matching knows of it.
        fault: its fault, from the matching or from its calibration; None when it is well.
        warning: something doubtful that does not keep it from being used.
        now_ns: the node's clock.
    """
    if fault is not None:
        level, message = (ERROR if fault.kind.severity > 1 else WARN), f"{fault.kind.value}: {fault.text}"
    elif warning:
        level, message = WARN, warning
    else:
        level, message = OK, "well"
    # Read once: another thread may clear them meanwhile.
    stamp_ns, arrived_ns, period_ns = state.stamp_ns, state.arrived_ns, state.period_ns
    values: dict[str, object] = {
        "fault": fault.kind.value if fault else "",
        "images": state.received,
        "late": state.late,
        "repeated": state.repeated,
        "rate_hz": 1e9 / period_ns if period_ns else 0.0,
    }
    if stamp_ns is not None:
        values["stamp"] = f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}"
        values["age_s"] = (now_ns - stamp_ns) * 1e-9
    if arrived_ns is not None:
        values["since_last_s"] = (now_ns - arrived_ns) * 1e-9
    return status(name, level, message, values, hardware_id)


def latency_status(
    name: str, window: LatencyWindow, values: Mapping[str, object], hardware_id: str, unit: str = "plan"
) -> DiagnosticStatus:
    """Median, 90th percentile and maximum of every stage, in milliseconds; `unit` is what one total is of."""
    summary = window.summary()
    content: dict[str, object] = dict(values)
    for stage, (median, p90, largest) in summary.items():
        content[f"{stage}_ms"] = f"{median:.2f} (p90 {p90:.2f}, max {largest:.2f})"
    total = summary.get("total")
    message = f"{total[0]:.0f} ms a {unit}" if total else f"no {unit} yet"
    return status(name, OK, message, content, hardware_id)


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
