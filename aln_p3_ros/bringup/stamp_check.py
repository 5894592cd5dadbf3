"""Whether plans bear the stamp of an image: judged as far as a recording of both lets it be judged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

#: Two recorded images of a camera that are further apart than so many of its periods have a lost one between them.
_GAP_PERIODS = 1.5
#: So many of the distances between recorded images are a camera's period or less, however many images were lost. Not
#: the smallest distance alone: cameras are not quite regular.
_SHARE = 0.1
#: No camera that is driven by sends less than an image a second: its period where the recording does not tell it.
_SLOWEST_NS = 1e9
#: So long after the first plan a recorder hears every camera.
_LATE_NS = 60e9


@dataclass(frozen=True)
class StampCheck:
    """What the stamps of plans show.

    Attributes:
        kept: plans whose stamp is that of a recorded image.
        judged: plans that can be told: those that are kept, and those that bear the stamp of no image although the
            recording has all images of that time.
    """

    kept: int
    judged: int


def check_stamps(plans_ns: Sequence[int], images_ns: Sequence[Collection[int]]) -> StampCheck:
    """Compares the stamps of plans with those of images.

    Images travel best-effort: a recorder begins to hear one camera before another, and loses images on a busy machine.
    A plan whose image may be one that a camera sent and the recorder does not have says nothing.

    Args:
        plans_ns: stamps of the network's plans.
        images_ns: stamps of the recorded images, by camera, in any order. The cameras have one rate.
    """
    known = {stamp for stamps in images_ns for stamp in stamps}
    cameras = [sorted(set(stamps)) for stamps in images_ns if stamps]
    kept = sum(stamp in known for stamp in plans_ns)
    longest_ns = _GAP_PERIODS * _period_ns(cameras)
    lost = sum(
        stamp not in known and any(_may_lack(camera, stamp, longest_ns) for camera in cameras) for stamp in plans_ns
    )
    return StampCheck(kept, len(plans_ns) - lost)


def _period_ns(cameras: Sequence[Sequence[int]]) -> float:
    """Time between two images that a camera sends, of stamps that are sorted."""
    gaps = [gap for stamps in cameras for gap in np.diff(stamps)]
    return float(np.quantile(gaps, _SHARE, method="lower")) if gaps else _SLOWEST_NS


def _may_lack(stamps: Sequence[int], stamp_ns: int, longest_ns: float) -> bool:
    """Whether a camera may have sent an image of this time that is not among its recorded ones (sorted)."""
    later = bisect_left(stamps, stamp_ns)
    if later == 0:
        return stamps[0] - stamp_ns <= _LATE_NS
    if later == len(stamps):
        return stamp_ns - stamps[-1] <= longest_ns
    return stamps[later] - stamps[later - 1] > longest_ns
