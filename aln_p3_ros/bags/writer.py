"""Writes timelines as ROS 2 bags (rosbag2 version 9, MCAP or sqlite3)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_ros.bags.typestore import know_type, typestore
from aln_p3_ros.replay.timeline import Timeline, prefetched
from aln_p3_ros.topics import suggest

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_PREFETCH = 16


def write_bag(
    timeline: Timeline,
    out: str | Path,
    *,
    storage: str = "mcap",
    force: bool = False,
    progress: Callable[[float], None] = lambda fraction: None,
) -> int:
    """Writes every message of a timeline, each at its own stamp, with the offered quality of service.

    The same timeline gives the same bytes. The bag appears under its name only when it is whole.

    Args:
        timeline: what to write.
        out: folder of the bag.
        storage: "mcap" or "sqlite3".
        force: replace a bag that is there already; anything else in its place is never replaced.
        progress: told the fraction of recorded time that has been written.

    Returns:
        The number of messages.

    Raises:
        ConfigError: for an unknown storage or a place that is taken. DataError: when the source cannot be read.
    """
    if storage not in STORAGES:
        raise ConfigError(f"unknown storage {storage!r}; {suggest(storage, STORAGES)}")
    out = Path(out).absolute()
    check_free(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # The file inside bears the folder's name, so the temporary place is a folder around it.
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            unfinished = Path(temporary) / out.name
            count = _write(timeline, unfinished, STORAGES[storage], progress)
            if out.exists():
                shutil.rmtree(out)
            unfinished.rename(out)
    except OSError as error:
        raise ConfigError(f"the bag {out} cannot be written: {error}") from error
    return count


def check_free(out: Path, *, force: bool) -> None:
    """Checks that a bag may be written to `out`. Raises ConfigError where something is in the way."""
    if not out.exists():
        return
    is_bag = out.is_dir() and (any(out.glob("*.mcap")) or any(out.glob("*.db3")))
    if out.is_dir() and not any(out.iterdir()):
        return
    if not is_bag:
        raise ConfigError(f"{out} exists and is no bag; choose another place")
    if not force:
        raise ConfigError(f"the bag {out} exists already; choose another place, or replace it with --force")


def _write(timeline: Timeline, path: Path, plugin: StoragePlugin, progress: Callable[[float], None]) -> int:
    count = 0
    length = max(timeline.end_ns - timeline.start_ns, 1)
    with ThreadPoolExecutor(2) as executor, Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic in timeline.topics:
            if not know_type(topic.type):
                raise DataError(f"the type {topic.type} of {topic.name} is not known; install its package")
            connections[topic.name] = writer.add_connection(
                topic.name, topic.type, typestore=typestore(), offered_qos_profiles=topic.qos
            )
        for message, content in prefetched(timeline.messages(), executor, _PREFETCH):
            writer.write(connections[message.topic], message.stamp_ns, content.result())
            count += 1
            progress(min((message.stamp_ns - timeline.start_ns) / length, 1.0))
    return count
