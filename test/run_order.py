"""Which tests run together and first where several processes share them (`pytest -n 2 --dist loadfile`).

The tests of a file run in one process, and so do those of files that share a fixture which takes long to make. What
takes longest begins first: begun last, it would keep one process busy while the others have nothing left to do.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

#: Fixtures of the whole session that take ten seconds and more, and the files that need them.
TOGETHER = {
    "exported_small": ("test_onnx_session", "test_loading", "test_export", "test_export_command"),
    "recorded_root": ("test_world_recording", "test_world_record_statistics", "test_world_signal_ahead"),
    "built_messages": ("test_adapter", "test_adapter_node"),
}
#: Files, and fixtures of `TOGETHER`, that take longest: the first of them begin first.
LONGEST = (
    *("test_joint_training", "test_trainer", "test_study_end_to_end", "test_free_at_inference", "exported_small"),
    *("test_language_suite", "test_study_runner"),
    *("test_demo", "test_colcon", "test_driver_onnx", "test_editable", "built_messages"),
)

_GROUPS = {file: fixture for fixture, files in TOGETHER.items() for file in files}
_BEGIN = {name: place for place, name in enumerate(LONGEST)}


def group_of(nodeid: str) -> str:
    """What runs in one process with a test: its file, or the files that share a fixture with it."""
    file = PurePosixPath(nodeid.partition("::")[0]).stem
    return _GROUPS.get(file, file)


def order(nodeids: list[str]) -> list[int]:
    """Places of tests in the order in which they begin; those that take no long time stay as they are."""
    return sorted(range(len(nodeids)), key=lambda place: _BEGIN.get(group_of(nodeids[place]), len(LONGEST)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts the tests, in each of several processes alike."""
    if hasattr(config, "workerinput"):
        items[:] = [items[place] for place in order([item.nodeid for item in items])]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out whole groups, in the order of the tests. (xdist's own marks of groups do nothing with pytest 9.2.)"""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    # Otherwise files with many tests would begin first.
    config.option.loadscopereorder = False
    return Groups(config, log)
