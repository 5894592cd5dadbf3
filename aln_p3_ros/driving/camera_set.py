"""What camera matching speaks of: images as they arrived, sets of them, faults. Pure Python, no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_BUFFER = 8


class FaultKind(Enum):
    """What can be wrong with a camera."""

    MISSING = "missing"  # alive, but without an image in this set
    SILENT = "silent"  # no new image for the time-out, or never one
    LATE = "late"  # its image came too old, or after its set was gone
    AHEAD = "ahead"  # its image has a stamp that lies in the future
    FROZEN = "frozen"  # sends the same picture, or the same stamp, again and again
    CORRUPT = "corrupt"  # bytes that are no image
    WRONG_SIZE = "wrong size"  # not the size that its calibration speaks of
    UNCALIBRATED = "uncalibrated"  # no intrinsics or no mounting pose

    @property
    def severity(self) -> int:
        """1: a camera that is there but hiccups; 2: one that cannot be used until somebody acts."""
        return 1 if self in (FaultKind.MISSING, FaultKind.LATE) else 2


@dataclass(frozen=True, slots=True)
class CameraFault:
    """One camera's fault, with a sentence for people."""

    kind: FaultKind
    text: str


@dataclass(frozen=True, slots=True)
class StampedImage:
    """An image as it arrived.

    Attributes:
        camera: its name.
        stamp_ns: time of exposure.
        payload: the message.
        fingerprint: equal for equal content; None when it was not computed.
        arrived_ns: when it came (node's clock); filled in by the matching.
    """

    camera: str
    stamp_ns: int
    payload: Any = None
    fingerprint: int | None = None
    arrived_ns: int = 0


@dataclass(frozen=True, slots=True)
class CameraSet:
    """Images that belong together; every camera of the rig is either in `images` or in `faults`."""

    anchor: str
    anchor_stamp_ns: int
    images: Mapping[str, StampedImage]
    faults: Mapping[str, CameraFault]

    @property
    def newest_stamp_ns(self) -> int:
        """Stamp of the newest image."""
        return max(image.stamp_ns for image in self.images.values())


@dataclass(slots=True)
class CameraState:
    """What is known about one camera; read by diagnostics.

    Attributes:
        arrived_ns: when its last new image came (node's clock), or None.
        stamp_ns: that image's stamp.
        received, late, repeated: counters of images.
        period_ns: smoothed time between stamps, 0 when unknown.
        fault: the fault that it has now, or None.
    """

    arrived_ns: int | None = None
    stamp_ns: int | None = None
    received: int = 0
    late: int = 0
    repeated: int = 0
    period_ns: float = 0.0
    fault: CameraFault | None = None
    same_content: int = 0
    same_stamp: int = 0
    fingerprint: int | None = None
    rejected: CameraFault | None = None
    in_last_set: bool = True
    came_late: bool = False
    buffer: deque[StampedImage] = field(default_factory=lambda: deque(maxlen=_BUFFER))
