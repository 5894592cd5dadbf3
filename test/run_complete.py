"""Tests that are left out are told in one line, and fail where everything has to be tested.

A test is left out where what it needs is missing. With ALN_P3_TESTS_COMPLETE=1 in the environment (`.ci/run`) it fails
instead, unless what it needs is nothing that `make setup` installs: real data and golden values (`../shared`), a GPU,
packages that few people want.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Parts of the reasons of tests that may be left out everywhere.
NOT_INSTALLED_BY_SETUP = (
    *("no CUDA device", "no CUDA build of torch", "the setting is glibc's", "SUMO's netconvert is not installed"),
    *("rerun-sdk is not installed", "launch is not installed", "launch_ros is not installed"),
    "sensor_msgs_py is not installed",
)
#: Part of the reason of tests that lack a file or folder of the shared data.
NO_SHARED_DATA = "no shared test data"


def shared_folder() -> Path:
    """Folder of real test data and golden values: $ALN_P3_SHARED, else `shared` beside the repository."""
    return Path(os.environ.get("ALN_P3_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared_data(path: Path) -> Path:
    """`path`, a file or folder of the shared data; skips the test where it is missing."""
    if not path.exists():
        pytest.skip(f"{NO_SHARED_DATA} at {path}; ALN_P3_SHARED names the folder that holds data/ and oracle/")
    return path


def may_be_left_out(reason: str) -> bool:
    """Whether a test may be left out for this reason where everything has to be tested."""
    return NO_SHARED_DATA in reason or any(part in reason for part in NOT_INSTALLED_BY_SETUP)


def summary(reasons: list[str]) -> str:
    """A line about the tests that were left out; empty where none was."""
    if not reasons:
        return ""
    shared = sum(NO_SHARED_DATA in reason for reason in reasons)
    told = f"tests left out: {len(reasons)}"
    return f"{told}, of these {shared} without the shared data ({shared_folder()})" if shared else told


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that is left out."""
    return _failed_where_incomplete((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """A whole file that is left out."""
    return _failed_where_incomplete((yield))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tells how many were left out."""
    line = summary([_reason(report) for report in terminalreporter.stats.get("skipped", [])])
    if line:
        terminalreporter.write_line(line)


def _failed_where_incomplete(report: Any) -> Any:
    left_out = report.skipped and not hasattr(report, "wasxfail")
    if left_out and os.environ.get("ALN_P3_TESTS_COMPLETE", "0") != "0" and not may_be_left_out(_reason(report)):
        report.outcome = "failed"
        report.longrepr = f"left out, but ALN_P3_TESTS_COMPLETE is set: {_reason(report)}"
    return report


def _reason(report: Any) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
