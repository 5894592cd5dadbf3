"""A scene as the driver meets it: one frame after another, at the key frames alone or at the rate of a real drive."""

from __future__ import annotations

from collections.abc import Iterator

from aln_p3_core.datasets.nuscenes import LIDAR, NuScenesDataset
from aln_p3_core.datasets.records import SensorRecord
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.frame import DrivingFrame

#: Frames a second that a scene can be met at. 2: key frames. 10: the sweeps between them too.
RATES_HZ = (2, 10)
# An image older than this at a sweep's instant is lost, as it would be on the road.
_OLDEST_IMAGE_NS = 150_000_000


def drive_frames(dataset: NuScenesDataset, scene_name: str, rate_hz: int = 2) -> Iterator[tuple[DrivingFrame, bool]]:
    """Frames of a scene in time order, and whether each is a key frame. Images are read when a frame is asked for.

    At 10 Hz the instants between two key frames are those of LIDAR_TOP's sweeps, thinned to the rate, and every camera
    shows its newest image by then. Key frames are the same in both.

    Raises:
        ConfigError: for another rate.
        DataError: for a scene without sweeps at 10 Hz.
    """
    if rate_hz not in RATES_HZ:
        raise ConfigError(f"frames come at {' or '.join(map(str, RATES_HZ))} Hz, not at {rate_hz}")
    tokens = dataset.scene_tokens(scene_name)
    if rate_hz == RATES_HZ[0]:
        yield from ((dataset.frame(token), True) for token in tokens)
        return
    records = dataset.sensor_records(scene_name)
    images = [r for r in records if r.modality == "camera"]
    instants = _thinned([r for r in records if r.channel == LIDAR], 1e9 / rate_hz)
    if all(record.is_key_frame for record in instants) or all(image.is_key_frame for image in images):
        raise DataError(
            f"{scene_name} in {dataset.root} has no sweeps of {LIDAR} and the cameras, which {rate_hz} Hz needs; "
            "evaluate at 2 Hz, or record it with sweeps (`aln-p3 world record --sweeps`)"
        )
    newest: dict[str, SensorRecord] = {}
    seen = 0
    for instant in instants:
        while seen < len(images) and images[seen].stamp_ns <= instant.stamp_ns:
            newest[images[seen].channel] = images[seen]
            seen += 1
        if instant.is_key_frame:
            yield dataset.frame(instant.sample_token), True
            continue
        fresh = {c: r for c, r in newest.items() if instant.stamp_ns - r.stamp_ns <= _OLDEST_IMAGE_NS}
        if fresh:
            frame = dataset.frame_of_records(instant.sample_token, fresh, instant.stamp_ns, instant.T_global_ego)
            yield frame, False


def _thinned(records: list[SensorRecord], period_ns: float) -> list[SensorRecord]:
    """All key frames, and of the sweeps those at least 0.7 periods after what is kept and before the next key frame."""
    keys = [record.stamp_ns for record in records if record.is_key_frame]
    kept: list[SensorRecord] = []
    for record in records:
        following = next((stamp for stamp in keys if stamp > record.stamp_ns), None)
        far_from_next = following is None or following - record.stamp_ns >= 0.7 * period_ns
        far_from_last = not kept or record.stamp_ns - kept[-1].stamp_ns >= 0.7 * period_ns
        if record.is_key_frame or (far_from_next and far_from_last):
            kept.append(record)
    return kept
