"""Reading ROS 2 bags: as a timeline to play, and as a summary."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from aln_p3_core.errors import DataError
from aln_p3_ros.bags.qos import is_latched
from aln_p3_ros.bags.salvage import salvage
from aln_p3_ros.replay.timeline import TimedMessage, TimelineTopic
from aln_p3_ros.topics import suggest

_IMAGE_TYPES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")


@dataclass(frozen=True)
class BagSummary:
    """What a bag holds.

    Attributes:
        path: of the bag.
        start_ns, end_ns: of its messages.
        counts: (topic, type, number of messages), sorted by topic.
        whole: False when the recording was cut off and was read as far as it goes.
    """

    path: Path
    start_ns: int
    end_ns: int
    counts: tuple[tuple[str, str, int], ...]
    whole: bool


@contextmanager
def open_bag(path: str | Path) -> Iterator[tuple[Reader, bool]]:
    """Opens a bag folder, or a single .mcap or .db3 file.

    Yields:
        The reader, and whether the bag is whole. A recording that was cut off (no metadata.yaml, an MCAP file
        without its end) is read as far as it goes.

    Raises:
        DataError: when there is no bag, or it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"there is no bag at {path}")
    files = [] if path.is_file() else sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    if path.is_dir() and not files and not (path / "metadata.yaml").is_file():
        raise DataError(f"{path} is no bag: it holds no .mcap or .db3 file")
    with ExitStack() as closing:
        whole = True
        try:
            reader = closing.enter_context(Reader(path))
        except Exception as error:  # damage makes the reader raise whatever its parsing comes to
            candidates = files or [path]
            if len(candidates) != 1 or candidates[0].suffix != ".mcap":
                raise DataError(f"the bag {path} cannot be read: {_told(error)}") from error
            whole = False
            reader = closing.enter_context(Reader(closing.enter_context(salvage(candidates[0]))))
        yield reader, whole


def read_messages(
    reader: Reader,
    path: Path,
    connections: Collection[Connection] = (),
    start_ns: int | None = None,
    stop_ns: int | None = None,
) -> Iterator[tuple[Connection, int, bytes]]:
    """Connection, time and bytes of every message (of those connections, if any) of an open bag, in order of time.

    Raises:
        DataError: when the bag is damaged.
    """
    messages = reader.messages(connections, start=start_ns, stop=stop_ns)
    while True:
        try:
            message = next(messages)
        except StopIteration:
            return
        except Exception as error:
            raise DataError(f"the bag {path} is damaged: {_told(error)}; record or copy it again") from error
        yield message


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def bag_summary(path: str | Path) -> BagSummary:
    """Topics and counts of a bag. Raises DataError as `open_bag`."""
    with open_bag(path) as (reader, whole):
        counts: dict[tuple[str, str], int] = {}
        for connection in reader.connections:
            key = (connection.topic, connection.msgtype)
            counts[key] = counts.get(key, 0) + connection.msgcount
        rows = tuple((topic, kind, count) for (topic, kind), count in sorted(counts.items()))
        end_ns = reader.start_time + max(reader.duration - 1, 0)
        return BagSummary(Path(path), reader.start_time, end_ns, rows, whole)


class BagTimeline:
    """A `Timeline` over a bag. Messages stay serialised.

    Steps end at the messages of the first image topic, or every 0.1 s in a bag without images.

    Args:
        path: of the bag.
        topics: only these; empty: all.
        exclude: never these (for example /clock, when the player makes its own).

    Raises:
        DataError: when the bag cannot be read, is empty, or lacks one of `topics`.
    """

    def __init__(self, path: str | Path, topics: Collection[str] = (), exclude: Collection[str] = ()) -> None:
        self._path = Path(path)
        with open_bag(self._path) as (reader, _):
            known = sorted({connection.topic for connection in reader.connections})
            for topic in topics:
                if topic not in known:
                    raise DataError(f"the bag {path} has no topic {topic!r}; {suggest(topic, known)}")
            self._wanted = {t for t in (topics or known) if t not in exclude}
            connections = self._connections(reader)
            if not any(connection.msgcount for connection in connections):
                raise DataError(f"the bag {path} has no messages" + (f" on {sorted(topics)}" if topics else ""))
            self.topics = tuple(_topics(connections))
            self.image_topics = tuple(t.name for t in self.topics if t.type in _IMAGE_TYPES)
            self.start_ns = reader.start_time
            self.end_ns = reader.start_time + max(reader.duration - 1, 0)
            self.steps_ns = self._steps(reader)
            self._latched = {topic.name for topic in self.topics if is_latched(topic.qos)}

    def messages(self, start_ns: int | None = None) -> Iterator[TimedMessage]:
        """Messages in order of time, from `start_ns` on; latched ones from before it come first."""
        with open_bag(self._path) as (reader, _):
            connections = self._connections(reader)
            if start_ns is not None:
                latched = [c for c in connections if c.topic in self._latched]
                if latched:
                    yield from self._read(reader, latched, None, start_ns)
            yield from self._read(reader, connections, start_ns, None)

    def _connections(self, reader: Reader) -> list[Connection]:
        return [connection for connection in reader.connections if connection.topic in self._wanted]

    def _read(
        self, reader: Reader, connections: list[Connection], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[TimedMessage]:
        for connection, stamp, data in read_messages(reader, self._path, connections, start_ns, stop_ns):
            yield TimedMessage(stamp, connection.topic, partial(bytes, data))

    def _steps(self, reader: Reader) -> list[int]:
        if not self.image_topics:
            return list(range(self.start_ns, self.end_ns + 1, 100_000_000))[1:] or [self.end_ns]
        first = [c for c in reader.connections if c.topic == self.image_topics[0]]
        return sorted({stamp for _, stamp, _ in read_messages(reader, self._path, first)})


def _topics(connections: list[Connection]) -> Iterator[TimelineTopic]:
    """One entry a topic: several recorded publishers of it join their offers."""
    offers: dict[str, list[Connection]] = {}
    for connection in connections:
        offers.setdefault(connection.topic, []).append(connection)
    for topic, group in sorted(offers.items()):
        kinds = sorted({connection.msgtype for connection in group})
        if len(kinds) > 1:
            raise DataError(f"the bag holds {topic} with several types: {', '.join(kinds)}; choose other topics")
        qos = [q for c in group if isinstance(c.ext, ConnectionExtRosbag2) for q in c.ext.offered_qos_profiles]
        yield TimelineTopic(topic, kinds[0], tuple(qos))


def stamp_text(stamp_ns: int) -> str:
    """A stamp as date and time, UTC, for people."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(stamp_ns * 1e-9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
