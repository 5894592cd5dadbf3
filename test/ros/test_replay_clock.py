"""The clock of a replay."""

from __future__ import annotations

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_ros.replay.clock import ReplayClock

S = 1_000_000_000


class Steady:
    now = 5 * S

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def steady() -> Steady:
    return Steady()


def test_it_stands_until_it_runs(steady):
    clock = ReplayClock(100 * S, steady_ns=steady)
    steady.now += 3 * S
    assert clock.now_ns() == 100 * S
    assert clock.seconds_until(101 * S) is None
    clock.run()
    steady.now += 3 * S
    assert clock.now_ns() == 103 * S


def test_the_rate_scales_time_and_can_change_on_the_way(steady):
    clock = ReplayClock(0, rate=2.0, steady_ns=steady)
    clock.run()
    steady.now += S
    assert clock.now_ns() == 2 * S
    assert clock.seconds_until(4 * S) == pytest.approx(1.0)
    clock.set_rate(0.5)
    assert clock.now_ns() == 2 * S
    steady.now += S
    assert clock.now_ns() == 2 * S + S // 2


def test_it_stands_while_paused_and_goes_on_from_there(steady):
    clock = ReplayClock(0, steady_ns=steady)
    clock.run()
    steady.now += S
    clock.pause()
    steady.now += 7 * S
    assert clock.now_ns() == S
    clock.run()
    steady.now += S
    assert clock.now_ns() == 2 * S


def test_a_jump_moves_time_either_way(steady):
    clock = ReplayClock(10 * S, steady_ns=steady)
    clock.run()
    clock.jump(3 * S)
    steady.now += S
    assert clock.now_ns() == 4 * S
    assert clock.seconds_until(2 * S) == 0.0


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e6, float("nan")])
def test_impossible_rates_are_refused(steady, rate):
    with pytest.raises(ConfigError, match="rate"):
        ReplayClock(0, rate=rate, steady_ns=steady)
    clock = ReplayClock(0, steady_ns=steady)
    with pytest.raises(ConfigError, match="rate"):
        clock.set_rate(rate)
