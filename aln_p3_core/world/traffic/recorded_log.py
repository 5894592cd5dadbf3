"""`RecordedLog`: a real drive at 10 Hz with its tracks and its vector map, read from one `.npz` file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.ego import WHEELBASE_M, EgoState

#: Key in the file -> its number of dimensions.
_KEYS = {
    "scene_name": 0,
    "scene_token": 0,
    "location": 0,
    "t0_us": 0,
    "t": 1,
    "origin_xy": 1,
    "track_id": 1,
    "track_type": 1,
    "track_category": 1,
    "position": 3,
    "heading": 2,
    "velocity": 3,
    "size": 2,
    "valid": 2,
    "keyframe_t": 1,
    "keyframe_token": 1,
    "map_type": 1,
    "map_kind": 1,
    "map_id": 1,
    "map_offset": 1,
    "map_xy": 2,
}
#: Keys of numbers; of these all must be finite, but for what a track has where it is not.
_NUMBERS = ("t0_us", "t", "origin_xy", "position", "heading", "velocity", "size", "valid", "keyframe_t", "map_offset",
            "map_xy")  # fmt: skip
_FINITE = ("t0_us", "t", "origin_xy", "position", "heading", "size", "keyframe_t", "map_xy")
#: What NumPy raises for files that are cut off, damaged, of another kind (one array, pickled objects), or no files.
_UNREADABLE = (OSError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
#: Below this speed, m/s, the recorded steering angle is not observable and the last one is held.
_STEERING_SPEED = 0.7


@dataclass(frozen=True, eq=False)
class LogFeature:
    """One line or outline of the log's map.

    Attributes:
        kind: "lane", "lane_connector", "road_boundary", "lane_divider" or "road_divider".
        is_polygon: an outline; else a line (lanes and connectors run in driving direction).
        id: of the source; a lane's line and outline share it.
        points: [P, 2] m, log frame.
    """

    kind: str
    is_polygon: bool
    id: str
    points: FloatArray


@dataclass(frozen=True, eq=False)
class RecordedLog:
    """A recorded drive. N tracks (the ego is row 0), T steps of 0.1 s. World frame of the log, m, rad, m/s.

    Attributes:
        name, token, location: of the scene, such as "scene-0061", its nuScenes token, "singapore-onenorth".
        origin_xy: [2] place of the world's origin in the location's own map frame.
        start_us: unix time of step 0, microseconds.
        times: [T] s since step 0.
        ids, types, categories: [N] names; types are VEHICLE, PEDESTRIAN, CYCLIST, TRAFFIC_CONE, TRAFFIC_BARRIER,
            categories are nuScenes'.
        positions: [N, T, 3] box middle; for the ego the middle of its rear axle on the ground.
        headings: [N, T]. velocities: [N, T, 2]. sizes: [N, 3] length, width, height.
        valid: [N, T] whether the track is there.
        keyframe_times: [K] s. keyframe_tokens: [K] sample tokens of the source.
        features: the map.
    """

    name: str
    token: str
    location: str
    origin_xy: FloatArray
    start_us: int
    times: FloatArray
    ids: tuple[str, ...]
    types: tuple[str, ...]
    categories: tuple[str, ...]
    positions: FloatArray
    headings: FloatArray
    velocities: FloatArray
    sizes: FloatArray
    valid: NDArray[np.bool_]
    keyframe_times: FloatArray
    keyframe_tokens: tuple[str, ...]
    features: tuple[LogFeature, ...]

    @classmethod
    def load(cls, path: str | Path) -> RecordedLog:
        """Reads a log file.

        Raises:
            DataError: when the file is missing, is no such log, or contradicts itself.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"no recorded log at {path}; give the .npz file of one scene")
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {key: file[key] for key in _KEYS if key in file.files}
        except _UNREADABLE as error:
            raise DataError(f"{path} is no .npz file that can be read ({error}); give a recorded log") from error
        _check(path, data)
        return cls(
            name=str(data["scene_name"]),
            token=str(data["scene_token"]),
            location=str(data["location"]),
            origin_xy=data["origin_xy"].astype(np.float64),
            start_us=int(data["t0_us"]),
            times=data["t"].astype(np.float64),
            ids=tuple(data["track_id"].tolist()),
            types=tuple(data["track_type"].tolist()),
            categories=tuple(data["track_category"].tolist()),
            positions=data["position"].astype(np.float64),
            headings=data["heading"].astype(np.float64),
            velocities=data["velocity"].astype(np.float64),
            sizes=data["size"].astype(np.float64),
            valid=data["valid"].astype(bool),
            keyframe_times=data["keyframe_t"].astype(np.float64),
            keyframe_tokens=tuple(data["keyframe_token"].tolist()),
            features=_features(data),
        )

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return float(self.times[-1])

    @property
    def ego_path(self) -> FloatArray:
        """[T, 2] rear axle of the human-driven car."""
        return self.positions[0, :, :2]

    def ego_at(self, time_s: float) -> EgoState:
        """What the human driver did: state at an instant, between steps by a cubic spline through the poses.

        Speed, acceleration, yaw rate and steering angle (that of the bicycle model on the same curve) are
        differences of the recorded poses. Before the start and after the end the ego stands where it was.
        """
        motion = self._ego_motion
        inside = float(np.clip(time_s, 0.0, self.duration_s))
        row = int(np.clip(np.searchsorted(self.times, inside, side="right") - 1, 0, len(self.times) - 2))
        span = float(self.times[row + 1] - self.times[row])
        f = (inside - float(self.times[row])) / span
        # Cubic Hermite basis.
        basis = np.array([2 * f**3 - 3 * f**2 + 1, f**3 - 2 * f**2 + f, -2 * f**3 + 3 * f**2, f**3 - f**2])

        def spline(column: int) -> float:
            value, slope = motion[:, column], motion[:, column + 3]
            return float(basis @ [value[row], span * slope[row], value[row + 1], span * slope[row + 1]])

        def mixed(column: int) -> float:
            return float((1 - f) * motion[row, column] + f * motion[row + 1, column])

        moves = 0.0 <= time_s <= self.duration_s
        return EgoState(
            time_s=time_s,
            x=spline(0),
            y=spline(1),
            heading=float(wrap_angle(spline(2))),
            speed=mixed(6) if moves else 0.0,
            acceleration=mixed(7) if moves else 0.0,
            steering=mixed(8),
            yaw_rate=mixed(5) if moves else 0.0,
        )

    @cached_property
    def _ego_motion(self) -> FloatArray:
        """[T, 9] x, y, heading; their rates; speed, acceleration, steering."""
        heading = np.unwrap(self.headings[0])
        place = np.column_stack([self.ego_path, heading])
        rates = np.gradient(place, self.times, axis=0)
        speed = rates[:, 0] * np.cos(heading) + rates[:, 1] * np.sin(heading)
        moving = np.abs(speed) > _STEERING_SPEED
        known = np.flatnonzero(moving)
        steering = np.zeros(len(speed))
        if len(known):
            angle = np.arctan(WHEELBASE_M * rates[known, 2] / speed[known])
            held = np.clip(np.searchsorted(known, np.arange(len(speed)), side="right") - 1, 0, None)
            steering = angle[held]
        return np.column_stack([place, rates, speed, np.gradient(speed, self.times), steering])


def _check(path: Path, data: dict[str, NDArray]) -> None:
    missing = sorted(set(_KEYS) - set(data))
    if missing:
        raise DataError(f"{path} is no recorded log: it lacks {', '.join(missing)}")
    for key, dimensions in _KEYS.items():
        if data[key].ndim != dimensions:
            raise DataError(f"{path}: {key} has {data[key].ndim} dimensions, a recorded log has {dimensions}")
    for key in _NUMBERS:
        if data[key].dtype.kind not in "biuf":
            raise DataError(f"{path}: {key} must hold numbers, not {data[key].dtype.name}")
    tracks, steps = len(data["track_id"]), len(data["t"])
    expected = {
        "track_type": (tracks,),
        "track_category": (tracks,),
        "position": (tracks, steps, 3),
        "heading": (tracks, steps),
        "velocity": (tracks, steps, 2),
        "size": (tracks, 3),
        "valid": (tracks, steps),
        "map_offset": (len(data["map_id"]) + 1,),
    }
    for key, shape in expected.items():
        if data[key].shape != shape:
            raise DataError(f"{path}: {key} has shape {data[key].shape}, {tracks} tracks of {steps} steps need {shape}")
    for key in _FINITE:
        if not np.isfinite(data[key]).all():
            raise DataError(f"{path}: {key} must be finite everywhere, without NaN")
    if steps < 2 or (np.diff(data["t"]) <= 0).any():
        raise DataError(f"{path}: t must hold at least two rising times")
    if not tracks or data["track_id"][0] != "ego" or not data["valid"][0].all():
        raise DataError(f"{path}: the first track must be 'ego', there at every step")
    if not np.isfinite(data["velocity"][data["valid"].astype(bool)]).all():
        raise DataError(f"{path}: velocity must be finite wherever its track is valid")
    offsets = data["map_offset"]
    if offsets[0] != 0 or offsets[-1] != len(data["map_xy"]) or (np.diff(offsets) < 0).any():
        raise DataError(f"{path}: map_offset must rise from 0 to the {len(data['map_xy'])} points of map_xy")


def _features(data: dict[str, NDArray]) -> tuple[LogFeature, ...]:
    offsets, points = data["map_offset"], data["map_xy"].astype(np.float64)
    return tuple(
        LogFeature(str(kind), str(shape) == "polygon", str(name), points[offsets[k] : offsets[k + 1]])
        for k, (kind, shape, name) in enumerate(zip(data["map_type"], data["map_kind"], data["map_id"], strict=True))
    )
