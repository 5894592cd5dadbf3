"""Plays a timeline: one thread that publishes each message when its time has come, and obeys controls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from aln_p3_core.errors import AlnP3Error, ConfigError, DataError
from aln_p3_ros.bags.qos import is_latched
from aln_p3_ros.replay.clock import ReplayClock
from aln_p3_ros.replay.timeline import Timeline, prefetched

_LOG = logging.getLogger(__name__)

#: Messages that are read and serialised ahead, and threads for it.
_PREFETCH = 16
_THREADS = 2


class Outlet(Protocol):
    """Where a player's messages go. Called from the player's thread."""

    def publish(self, topic: str, cdr: bytes | memoryview) -> None:
        """Publishes one serialised message."""

    def publish_clock(self, stamp_ns: int) -> None:
        """Publishes recorded time."""


class Player:
    """Plays a timeline once, or over and over.

    Messages leave in the order of the timeline, none is dropped: a player that falls behind publishes without
    waiting until it has caught up. Recorded time is published before every message with a new stamp, and at
    `clock_rate_hz` of real time in between, also while paused.

    Args:
        timeline: what to play.
        outlet: where to.
        rate: recorded seconds per second.
        loop: start over at the end; stamps then jump back, as a real restart would.
        loop_gap_s: recorded seconds between the last message and starting over.
        start_offset_s: where in the timeline to start (and to start over), seconds after its first message.
        clock_rate_hz: rate of recorded time in between messages.
        paused: start standing.
        on_end: called once after the last message when not looping.
        on_error: called once with the error when a message cannot be read; the player then ends.
    """

    def __init__(
        self,
        timeline: Timeline,
        outlet: Outlet,
        *,
        rate: float = 1.0,
        loop: bool = False,
        loop_gap_s: float = 0.5,
        start_offset_s: float = 0.0,
        clock_rate_hz: float = 100.0,
        paused: bool = False,
        on_end: Callable[[], None] = lambda: None,
        on_error: Callable[[AlnP3Error], None] = lambda error: None,
    ) -> None:
        self._timeline, self._outlet = timeline, outlet
        self._loop, self._loop_gap_ns = loop, round(loop_gap_s * 1e9)
        self._clock_interval_s = 1.0 / clock_rate_hz
        self._latched = {topic.name for topic in timeline.topics if is_latched(topic.qos)}
        self._on_end, self._on_error = on_end, on_error
        self._start_ns = self._offset_to_stamp(start_offset_s)
        self._clock = ReplayClock(self._start_ns, rate)
        self._start_paused = paused
        self._changed = threading.Condition()
        self._jump_ns: int | None = None
        self._stop_at_ns: int | None = None
        self._published_ns: int | None = None
        self._ended = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    @property
    def position_s(self) -> float:
        """Seconds after the timeline's first message."""
        return (self._clock.now_ns() - self._timeline.start_ns) * 1e-9

    @property
    def playing(self) -> bool:
        """Whether recorded time passes."""
        return self._clock.running

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it. Safe to call twice, and from `on_end`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def pause(self) -> None:
        """Stands still; recorded time is still published."""
        with self._changed:
            self._start_paused = True
            self._clock.pause()
            self._stop_at_ns = None
            self._changed.notify()

    def resume(self) -> None:
        """Goes on; at the end it starts over."""
        with self._changed:
            if self._ended:
                self._jump_ns = self._start_ns
            self._stop_at_ns = None
            self._start_paused = False
            self._clock.run()
            self._changed.notify()

    def step(self) -> None:
        """Plays to the end of the next key frame, then pauses."""
        with self._changed:
            if self._ended:
                self._jump_ns = self._start_ns
            if self._jump_ns is not None:
                first = self._jump_ns
            elif self._published_ns is not None:
                first = self._published_ns + 1
            else:
                first = self._clock.now_ns()
            later = [stamp for stamp in self._timeline.steps_ns if stamp >= first]
            self._stop_at_ns = later[0] if later else self._timeline.end_ns
            self._start_paused = False
            self._clock.run()
            self._changed.notify()

    def seek(self, offset_s: float) -> None:
        """Jumps to seconds after the timeline's first message. Raises ConfigError outside the timeline."""
        stamp = self._offset_to_stamp(offset_s)
        with self._changed:
            self._jump_ns = stamp
            self._clock.jump(stamp)
            self._changed.notify()

    def set_rate(self, rate: float) -> None:
        """Changes the rate. Raises ConfigError outside 0.01 to 100."""
        with self._changed:
            self._clock.set_rate(rate)
            self._changed.notify()

    def _offset_to_stamp(self, offset_s: float) -> int:
        duration_s = (self._timeline.end_ns - self._timeline.start_ns) * 1e-9
        if not 0 <= offset_s <= duration_s:
            raise ConfigError(
                f"the start offset must be 0 to {duration_s:.3f} s, this recording's length; got {offset_s:g}"
            )
        return self._timeline.start_ns + round(offset_s * 1e9)

    def _run(self) -> None:
        executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="reader")
        try:
            with self._changed:
                if not self._start_paused:
                    self._clock.run()
            while not self._stopping:
                if self._play_from(self._take_start(), executor):
                    self._finish_round()
        except AlnP3Error as error:
            self._on_error(error)
        except Exception as error:
            # Whatever else goes wrong in this thread must end the replay too, instead of leaving it silent.
            _LOG.exception("the replay failed")
            self._on_error(DataError(f"the replay failed: {type(error).__name__}: {error}"))
        finally:
            executor.shutdown(cancel_futures=True)

    def _take_start(self) -> int:
        with self._changed:
            start = self._start_ns if self._jump_ns is None else self._jump_ns
            self._jump_ns = self._published_ns = None
            self._ended = False
            self._clock.jump(start)
            return start

    def _play_from(self, start_ns: int, executor: ThreadPoolExecutor) -> bool:
        """Plays until the end (True), or until a jump or stop (False)."""
        for message, content in prefetched(self._timeline.messages(start_ns), executor, _PREFETCH):
            stamp = max(message.stamp_ns, start_ns)  # a latched message may be older than the start
            if message.topic in self._latched and message.stamp_ns <= start_ns:
                if self._interrupted():
                    return False
            else:
                self._stop_before(stamp)
                if not self._wait_for(stamp):
                    return False
                if stamp != self._published_ns:
                    self._outlet.publish_clock(stamp)
                self._published_ns = stamp
            self._outlet.publish(message.topic, content.result())
        self._stop_before(None)
        return True

    def _stop_before(self, stamp_ns: int | None) -> None:
        """Pauses a step that has published everything up to its end; `stamp_ns` is of the next message."""
        with self._changed:
            published = self._published_ns
            if self._stop_at_ns is None or published is None or self._jump_ns is not None:
                return
            if published >= self._stop_at_ns and stamp_ns != published:
                self._clock.pause()
                self._clock.jump(published)
                self._stop_at_ns = None

    def _interrupted(self) -> bool:
        return self._stopping or self._jump_ns is not None

    def _wait_for(self, stamp_ns: int) -> bool:
        """Waits until recorded time runs and reaches the stamp, publishing it meanwhile; False on a jump or stop."""
        while True:
            with self._changed:
                remaining = self._clock.seconds_until(stamp_ns)
                if self._interrupted():
                    return False
                if self._clock.running and remaining == 0.0:
                    return True
                self._changed.wait(min(remaining or self._clock_interval_s, self._clock_interval_s))
                if self._interrupted():
                    return False
                now = min(self._clock.now_ns(), stamp_ns)
            self._outlet.publish_clock(now)

    def _finish_round(self) -> None:
        if self._loop and self._clock.running:
            self._wait_for(self._timeline.end_ns + self._loop_gap_ns)
            return
        with self._changed:
            self._clock.pause()
            self._clock.jump(self._timeline.end_ns)
            self._ended = True
        if not self._loop:
            self._on_end()
        while True:
            with self._changed:
                if not self._interrupted():
                    self._changed.wait(self._clock_interval_s)
                if self._interrupted():
                    return
            self._outlet.publish_clock(self._timeline.end_ns)
