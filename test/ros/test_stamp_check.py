"""What the stamps of plans prove, and what a recording that lacks images cannot tell."""

from __future__ import annotations

from aln_p3_ros.bringup.stamp_check import StampCheck, check_stamps

FRONT = [1000, 1100, 1200, 1300, 1400, 1500]
BACK = [1040, 1140, 1240, 1340, 1440, 1540]


def test_every_plan_bears_an_images_stamp() -> None:
    assert check_stamps([1140, 1240, 1300], [FRONT, BACK]) == StampCheck(kept=3, judged=3)


def test_stamps_of_another_clock_are_found_out() -> None:
    assert check_stamps([1145, 1245, 99_000], [FRONT, BACK]) == StampCheck(kept=0, judged=3)


def test_an_image_that_the_recorder_lost_is_no_evidence() -> None:
    lost = [stamp for stamp in BACK if stamp != 1240]
    assert check_stamps([1140, 1240, 1445], [FRONT, lost]) == StampCheck(kept=1, judged=2)


def test_what_came_before_a_cameras_first_image_is_no_evidence() -> None:
    assert check_stamps([1040, 1140, 1240], [FRONT, BACK[2:]]) == StampCheck(kept=1, judged=1)


def test_nor_is_the_last_image_of_a_camera() -> None:
    assert check_stamps([1440, 1540], [FRONT, BACK[:-1]]) == StampCheck(kept=1, judged=1)
    assert check_stamps([1700], [FRONT, BACK[:-1]]) == StampCheck(kept=0, judged=1)


def test_most_images_may_be_lost() -> None:
    """Longer gaps are then the most frequent ones, and tell nothing about the camera's period."""
    heard = [1000, 1100, *range(1300, 2400, 200)]
    assert check_stamps([1100, 1200, 1400, 1450], [heard]) == StampCheck(kept=1, judged=1)
    # One that lost hardly any tells the period of all.
    assert check_stamps([1200, 1250], [FRONT, [1000, 1200, 1400]]) == StampCheck(kept=1, judged=1)
    regular = [1000 + 100 * step for step in range(21)]
    assert check_stamps([1250], [[*regular, 3010]]) == StampCheck(kept=0, judged=1), "one odd distance is no period"


def test_one_image_tells_another_clock_and_nothing_else() -> None:
    second = 10**9
    plans = [100 * second, 99 * second, 101 * second, 5000 * second, 3 * second]
    assert check_stamps(plans, [[100 * second]]) == StampCheck(kept=1, judged=3)
    assert check_stamps([5], []) == StampCheck(kept=0, judged=1)


def test_the_order_of_a_clip_that_starts_over_does_not_matter() -> None:
    assert check_stamps([1140], [[*FRONT[3:], *FRONT[:3]], [*BACK, *BACK]]) == StampCheck(kept=1, judged=1)
