"""Matching of camera images: what belongs together, and which camera has which fault."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aln_p3_ros.driving.camera_set import CameraFault, CameraSet, FaultKind, StampedImage
from aln_p3_ros.driving.camera_sync import CameraSync

MS = 1_000_000
CAMERAS = ("front", "left", "right")
# Exposure of each camera after the first one, as a rig that follows a turning LiDAR.
OFFSETS = {"front": 0, "left": 20, "right": 40}


def drive(
    sync: CameraSync, start_ms: int, count: int, period_ms: int = 80, skip=lambda camera, index: False, same=()
) -> list[CameraSet]:
    """Sends `count` rounds of images, each arriving 5 ms after exposure, and polls every 20 ms."""
    events = []
    for index in range(count):
        for camera, offset in OFFSETS.items():
            stamp = start_ms + index * period_ms + offset
            if not skip(camera, index):
                events.append((stamp + 5, camera, stamp, index))
    end = start_ms + count * period_ms + 200
    events += [(time, "", 0, 0) for time in range(start_ms, end, 20)]
    sets = []
    for now, camera, stamp, index in sorted(events, key=lambda event: event[0]):
        if camera:
            content = 7 if camera in same else hash((camera, index, start_ms))
            result = sync.add(StampedImage(camera, stamp * MS, fingerprint=content), now * MS)
        else:
            result = sync.poll(now * MS)
        if result is not None:
            sets.append(result)
    return sets


def make_sync(**kwargs) -> CameraSync:
    return CameraSync(CAMERAS, **{"max_skew_ns": 60 * MS, **kwargs})


def test_complete_sets_hold_the_images_of_one_round() -> None:
    sync = make_sync()
    sets = drive(sync, 1000, 10)
    assert len(sets) == 10
    for index, camera_set in enumerate(sets):
        stamps = {name: image.stamp_ns // MS for name, image in camera_set.images.items()}
        assert stamps == {name: 1000 + 80 * index + offset for name, offset in OFFSETS.items()}
        assert not camera_set.faults
        assert camera_set.newest_stamp_ns == (1000 + 80 * index + 40) * MS
    assert all(state.fault is None for state in list(sync.states.values())[:1])


def test_one_lost_image_is_missing_in_its_set_only() -> None:
    sets = drive(make_sync(), 1000, 6, skip=lambda camera, index: camera == "left" and index == 2)
    assert [sorted(s.faults) for s in sets] == [[], [], ["left"], [], [], []]
    assert sets[2].faults["left"].kind is FaultKind.MISSING
    assert "older" in sets[2].faults["left"].text


def test_one_lost_image_of_the_anchor_costs_no_set() -> None:
    sync = make_sync(set_timeout_ns=50 * MS)
    sets = drive(sync, 1000, 6, skip=lambda camera, index: camera == "front" and index == 2)
    assert [(s.anchor, sorted(s.faults)) for s in sets] == [
        ("left", ["front"]) if index == 2 else ("front", []) for index in range(6)
    ]


def test_silent_camera_is_named_and_no_longer_waited_for() -> None:
    sync = make_sync()
    sets = drive(sync, 1000, 20, skip=lambda camera, index: camera == "right" and index >= 3)
    assert len(sets) == 20
    assert sets[-1].faults["right"].kind is FaultKind.SILENT
    assert "no new image for" in sets[-1].faults["right"].text
    # While it was believed alive its sets waited for it; afterwards they go out with the last camera.
    assert set(sets[-1].images) == {"front", "left"}


def test_camera_that_never_came() -> None:
    sets = drive(make_sync(), 1000, 20, skip=lambda camera, index: camera == "left")
    assert sets[-1].faults["left"].kind is FaultKind.SILENT
    assert "since the start" in sets[-1].faults["left"].text


def test_silent_anchor_is_replaced_and_comes_back() -> None:
    sync = make_sync()
    sets = drive(sync, 1000, 30, skip=lambda camera, index: camera == "front" and 5 <= index < 20)
    anchors = [camera_set.anchor for camera_set in sets]
    assert anchors[0] == "front" and "left" in anchors and anchors[-1] == "front"
    stand_in = [camera_set for camera_set in sets if camera_set.anchor == "left"][-1]
    assert stand_in.faults["front"].kind is FaultKind.SILENT
    assert not sets[-1].faults


def test_silence_of_all_is_found_by_polling() -> None:
    sync = make_sync()
    drive(sync, 1000, 3)
    assert sync.poll(3000 * MS) is None
    assert {state.fault.kind for state in sync.states.values() if state.fault} == {FaultKind.SILENT}
    assert all(state.fault for state in sync.states.values())


def test_equal_pictures_while_moving_are_frozen() -> None:
    sync = make_sync(frozen_after=3)
    sets = drive(sync, 1000, 8, same=("left",))
    assert [sorted(s.faults) for s in sets] == [[], []] + [["left"]] * 6
    assert sets[-1].faults["left"].kind is FaultKind.FROZEN
    assert "same picture" in sets[-1].faults["left"].text


def test_equal_pictures_of_a_standing_vehicle_are_not_frozen() -> None:
    sync = make_sync(frozen_after=3)
    sync.moving = False
    assert not any(camera_set.faults for camera_set in drive(sync, 1000, 8, same=CAMERAS))


def test_repeated_stamp_is_frozen_after_the_time_out() -> None:
    sync = make_sync()
    drive(sync, 1000, 3)
    for now in range(1200, 2000, 20):
        sync.add(StampedImage("left", 1180 * MS), now * MS)
        sync.poll(now * MS)
    assert sync.states["left"].fault is not None
    assert sync.states["left"].fault.kind is FaultKind.FROZEN
    assert sync.states["left"].repeated == 40


def test_rejected_images_make_a_fault_until_a_good_one_comes() -> None:
    sync = make_sync()
    drive(sync, 1000, 2)
    sync.reject("left", CameraFault(FaultKind.CORRUPT, "no JPEG"), 1165 * MS)
    first = drive(sync, 1160, 1, skip=lambda camera, index: camera == "left")
    assert first[0].faults["left"].kind is FaultKind.CORRUPT
    assert not drive(sync, 1240, 1)[0].faults


def test_images_after_their_set_are_late() -> None:
    sync = make_sync(set_timeout_ns=30 * MS)
    sets = []
    for index in range(6):
        start = 1000 + 80 * index
        for now, camera, stamp in (
            (start + 5, "front", start),
            (start + 6, "left", start + 1),
            (start + 70, "right", start + 2),
        ):
            sets.append(sync.add(StampedImage(camera, stamp * MS), now * MS))
            sets.append(sync.poll((now + 5) * MS))
            if now == start + 6:
                sets.append(sync.poll((start + 40) * MS))
    done = [camera_set for camera_set in sets if camera_set is not None]
    assert done[-1].faults["right"].kind is FaultKind.LATE
    assert set(done[-1].images) == {"front", "left"}


def test_image_too_old_on_arrival_is_late() -> None:
    sync = make_sync(max_age_ns=1000 * MS)
    sync.add(StampedImage("front", 0), 10**18)
    sync.poll(10**18)
    assert sync.states["front"].fault is not None
    assert sync.states["front"].fault.kind is FaultKind.LATE
    assert "use_sim_time" in sync.states["front"].fault.text


@pytest.mark.parametrize(("ahead_ms", "used"), [(400, True), (600, False), (3_600_000, False)])
def test_an_image_of_the_future_is_not_used(ahead_ms: int, used: bool) -> None:
    sync = make_sync()
    drive(sync, 1000, 3)
    sync.add(StampedImage("left", (1240 + ahead_ms) * MS), 1240 * MS)
    sync.poll(1240 * MS)
    fault = sync.states["left"].fault
    assert (fault is None) == used
    if fault is not None:
        assert fault.kind is FaultKind.AHEAD and fault.kind.severity == 2
        assert f"{ahead_ms * 1e-3:.3g} s in the future (limit 0.5 s)" in fault.text
    # The next good image makes up for it.
    assert "left" in drive(sync, 1400 + ahead_ms, 1)[0].images


def test_before_a_simulated_clock_has_begun_no_image_lies_in_the_future() -> None:
    sync = make_sync()
    sync.poll(0)
    sets = [sync.add(StampedImage(camera, (5000 + offset) * MS), 0) for camera, offset in OFFSETS.items()]
    assert sets[-1] is not None and not sets[-1].faults
    sync.poll(5100 * MS)
    sync.clear()
    sync.poll(5200 * MS)
    assert "since the start" not in str(sync.states["left"].fault), "it began with the clock"


def test_stamps_that_go_back_start_anew() -> None:
    sync = make_sync()
    drive(sync, 100_000, 5)
    assert sync.take_cleared() == ""
    events = drive(sync, 101_000, 1)
    assert events
    for index in range(5):
        for camera, offset in OFFSETS.items():
            result = sync.add(
                StampedImage(camera, (5000 + 80 * index + offset) * MS), (101_300 + 80 * index + offset) * MS
            )
    assert result is not None and not result.faults
    assert "went back" in sync.take_cleared()
    assert sync.take_cleared() == ""


def test_clock_that_goes_back_clears() -> None:
    sync = make_sync()
    drive(sync, 100_000, 5)
    sets = drive(sync, 1000, 5)
    assert "clock" in sync.take_cleared()
    assert len(sets) == 5 and not sets[-1].faults


def test_lone_camera_with_a_wrong_clock_does_not_disturb_the_others() -> None:
    sync = make_sync()
    sets = []
    for index in range(10):
        base = 50_000 + 80 * index
        sync.add(StampedImage("left", (100 + 80 * index) * MS), (base + 1) * MS)
        sync.add(StampedImage("right", base * MS), (base + 2) * MS)
        sets.append(sync.add(StampedImage("front", base * MS), (base + 3) * MS))
        sets.append(sync.poll((base + 70) * MS))
    done = [camera_set for camera_set in sets if camera_set]
    assert sync.take_cleared() == ""
    assert len(done) >= 9 and all(set(s.images) == {"front", "right"} for s in done)
    assert "older" in done[-1].faults["left"].text


@pytest.mark.parametrize("ahead_ms", [200, 500, 3000])
@pytest.mark.parametrize("period_ms", [100, 500])
def test_a_camera_whose_clock_is_ahead_is_lost_alone(ahead_ms: int, period_ms: int) -> None:
    sync = make_sync()
    sets = []
    for index in range(60):
        base = 1000 + period_ms * index
        for name in ("front", "right"):
            sets.append(sync.add(StampedImage(name, base * MS), (base + 5) * MS))
        sets.append(sync.add(StampedImage("left", (base + ahead_ms) * MS), (base + 6) * MS))
        sets += [sync.poll((base + wait) * MS) for wait in range(20, period_ms, 20)]
    done = [camera_set for camera_set in sets if camera_set]
    with_front = [camera_set for camera_set in done if "front" in camera_set.images]
    assert len(with_front) >= 58
    assert len(done) - len(with_front) <= 2


def test_a_camera_that_looks_between_the_anchors_images_opens_no_set() -> None:
    """At a low rate its image waits long for the anchor's next one, which is not lost."""
    sync = make_sync(set_timeout_ns=100 * MS, camera_timeout_ns=1500 * MS)
    sets = []
    for index in range(20):
        base = 1000 + 500 * index
        sets.append(sync.add(StampedImage("front", base * MS), (base + 5) * MS))
        sets.append(sync.add(StampedImage("right", (base + 10) * MS), (base + 15) * MS))
        for wait in range(20, 500, 20):
            sets.append(sync.poll((base + wait) * MS))
            if wait == 200:
                sets.append(sync.add(StampedImage("left", (base + 200) * MS), (base + 205) * MS))
    done = [camera_set for camera_set in sets if camera_set][3:]
    assert len(done) >= 16 and all("front" in camera_set.images for camera_set in done)


def test_unknown_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the rig"):
        CameraSync(CAMERAS, "roof")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from((*CAMERAS, "poll", "reject")),
        st.integers(0, 120),  # milliseconds until the event
        st.integers(-300, 50),  # stamp relative to the arrival
        st.integers(0, 3),  # content
    ),
    max_size=120,
)


@settings(deadline=None, max_examples=500)
@given(EVENTS)
def test_properties_of_any_sequence(events) -> None:
    sync = make_sync(frozen_after=4, max_age_ns=250 * MS)
    now, last = 10_000 * MS, None
    for name, wait, offset, content in events:
        now += wait * MS
        if name == "poll":
            result = sync.poll(now)
        elif name == "reject":
            result = sync.reject("left", CameraFault(FaultKind.CORRUPT, "bad"), now)
        else:
            result = sync.add(StampedImage(name, now + offset * MS, fingerprint=content), now)
        assert all(len(state.buffer) <= 8 for state in sync.states.values())
        if result is None:
            continue
        # Every camera is accounted for, once.
        assert set(result.images) | set(result.faults) == set(CAMERAS)
        assert not set(result.images) & set(result.faults)
        assert result.images[result.anchor].stamp_ns == result.anchor_stamp_ns
        for image in result.images.values():
            assert abs(image.stamp_ns - result.anchor_stamp_ns) <= 60 * MS
        # Without a jump the sets move forward and no image is used twice.
        if last is not None and not sync.take_cleared():
            assert result.anchor_stamp_ns > last.anchor_stamp_ns
            for camera, image in result.images.items():
                if camera in last.images:
                    assert image.stamp_ns > last.images[camera].stamp_ns
        last = result
