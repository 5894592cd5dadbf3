"""Which images belong together, and what is wrong with the cameras. Pure Python, no ROS.

One camera is the anchor: each of its images opens a set, and of every other camera the image nearest in time
joins it, within a maximum skew. A set is handed out as soon as all cameras that are alive are in it, when it
has waited long enough, or when the anchor's next image is there: the latest wins, nothing queues. Cameras that
are not in the set are named with a reason. When the anchor is silent, the next camera that is alive takes over; when
only one of its images is lost, another camera's image opens the set after the same wait.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from aln_p3_ros.driving.camera_set import CameraFault, CameraSet, CameraState, FaultKind, StampedImage


class CameraSync:
    """Matches images of several cameras. Times are nanoseconds; `now_ns` is the node's clock.

    Args:
        cameras: the rig, in order.
        anchor: the camera that opens sets; the first when empty.
        max_skew_ns: largest distance of an image's stamp from the anchor's.
        set_timeout_ns: how long a set waits for cameras that are alive.
        camera_timeout_ns: after this time without a new image a camera is silent and no longer waited for.
        frozen_after: so many equal images in a row make a camera frozen; 0 turns the check off.
        max_age_ns: an image older than this on arrival is late; 0 turns the check off.
        jump_ns: an anchor stamp that steps back further than this clears everything, and an image whose stamp lies
            further ahead of the clock is not used.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        anchor: str = "",
        *,
        max_skew_ns: int = 60_000_000,
        set_timeout_ns: int = 100_000_000,
        camera_timeout_ns: int = 500_000_000,
        frozen_after: int = 3,
        max_age_ns: int = 0,
        jump_ns: int = 500_000_000,
    ) -> None:
        self.cameras = tuple(cameras)
        self.anchor = anchor or self.cameras[0]
        if self.anchor not in self.cameras:
            raise ValueError(f"the anchor camera {anchor!r} is not in the rig {list(cameras)}")
        self.max_skew_ns = max_skew_ns
        self.set_timeout_ns = set_timeout_ns
        self.camera_timeout_ns = camera_timeout_ns
        self.frozen_after = frozen_after
        self.max_age_ns = max_age_ns
        self.jump_ns = jump_ns
        self.states = {name: CameraState() for name in self.cameras}
        #: Whether the vehicle moves: equal images of a standing vehicle prove nothing.
        self.moving = True
        self._started_ns: int | None = None
        self._pending: tuple[StampedImage, int] | None = None
        self._last_anchor_stamp_ns: int | None = None
        self._now_ns: int | None = None
        self._cleared = ""

    def add(self, image: StampedImage, now_ns: int) -> CameraSet | None:
        """Takes an image; returns a set when one became complete, or had to make way for a newer one."""
        self.tick(now_ns)
        if not any(self._alive(name, now_ns) for name in self.cameras):
            # After a pause of the whole rig it is like a start: every camera gets its time to come back.
            self._started_ns = now_ns
            for state in self.states.values():
                state.arrived_ns = None
        if not self._accept(self.states[image.camera], image, now_ns):
            return None
        finished = None
        if image.camera == self._acting_anchor(now_ns) and image.stamp_ns > self._newest_anchor_stamp_ns():
            if self._pending is not None:
                # The image that opens the next set must not be used up by this one.
                finished = self._emit(now_ns, reserved=image)
            self._pending = (image, now_ns)
        completed = self._emit(now_ns) if self._complete(now_ns) else None
        return completed or finished

    def reject(self, camera: str, fault: CameraFault, now_ns: int) -> None:
        """Notes an image that could not be used (corrupt, wrong size); the camera is alive all the same."""
        self.tick(now_ns)
        state = self.states[camera]
        state.received += 1
        state.arrived_ns = now_ns
        state.rejected = fault

    def poll(self, now_ns: int) -> CameraSet | None:
        """To be called regularly: returns a set that has waited long enough, and finds silent cameras."""
        self.tick(now_ns)
        for name, state in self.states.items():
            state.fault = self._standing_fault(name, now_ns) or state.fault
        if self._pending is None:
            self._pending = self._stand_in(now_ns)
        if self._pending is None:
            return None
        waited = now_ns - self._pending[1]
        return self._emit(now_ns) if waited >= self.set_timeout_ns or self._complete(now_ns) else None

    def clear(self) -> None:
        """Forgets all images and arrivals; counters stay."""
        for state in self.states.values():
            state.buffer.clear()
            state.arrived_ns = state.stamp_ns = state.fingerprint = state.rejected = state.fault = None
            state.same_content = state.same_stamp = 0
            state.in_last_set, state.came_late = True, False
        self._pending = self._last_anchor_stamp_ns = None
        self._started_ns = self._now_ns

    def take_cleared(self) -> str:
        """Why images were forgotten since the last call, or ""."""
        reason, self._cleared = self._cleared, ""
        return reason

    def tick(self, now_ns: int) -> None:
        """Takes note of the time; one that went back clears everything."""
        if self._now_ns is not None and now_ns < self._now_ns - self.jump_ns:
            self._now_ns = now_ns
            self.clear()
            self._cleared = "the node's clock went back"
        self._now_ns = now_ns
        # 0 is a simulated clock that has not begun.
        if not self._started_ns:
            self._started_ns = now_ns

    def _accept(self, state: CameraState, image: StampedImage, now_ns: int) -> bool:
        state.received += 1
        if state.stamp_ns is not None and image.stamp_ns <= state.stamp_ns:
            back_ns = state.stamp_ns - image.stamp_ns
            if back_ns == 0:
                state.same_stamp += 1
                state.repeated += 1
                return False
            if back_ns <= self.jump_ns:
                state.late += 1
                return False
            self._step_back(image)
        if now_ns and image.stamp_ns - now_ns > self.jump_ns:
            ahead = (image.stamp_ns - now_ns) * 1e-9
            state.rejected = CameraFault(
                FaultKind.AHEAD,
                f"its image is stamped {ahead:.3g} s in the future (limit {self.jump_ns * 1e-9:g} s); "
                "are its clock and the node's the same?",
            )
            state.arrived_ns = now_ns
            return False
        if self.max_age_ns and now_ns - image.stamp_ns > self.max_age_ns:
            state.late += 1
            age = (now_ns - image.stamp_ns) * 1e-9
            state.rejected = CameraFault(
                FaultKind.LATE,
                f"its image is {age:.3g} s old on arrival (limit {self.max_age_ns * 1e-9:g} s)"
                + ("; does the node lack use_sim_time?" if age > 3600 else ""),
            )
            state.arrived_ns = now_ns
            return False
        if self.moving and image.fingerprint is not None and image.fingerprint == state.fingerprint:
            state.same_content += 1
        else:
            state.same_content = 0
        if state.stamp_ns is not None and image.stamp_ns > state.stamp_ns:
            period = image.stamp_ns - state.stamp_ns
            state.period_ns = period if state.period_ns == 0 else 0.8 * state.period_ns + 0.2 * period
        state.stamp_ns, state.fingerprint, state.arrived_ns = image.stamp_ns, image.fingerprint, now_ns
        state.same_stamp, state.rejected = 0, None
        if self._frozen(state):
            return False
        last = self._last_anchor_stamp_ns
        half_skew_ns = self.max_skew_ns // 2
        state.came_late = (
            last is not None and not state.in_last_set and -self.max_skew_ns <= image.stamp_ns - last <= half_skew_ns
        )
        state.late += state.came_late
        # Too old for any set to come, it only says that the camera lives.
        if last is None or image.stamp_ns >= last - self.max_skew_ns:
            state.buffer.append(dataclasses.replace(image, arrived_ns=now_ns))
        return True

    def _step_back(self, image: StampedImage) -> None:
        """A camera's stamps went back. Only the anchor's time is everybody's time."""
        state = self.states[image.camera]
        state.buffer.clear()
        state.fingerprint = state.stamp_ns = None
        state.same_content = state.same_stamp = 0
        anchor = self._acting_anchor(self._now_ns or 0)
        if image.camera != anchor:
            return
        self._pending = self._last_anchor_stamp_ns = None
        self._cleared = "the cameras' time went back"
        for name, other in self.states.items():
            # Cameras that stepped back before the anchor did keep their new images.
            if name != image.camera and other.stamp_ns is not None and other.stamp_ns > image.stamp_ns + self.jump_ns:
                other.buffer.clear()
                other.stamp_ns = other.fingerprint = None
                other.same_content = other.same_stamp = 0

    def _frozen(self, state: CameraState) -> bool:
        # n equal images in a row are n - 1 repetitions.
        return bool(self.frozen_after) and state.same_content >= max(1, self.frozen_after - 1)

    def _alive(self, name: str, now_ns: int) -> bool:
        arrived = self.states[name].arrived_ns
        return arrived is not None and now_ns - arrived <= self.camera_timeout_ns

    def _usable(self, name: str, now_ns: int) -> bool:
        state = self.states[name]
        return self._alive(name, now_ns) and state.rejected is None and not self._frozen(state)

    def _acting_anchor(self, now_ns: int) -> str:
        """The anchor, or the first camera that is usable while the anchor is not."""
        if self._waited_for(self.anchor, now_ns):
            return self.anchor
        return next((name for name in self.cameras if self._usable(name, now_ns)), self.anchor)

    def _stand_in(self, now_ns: int) -> tuple[StampedImage, int] | None:
        """An image that has waited in vain for the anchor's: it opens a set itself, so that a lost image of the
        anchor costs no plan at low rates, and its loss costs no pause."""
        earliest_ns = self._newest_anchor_stamp_ns() + self.max_skew_ns
        anchor = self.states[self.anchor]
        if self._usable(self.anchor, now_ns) and anchor.stamp_ns is not None and anchor.period_ns:
            # An image that lies between two of the anchor's proves no loss: the anchor's next one must be due.
            earliest_ns = max(earliest_ns, anchor.stamp_ns + round(anchor.period_ns) - self.max_skew_ns)
        for name in self.cameras:
            for image in self.states[name].buffer:
                waited = now_ns - image.arrived_ns
                # Of a clock that is ahead an image must not outrun the anchor's.
                if earliest_ns < image.stamp_ns <= now_ns and waited >= self.set_timeout_ns:
                    return image, image.arrived_ns
        return None

    def _waited_for(self, name: str, now_ns: int) -> bool:
        """Whether a camera may still deliver: alive and well, or within its first time-out after the start."""
        if self._usable(name, now_ns):
            return True
        never = self.states[name].arrived_ns is None
        return never and self._started_ns is not None and now_ns - self._started_ns <= self.camera_timeout_ns

    def _newest_anchor_stamp_ns(self) -> int:
        stamps = [self._last_anchor_stamp_ns, self._pending[0].stamp_ns if self._pending else None]
        return max((stamp for stamp in stamps if stamp is not None), default=-(2**63))

    def _match(self, name: str, anchor: StampedImage, reserved: StampedImage | None = None) -> StampedImage | None:
        """The image nearest to the anchor's within the skew, unless it belongs to the set before."""

        if name == anchor.camera:
            return anchor

        def distance(image: StampedImage) -> int:
            return abs(image.stamp_ns - anchor.stamp_ns)

        last = self._last_anchor_stamp_ns
        near = [
            image
            for image in self.states[name].buffer
            if (reserved is None or name != reserved.camera or image.stamp_ns < reserved.stamp_ns)
            and distance(image) <= self.max_skew_ns
            and (last is None or distance(image) <= abs(image.stamp_ns - last))
        ]
        return min(near, key=distance) if near else None

    def _complete(self, now_ns: int) -> bool:
        if self._pending is None:
            return False
        anchor = self._pending[0]
        return all(self._match(n, anchor) is not None or not self._waited_for(n, now_ns) for n in self.cameras)

    def _emit(self, now_ns: int, reserved: StampedImage | None = None) -> CameraSet:
        assert self._pending is not None
        anchor, self._pending = self._pending[0], None
        images: dict[str, StampedImage] = {}
        faults: dict[str, CameraFault] = {}
        for name, state in self.states.items():
            standing = self._standing_fault(name, now_ns)
            match = self._match(name, anchor, reserved)
            if match is not None and (standing is None or name == anchor.camera):
                images[name] = match
                state.fault = None
            else:
                faults[name] = state.fault = standing or self._missing(state, anchor)
            state.in_last_set = name in images
            used_until = match.stamp_ns if match is not None else anchor.stamp_ns - self.max_skew_ns
            while state.buffer and state.buffer[0].stamp_ns <= used_until:
                state.buffer.popleft()
        self._last_anchor_stamp_ns = anchor.stamp_ns
        return CameraSet(anchor.camera, anchor.stamp_ns, images, faults)

    def _missing(self, state: CameraState, anchor: StampedImage) -> CameraFault:
        if state.stamp_ns is None:
            return CameraFault(FaultKind.MISSING, "no image has come yet")
        if state.came_late:
            return CameraFault(
                FaultKind.LATE, f"its images come after their set has waited {self.set_timeout_ns * 1e-6:.0f} ms"
            )
        skew_ms = (state.stamp_ns - anchor.stamp_ns) * 1e-6
        return CameraFault(
            FaultKind.MISSING,
            f"its last image is {abs(skew_ms):.0f} ms {'newer' if skew_ms > 0 else 'older'} than the set's "
            f"(limit {self.max_skew_ns * 1e-6:.0f} ms)",
        )

    def _standing_fault(self, name: str, now_ns: int) -> CameraFault | None:
        """A fault that does not depend on the set."""
        state = self.states[name]
        if not self._alive(name, now_ns):
            if state.arrived_ns is None:
                if self._waited_for(name, now_ns):
                    return None
                waited = (now_ns - (self._started_ns or now_ns)) * 1e-9
                return CameraFault(FaultKind.SILENT, f"no image since the start {waited:.1f} s ago")
            quiet = (now_ns - state.arrived_ns) * 1e-9
            if state.same_stamp:
                return CameraFault(FaultKind.FROZEN, f"repeats one stamp for {quiet:.1f} s")
            return CameraFault(FaultKind.SILENT, f"no new image for {quiet:.1f} s")
        if state.rejected is not None:
            return state.rejected
        if self._frozen(state):
            return CameraFault(FaultKind.FROZEN, f"sent the same picture {state.same_content + 1} times in a row")
        return None
