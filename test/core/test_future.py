"""Which instants the planner's future steps are."""

from __future__ import annotations

from aln_p3_core.datasets.future import FutureStep, future_steps

SECOND = 1_000_000_000


def test_at_two_hertz_the_steps_are_the_key_frames_themselves() -> None:
    stamps = [0, 500, 950, 1500, 2100, 2600, 3000, 3500]  # nuScenes' key frames are not exactly 0.5 s apart
    steps = future_steps([s * SECOND // 1000 for s in stamps], 0)
    assert steps == [FutureStep(i, i, 0.0) for i in range(1, 7)]
    assert future_steps([s * SECOND // 1000 for s in stamps], 5) == [
        FutureStep(6, 6, 0.0),
        FutureStep(7, 7, 0.0),
        *[None] * 4,
    ]


def test_at_other_rates_they_lie_every_half_second() -> None:
    stamps = [i * SECOND // 10 for i in range(32)]
    steps = future_steps(stamps, 1)
    assert [round(s.before + s.fraction, 6) for s in steps if s is not None] == [6, 11, 16, 21, 26, 31]
    assert future_steps(stamps, 2)[-1] is None


def test_a_long_gap_is_not_bridged() -> None:
    stamps = [i * SECOND // 10 for i in range(8)] + [2 * SECOND + i * SECOND // 10 for i in range(20)]
    known = [step is not None for step in future_steps(stamps, 0)]
    assert known == [True, False, False, True, True, True]


def test_a_lone_frame_has_no_future() -> None:
    assert future_steps([5 * SECOND], 0) == [None] * 6
