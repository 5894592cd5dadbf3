"""Diagnostics from plain values."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time

from aln_p3_ros.driving import diagnostics
from aln_p3_ros.driving.camera_set import CameraFault, CameraState, FaultKind
from aln_p3_ros.driving.diagnostics import ERROR, OK, WARN, LatencyWindow
from aln_p3_ros.driving.driver_report import DriverReport
from aln_p3_ros.driving.faults import Degradation, Level

S = 1_000_000_000


def values(status) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_faulty_camera_is_named_with_its_severity(kind: FaultKind) -> None:
    state = CameraState(arrived_ns=9 * S, stamp_ns=8 * S + 5, received=7, period_ns=0.1e9)
    status = diagnostics.camera_status("node: camera X", state, CameraFault(kind, "why"), "", 10 * S, "car")
    assert status.level == (ERROR if kind.severity > 1 else WARN)
    assert status.message == f"{kind.value}: why" and status.hardware_id == "car"
    found = values(status)
    assert found["fault"] == kind.value and found["images"] == "7" and found["rate_hz"] == "10.000"
    assert found["stamp"] == "8.000000005" and found["age_s"] == "2.000" and found["since_last_s"] == "1.000"


class Forgotten:
    """Values that another thread forgets right after they were read."""

    def __init__(self, **values: object) -> None:
        self._values = values

    def __getattr__(self, name: str) -> object:
        return self._values.pop(name, None)


def test_a_state_that_is_cleared_meanwhile_breaks_no_report() -> None:
    state = Forgotten(arrived_ns=9 * S, stamp_ns=8 * S, received=7, period_ns=0.1e9)
    found = values(diagnostics.camera_status("x", state, None, "", 10 * S, ""))
    assert found["stamp"] == "8.000000000" and found["since_last_s"] == "1.000" and found["rate_hz"] == "10.000"
    report = DriverReport.__new__(DriverReport)
    report._name, report._hardware_id = "driver_node", ""
    odometry = Forgotten(newest_stamp_ns=10 * S)
    status = report._odometry_status(Forgotten(speed=8.0, odometry=odometry, odometry_problem=""), 10 * S, 0.5)
    assert values(status)["speed_mps"] == "8.000"
    memory = report._memory_status(Forgotten(state=Forgotten(history_age_s=0.5)))
    assert memory.message == "0.500 s old"


def test_a_well_camera_and_a_doubtful_one() -> None:
    assert diagnostics.camera_status("x", CameraState(), None, "", S, "").level == OK
    doubtful = diagnostics.camera_status("x", CameraState(), None, "has distortion", S, "")
    assert (doubtful.level, doubtful.message) == (WARN, "has distortion")


@pytest.mark.parametrize(("level", "expected"), [(Level.NONE, OK), (Level.REDUCED, WARN), (Level.STOP, ERROR)])
def test_planning_tells_every_reason(level: Level, expected: bytes) -> None:
    reasons = () if level is Level.NONE else ("first", "second")
    status = diagnostics.planning_status("x", Degradation(level, reasons), {}, "")
    assert status.level == expected
    assert all(reason in status.message for reason in reasons)


def test_latency_of_every_stage() -> None:
    window = LatencyWindow(size=10)
    for index in range(20):
        window.add({"backbone": float(index), "total": 100.0})
    window.add({"total": 100.0})
    assert list(window.summary()) == ["backbone", "total"]
    median, p90, largest = window.summary()["backbone"]
    assert median == 15.0 and 15.0 < p90 < 19.0 and largest == 19.0
    status = diagnostics.latency_status("x", window, {"plans": window.count}, "")
    assert status.message == "100 ms a plan" and values(status)["plans"] == "21"
    assert values(status)["backbone_ms"].startswith("15.00 (p90 ")
    assert diagnostics.latency_status("x", LatencyWindow(), {}, "").message == "no plan yet"


def test_the_array_is_stamped() -> None:
    message = diagnostics.diagnostics_message([diagnostics.status("a", OK, "b", {"c": 1.0}, "d")], Time(sec=4))
    assert message.header.stamp.sec == 4 and message.status[0].values[0].value == "1.000"
