"""The player: what leaves it, in which order, and how it obeys."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from replay_helpers import wait_until

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_ros.bags.qos import offered_qos
from aln_p3_ros.replay.player import Player
from aln_p3_ros.replay.timeline import TimedMessage, TimelineTopic
from aln_p3_ros.topics import Quality

START, MS = 1_000_000_000_000, 1_000_000


class Ticks:
    """Ten key frames, 20 ms apart, of two messages each; one latched message at the start."""

    topics = (
        TimelineTopic("/static", "std_msgs/msg/String", (offered_qos(Quality.LATCHED),)),
        TimelineTopic("/a", "std_msgs/msg/String", (offered_qos(Quality.STATE),)),
        TimelineTopic("/b", "std_msgs/msg/String", (offered_qos(Quality.STATE),)),
    )
    start_ns = START
    steps_ns = tuple(START + i * 20 * MS for i in range(10))
    end_ns = steps_ns[-1]
    image_topics = ("/a",)
    broken_at: int | None = None

    def messages(self, start_ns: int | None = None) -> Iterator[TimedMessage]:
        yield TimedMessage(START, "/static", lambda: b"static")
        for index, stamp in enumerate(self.steps_ns):
            if start_ns is None or stamp >= start_ns:
                yield TimedMessage(stamp, "/a", lambda index=index: self._content(index))
                yield TimedMessage(stamp, "/b", lambda index=index: self._content(index))

    def _content(self, index: int) -> bytes:
        if index == self.broken_at:
            raise DataError("no such file: 5.jpg")
        return b"%d" % index


class Outlet:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.clock: list[int] = []

    def publish(self, topic: str, cdr: bytes | memoryview) -> None:
        self.sent.append((topic, bytes(cdr)))

    def publish_clock(self, stamp_ns: int) -> None:
        self.clock.append(stamp_ns)

    def frames(self) -> list[int]:
        return [int(data) for topic, data in self.sent if topic == "/b"]


@pytest.fixture
def outlet() -> Outlet:
    return Outlet()


@pytest.fixture
def play(outlet):
    players: list[Player] = []

    def start(timeline=None, **kwargs) -> Player:
        player = Player(timeline or Ticks(), outlet, **kwargs)
        players.append(player)
        player.start()
        return player

    yield start
    for player in players:
        player.stop()


ALL = [("/static", b"static")] + [(topic, b"%d" % i) for i in range(10) for topic in ("/a", "/b")]


@pytest.mark.parametrize("rate", [1.0, 100.0])
def test_everything_leaves_once_in_order_whatever_the_rate(play, outlet, rate):
    ended = threading.Event()
    play(rate=rate, on_end=ended.set)
    assert ended.wait(60)
    assert outlet.sent == ALL


def test_the_clock_never_steps_back_and_meets_every_stamp(play, outlet):
    ended = threading.Event()
    play(on_end=ended.set)
    assert ended.wait(60)
    times = outlet.clock
    assert times == sorted(times)
    assert set(Ticks.steps_ns) <= set(times)


def test_a_start_offset_skips_all_but_what_is_latched(play, outlet):
    ended = threading.Event()
    play(start_offset_s=0.1, on_end=ended.set)
    assert ended.wait(60)
    assert outlet.sent[0] == ("/static", b"static")
    assert outlet.frames() == [5, 6, 7, 8, 9]


def test_paused_it_publishes_the_latched_and_the_standing_clock_only(play, outlet):
    play(paused=True)
    wait_until(lambda: len(outlet.clock) > 5, "a clock while paused")
    assert outlet.sent == [("/static", b"static")]
    assert set(outlet.clock) == {START}


def test_a_pause_before_the_start_holds(outlet):
    player = Player(Ticks(), outlet)
    player.pause()
    player.start()
    try:
        wait_until(lambda: len(outlet.clock) > 5, "a clock while paused")
        assert outlet.sent == [("/static", b"static")]
        player.resume()
        wait_until(lambda: outlet.sent == ALL, "everything")
    finally:
        player.stop()


def test_steps_publish_one_key_frame_each(play, outlet):
    player = play(paused=True)
    for expected in range(3):
        player.step()
        wait_until(lambda: not player.playing, "the end of the step")
        assert outlet.frames() == list(range(expected + 1))
        assert player.position_s == pytest.approx(expected * 0.02)


def test_it_goes_on_after_pause_and_resume(play, outlet):
    ended = threading.Event()
    player = play(paused=True, on_end=ended.set)
    player.step()
    wait_until(lambda: not player.playing, "the end of the step")
    player.resume()
    assert ended.wait(60)
    assert outlet.sent == ALL


def test_seek_moves_and_stays_paused(play, outlet):
    player = play(paused=True)
    player.seek(0.16)
    player.step()
    wait_until(lambda: outlet.frames() == [8], "the frame after seeking forward")
    wait_until(lambda: not player.playing, "the end of the step")
    player.seek(0.04)
    player.step()
    wait_until(lambda: outlet.frames() == [8, 2], "the frame after seeking back")


def test_a_loop_starts_over_with_the_same_stamps(play, outlet):
    player = play(loop=True, loop_gap_s=0.01, rate=10.0)
    wait_until(lambda: len(outlet.frames()) >= 25, "two and a half rounds")
    player.stop()
    frames = outlet.frames()
    assert frames == [i % 10 for i in range(len(frames))]
    back = [b for a, b in zip(outlet.clock, outlet.clock[1:], strict=False) if b < a]
    assert set(back) == {START}


def test_at_the_end_resume_plays_again(play, outlet):
    rounds = []
    player = play(rate=10.0, on_end=lambda: rounds.append(1))
    wait_until(lambda: len(rounds) == 1, "the first end")
    player.resume()
    wait_until(lambda: len(rounds) == 2, "the second end")
    assert outlet.frames() == [*range(10), *range(10)]


def test_an_unreadable_message_ends_it_and_is_told(play, outlet):
    timeline = Ticks()
    timeline.broken_at = 5
    errors = []
    play(timeline, rate=10.0, on_error=errors.append)
    wait_until(lambda: bool(errors), "the error")
    assert "5.jpg" in str(errors[0])
    assert outlet.frames() == [0, 1, 2, 3, 4]


def test_places_outside_of_the_recording_are_refused(play, outlet):
    with pytest.raises(ConfigError, match="offset"):
        Player(Ticks(), outlet, start_offset_s=1.0)
    player = play(paused=True)
    with pytest.raises(ConfigError, match="offset"):
        player.seek(-0.1)
