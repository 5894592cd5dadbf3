"""Nanoseconds to and from time messages."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from hypothesis import given
from hypothesis import strategies as st

from aln_p3_ros.messages.stamps import seconds_to_ns, to_duration, to_ns, to_time


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_times_there_and_back(stamp_ns: int) -> None:
    assert to_ns(to_time(stamp_ns)) == stamp_ns


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
def test_durations_there_and_back(nanoseconds: int) -> None:
    message = to_duration(nanoseconds)
    assert to_ns(message) == nanoseconds and 0 <= message.nanosec < 10**9


def test_known_values() -> None:
    assert to_time(1_500_000_001) == Time(sec=1, nanosec=500_000_001)
    assert to_duration(-1) == Duration(sec=-1, nanosec=999_999_999)
    assert seconds_to_ns(0.1) == 100_000_000
