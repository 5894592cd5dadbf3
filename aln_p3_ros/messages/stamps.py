"""Nanoseconds to and from ROS time messages."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time

_NS = 1_000_000_000


def to_ns(stamp: Time | Duration) -> int:
    """Nanoseconds of a `Time` or `Duration` message."""
    return stamp.sec * _NS + stamp.nanosec


def to_time(stamp_ns: int) -> Time:
    """`Time` message of nanoseconds since the epoch."""
    return Time(sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)


def to_duration(nanoseconds: int) -> Duration:
    """`Duration` message; a negative one has negative seconds and positive nanoseconds, as ROS wants it."""
    return Duration(sec=nanoseconds // _NS, nanosec=nanoseconds % _NS)


def seconds_to_ns(seconds: float) -> int:
    """Whole nanoseconds of seconds."""
    return round(seconds * _NS)
