"""What can be replayed: a timeline of stamped, serialised messages.

The replay node, the bag player and the bag writer all read a `Timeline`, so what a node publishes and what a
bag holds cannot differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from rosbags.interfaces import Qos


@dataclass(frozen=True, slots=True)
class TimelineTopic:
    """A topic of a timeline: name, type as "package/msg/Name", offered quality of service."""

    name: str
    type: str
    qos: tuple[Qos, ...]


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """One message at its instant; `serialise` gives its CDR bytes (and may read a file to do so)."""

    stamp_ns: int
    topic: str
    serialise: Callable[[], bytes | memoryview]


class Timeline(Protocol):
    """A recorded drive.

    Attributes:
        topics: every topic that occurs.
        start_ns, end_ns: stamps of the first and of the last message.
        steps_ns: sorted instants at which a stepping viewer stops: the ends of the key frames.
        image_topics: topics whose subscribers should be there before the replay starts.
    """

    @property
    def topics(self) -> Sequence[TimelineTopic]: ...

    @property
    def start_ns(self) -> int: ...

    @property
    def end_ns(self) -> int: ...

    @property
    def steps_ns(self) -> Sequence[int]: ...

    @property
    def image_topics(self) -> Sequence[str]: ...

    def messages(self, start_ns: int | None = None) -> Iterator[TimedMessage]:
        """Messages in order of time, from `start_ns` on, each latched one again first where it is older."""
        ...


def prefetched(
    messages: Iterator[TimedMessage], executor: ThreadPoolExecutor, depth: int
) -> Iterator[tuple[TimedMessage, Future[bytes | memoryview]]]:
    """Serialises up to `depth` messages ahead, so that reading and decoding files delays nobody."""
    ahead: deque[tuple[TimedMessage, Future[bytes | memoryview]]] = deque()
    try:
        for message in messages:
            ahead.append((message, executor.submit(message.serialise)))
            if len(ahead) > depth:
                yield ahead.popleft()
        while ahead:
            yield ahead.popleft()
    finally:
        for _, future in ahead:
            future.cancel()
