"""`NuScenesDataset`: any data set in the nuScenes schema as driving frames, targets and sensor records.

Works on the real data set and on every other root with the same thirteen tables. The vector map expansion
(`maps/expansion/*.json`), the CAN bus expansion (`can_bus/*_pose.json`) and what the embedded world adds (the
route's commands and the expert's plans, `datasets.stored_plans`) are used where they are there.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.ego import CanBus, status_from_poses
from aln_p3_core.datasets.map_elements import MapReader, MapTargets
from aln_p3_core.datasets.records import SensorRecord, read_file, read_lidar_points
from aln_p3_core.datasets.stored_plans import COMMAND_FILE, StoredPlan, StoredPlans
from aln_p3_core.datasets.stored_signals import SignalAhead, StoredSignals
from aln_p3_core.datasets.tables import find_tables, open_tables
from aln_p3_core.datasets.targets import Targets, build_targets, ego_future_model, ground_truth_command
from aln_p3_core.errors import AlnP3Error, ConfigError, DataError, ImageError
from aln_p3_core.frame import (
    NUSCENES_CAMERAS,
    CameraCalibration,
    CameraView,
    DrivingFrame,
    EgoPose,
    EgoStatus,
    EncodedImage,
    RouteCommand,
)
from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, transform_points, virtual_T_ego_model

LIDAR = "LIDAR_TOP"

Reference = Literal["lidar", "newest_image"]
ModelFrame = Literal["auto", "lidar_top", "virtual"]
CommandSource = Literal["auto", "route", "default", "ground_truth"]
EgoFuture = Literal["auto", "recorded"]


class NuScenesDataset:
    """Key frames of a nuScenes-schema root.

    Attributes:
        root, version: where the data lies, and the name of the table folder.
        nusc: the devkit's own object, for whatever this class does not offer.
        scenes: scene names, in table order.
        tokens: sample tokens of all key frames, scene by scene, in time order.
    """

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        *,
        reference: Reference = "lidar",
        model_frame: ModelFrame = "auto",
        encoded: bool = True,
        past_seconds: float = 2.0,
        command: CommandSource = "auto",
        ego_future: EgoFuture = "auto",
    ) -> None:
        """Loads and checks the tables.

        Args:
            root: folder with `v1.0-*/`, `samples/`, `maps/`.
            version: table folder; the only one there is when None.
            reference: the instant that a frame speaks of: LIDAR_TOP's stamp ("lidar", for benchmarks) or the
                newest image's ("newest_image", as on the road).
            model_frame: "lidar_top" is LIDAR_TOP's own frame, "virtual" the fixed one of
                `geometry.virtual_T_ego_model`; "auto" takes LIDAR_TOP's where its y axis points forward.
            encoded: views hold the compressed files; decoded BGR arrays when False.
            past_seconds: how far `DrivingFrame.past_poses` goes back.
            command: "route" gives what the navigator said (`route_command.json`, marked as given). "default"
                always gives STRAIGHT, marked as a default. "ground_truth" derives the command from the
                recorded future (VAD's rule, `targets.ground_truth_command`) and marks it so: such plans peek
                at the answer. Where the recording has no future, the default stays. "auto" is "route" where
                the root tells it, else "default".
            ego_future: what `targets` take for the ego's future: "recorded" is what it did, "auto" the plan that
                is stored for the key frame (`expert_plan.json`) where there is one.

        Raises:
            DataError: naming the missing or broken file.
            ConfigError: for a choice that does not exist.
        """
        for name, value, choices in (
            ("reference", reference, ("lidar", "newest_image")),
            ("model_frame", model_frame, ("auto", "lidar_top", "virtual")),
            ("command", command, ("auto", "route", "default", "ground_truth")),
            ("ego_future", ego_future, ("auto", "recorded")),
        ):
            if value not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        self.root, self.version = find_tables(Path(root), version)
        self.nusc = open_tables(self.root, self.version)
        self._reference = reference
        self._model_frame = model_frame
        self._encoded = encoded
        self._past_ns = round(past_seconds * 1e9)
        self._stored = StoredPlans(self.root)
        self._signals = StoredSignals(self.root)
        if command == "route" and not self._stored.has_commands:
            raise DataError(f"{self.root} has no {COMMAND_FILE}: use command='default' or 'ground_truth'")
        self._command = command
        self._ego_future = ego_future
        self._can_bus = CanBus(self.root)
        self._maps = MapReader(self.root)
        self._transforms: dict[tuple[str, str], FloatArray] = {}
        self._calibrations: dict[tuple[str, int, int], CameraCalibration] = {}
        self._drives: dict[str, list[EgoPose]] = {}
        self._rigs: dict[str, tuple[str, ...]] = {}

        samples: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for sample in self.nusc.sample:
            samples[sample["scene_token"]].append(sample)
        self._scene_tokens: dict[str, tuple[str, ...]] = {}
        for scene in self.nusc.scene:
            ordered = sorted(samples[scene["token"]], key=lambda row: row["timestamp"])
            self._scene_tokens[scene["name"]] = tuple(row["token"] for row in ordered)
        self.scenes: tuple[str, ...] = tuple(self._scene_tokens)
        self.tokens: tuple[str, ...] = tuple(token for tokens in self._scene_tokens.values() for token in tokens)
        self._index = {token: index for index, token in enumerate(self.tokens)}
        if not self.tokens:
            raise DataError(f"{self.root / self.version / 'sample.json'} holds no sample of any scene")
        channels = {row["channel"] for row in self.nusc.sensor}
        if LIDAR not in channels and (reference == "lidar" or model_frame == "lidar_top"):
            raise DataError(
                f"{self.root} has no {LIDAR}: use reference='newest_image' and model_frame='virtual' for this rig"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # Sent to another process as the way to open it: reading the tables anew is quicker than sending them.
        options = {**self.choices, "encoded": self._encoded, "past_seconds": self._past_ns * 1e-9}
        return _open_again, (str(self.root), self.version, options)

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[DrivingFrame]:
        """All frames in the order of `tokens`."""
        return (self.frame(token) for token in self.tokens)

    def index_of(self, token: str) -> int:
        """Position of a sample in `tokens`. Raises DataError for a token that is not there."""
        if token not in self._index:
            raise DataError(f"{self.root / self.version} has no sample {token!r}; its first is {self.tokens[0]!r}")
        return self._index[token]

    def scene_tokens(self, scene_name: str) -> tuple[str, ...]:
        """Sample tokens of a scene in time order. Raises DataError for a scene that is not there."""
        if scene_name not in self._scene_tokens:
            raise DataError(f"{self.root / self.version} has no scene {scene_name!r}; it has {', '.join(self.scenes)}")
        return self._scene_tokens[scene_name]

    def scene_of(self, token: str) -> str:
        """Name of the scene that a sample belongs to."""
        return self.nusc.get("scene", self._sample(token)["scene_token"])["name"]

    def location_of(self, scene_name: str) -> str:
        """Where a scene was recorded (names the map), e.g. "singapore-onenorth"."""
        scene = self._scene(scene_name)
        return self.nusc.get("log", scene["log_token"])["location"]

    def cameras_of(self, scene_name: str) -> tuple[str, ...]:
        """Cameras of a scene's rig: nuScenes' in VAD's order first, then others by name."""
        if scene_name not in self._rigs:
            present = {
                channel
                for token in self.scene_tokens(scene_name)
                for channel, data in self._sample(token)["data"].items()
                if self.nusc.get("sample_data", data)["sensor_modality"] == "camera"
            }
            known = tuple(name for name in NUSCENES_CAMERAS if name in present)
            self._rigs[scene_name] = known + tuple(sorted(present - set(known)))
        return self._rigs[scene_name]

    def frame(self, token: str) -> DrivingFrame:
        """The driving frame of a sample.

        A camera of the scene's rig without an image in this sample has no view: it is lost.

        Raises:
            DataError: naming a missing file. ImageError: naming a corrupt one (only when decoding here).
        """
        return self.frame_of_records(token, self.records_of_sample(token), *self.reference_of(token))

    def frame_of_records(
        self, token: str, records: Mapping[str, SensorRecord], stamp_ns: int, T_global_ego: FloatArray
    ) -> DrivingFrame:
        """The driving frame of any instant of a scene, such as that of a sweep.

        Args:
            token: of the sample that the instant belongs to; says the scene, the model frame and the command.
            records: what the cameras show, by channel.
            stamp_ns, T_global_ego: the instant that the frame speaks of, and the ego pose [4, 4] then.

        Raises:
            As `frame`.
        """
        scene_name = self.scene_of(token)
        cameras = self.cameras_of(scene_name)
        poses = self._past_poses(scene_name, stamp_ns)
        return DrivingFrame(
            cameras=cameras,
            views={name: self._view(records[name]) for name in cameras if name in records},
            reference_stamp_ns=stamp_ns,
            T_global_ego=T_global_ego,
            T_ego_model=self.T_ego_model(token),
            command=self.command_of(token),
            ego_status=self._ego_status(scene_name, stamp_ns, T_global_ego),
            past_poses=tuple(pose for pose in poses if stamp_ns - pose.stamp_ns <= self._past_ns),
            drive_id=self._sample(token)["scene_token"],
            token=token,
        )

    def targets(self, token: str) -> Targets:
        """What the driver should see, predict and plan for a sample, in the frame's model frame.

        Where the root stores a plan for the key frame, it is the ego's future here; where it tells the route's
        command, the targets' command is that one.
        """
        targets = build_targets(self, token, self._maps)
        command = self._stored.command(token)
        if command is not None:
            targets = replace(targets, command=command)
        if self._ego_future == "auto" and self.stored_plan(token) is not None:
            future, mask = self.ego_future(token)
            targets = replace(targets, ego_future_model=future, ego_future_mask=mask)
        return targets

    def map_truth(self, token: str) -> MapTargets | None:
        """Map lines of a sample with all their vertices, in its model frame: what map lines are measured against.

        Those of `targets` have few points, which cut the corners of a long outline off. None where the location has
        no map expansion. Raises DataError for a broken one.
        """
        T_global_model = self.reference_of(token)[1] @ self.T_ego_model(token)
        return self._maps.elements(self.location_of(self.scene_of(token)), T_global_model, points_per_line=None)

    def ego_future(self, token: str) -> tuple[FloatArray, NDArray[np.bool_]]:
        """What `targets` take for the ego's future, [6, 2] m and its mask [6], without the cost of all the rest."""
        plan = self.stored_plan(token) if self._ego_future == "auto" else None
        if plan is None:
            return ego_future_model(self, token)
        own = self.records_of_sample(token)
        T_global_ego = own[LIDAR].T_global_ego if LIDAR in own else self.reference_of(token)[1]
        return plan.future_model(T_global_ego, self.reference_of(token)[1], self.T_ego_model(token))

    def stored_plan(self, token: str) -> StoredPlan | None:
        """The plan that the root stores for a sample (`expert_plan.json`), or None."""
        return self._stored.plan(token)

    def stored_command(self, token: str) -> RouteCommand | None:
        """The command that the root stores for a sample (`route_command.json`), or None."""
        return self._stored.command(token)

    def signal_ahead(self, token: str) -> SignalAhead | None:
        """The traffic light that counts for the ego at a sample (`signal_ahead.json`); None where it is not known."""
        return self._signals.signal(token)

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen of what the same root can give: the arguments that change frames or targets."""
        return {
            "reference": self._reference,
            "model_frame": self._model_frame,
            "command": self._command,
            "ego_future": self._ego_future,
        }

    def reference_of(self, token: str) -> tuple[int, FloatArray]:
        """Reference stamp in nanoseconds, and the ego pose [4, 4] in the global frame at that instant."""
        records = self.records_of_sample(token)
        if self._reference == "lidar":
            if LIDAR not in records:
                raise DataError(f"sample {token} has no {LIDAR} reading; use reference='newest_image'")
            record = records[LIDAR]
        else:
            images = [record for record in records.values() if record.modality == "camera"]
            if not images:
                raise DataError(f"sample {token} has no image; use reference='lidar'")
            record = max(images, key=lambda r: r.stamp_ns)
        return record.stamp_ns, record.T_global_ego

    def T_ego_model(self, token: str) -> FloatArray:
        """4x4, model frame (x right, y forward, z up) to ego frame, by the rule that `model_frame` names.

        Raises:
            DataError: when LIDAR_TOP's frame is asked for and its y axis does not point forward.
        """
        if self._model_frame == "virtual":
            return virtual_T_ego_model()
        lidar = self.records_of_sample(token).get(LIDAR)
        # A tilted or slightly turned LiDAR still counts; one with x forward (other rigs) does not.
        if lidar is not None and lidar.T_ego_sensor[0, 1] > 0.9:
            return lidar.T_ego_sensor
        if self._model_frame == "lidar_top":
            raise DataError(
                f"sample {token}: {LIDAR} is missing or its y axis is not forward; use model_frame='virtual'"
            )
        return virtual_T_ego_model()

    def records_of_sample(self, token: str) -> dict[str, SensorRecord]:
        """Key-frame readings of a sample by channel."""
        data = self._sample(token)["data"]
        return {channel: self._record(self.nusc.get("sample_data", value)) for channel, value in data.items()}

    def sensor_records(self, scene_name: str) -> list[SensorRecord]:
        """All readings of a scene, key frames and sweeps of every sensor, in time order."""
        return [self._record(row) for row in self.rows_of(scene_name)]

    def rows_of(self, scene_name: str) -> list[Mapping[str, Any]]:
        """Rows of `sample_data` of a scene, in time order."""
        return self._rows_by_scene[self._scene(scene_name)["token"]]

    def lidar_points(self, record: SensorRecord) -> NDArray[np.float32]:
        """Points [n, 5] of a LiDAR record: x, y, z in metres in the sensor frame, intensity, ring."""
        if record.modality != "lidar":
            raise DataError(f"{record.channel} is a {record.modality}, not a LiDAR")
        return read_lidar_points(record.path)

    def lidar_in_model(self, token: str) -> FloatArray | None:
        """The key frame's LIDAR_TOP sweep [n, 3] in its model frame at the reference stamp, m; None without one."""
        record = self.records_of_sample(token).get("LIDAR_TOP")
        if record is None or not record.path.is_file():
            return None
        T_global_model = self.reference_of(token)[1] @ self.T_ego_model(token)
        T_model_lidar = invert_transform(T_global_model) @ record.T_global_ego @ record.T_ego_sensor
        return transform_points(T_model_lidar, self.lidar_points(record)[:, :3])

    def camera_calibration(self, record: SensorRecord) -> CameraCalibration:
        """Calibration of a camera record (one object per calibration, so that its hash is computed once)."""
        calibrated = self.nusc.get("sample_data", record.token)["calibrated_sensor_token"]
        key = (calibrated, record.width, record.height)
        if key not in self._calibrations:
            if record.intrinsic is None:
                raise DataError(
                    f"calibrated_sensor.json: row {calibrated!r} ({record.channel}) has no camera_intrinsic"
                )
            try:
                calibration = CameraCalibration(record.intrinsic, record.T_ego_sensor, record.width, record.height)
            except AlnP3Error as error:
                raise DataError(f"calibrated_sensor.json: row {calibrated!r} ({record.channel}): {error}") from error
            self._calibrations[key] = calibration
        return self._calibrations[key]

    def check_files(self, progress: bool = False) -> None:
        """Checks that every file that the tables name is there and not empty.

        Raises:
            DataError: with the number of missing files and the first ten of them.
        """
        from tqdm import tqdm

        rows = tqdm(self.nusc.sample_data, desc="files", disable=not progress)
        missing = []
        for row in rows:
            path = self.root / row["filename"]
            if not path.is_file() or path.stat().st_size == 0:
                missing.append(str(path))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(self.nusc.sample_data)} files are missing or empty; extract their archives "
                "again. " + ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            )

    def command_of(self, token: str) -> RouteCommand:
        """The command that a sample's frame carries; `__init__` says where it comes from."""
        if self._command == "ground_truth":
            return ground_truth_command(self, token)
        stored = self._stored.command(token) if self._command != "default" else None
        return stored or RouteCommand()

    def _sample(self, token: str) -> Mapping[str, Any]:
        self.index_of(token)
        return self.nusc.get("sample", token)

    def _scene(self, scene_name: str) -> Mapping[str, Any]:
        self.scene_tokens(scene_name)
        return next(row for row in self.nusc.scene if row["name"] == scene_name)

    @cached_property
    def _rows_by_scene(self) -> dict[str, list[Mapping[str, Any]]]:
        rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self.nusc.sample_data:
            rows[self.nusc.get("sample", row["sample_token"])["scene_token"]].append(row)
        for values in rows.values():
            values.sort(key=lambda row: (row["timestamp"], row["channel"]))
        return rows

    def _record(self, row: Mapping[str, Any]) -> SensorRecord:
        calibrated = self.nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
        is_camera = row["sensor_modality"] == "camera"
        return SensorRecord(
            token=row["token"],
            channel=row["channel"],
            modality=row["sensor_modality"],
            stamp_ns=int(row["timestamp"]) * 1000,
            path=self.root / row["filename"],
            T_ego_sensor=self._transform("calibrated_sensor", calibrated),
            T_global_ego=self._transform("ego_pose", self.nusc.get("ego_pose", row["ego_pose_token"])),
            intrinsic=np.array(calibrated["camera_intrinsic"], float) if is_camera else None,
            width=int(row["width"]),
            height=int(row["height"]),
            is_key_frame=bool(row["is_key_frame"]),
            sample_token=row["sample_token"],
        )

    def _transform(self, table: str, row: Mapping[str, Any]) -> FloatArray:
        cached = self._transforms.get((table, row["token"]))
        if cached is not None:
            return cached
        try:
            transform = make_transform(row["rotation"], row["translation"])
        except ValueError as error:
            raise DataError(f"{self.root / self.version / table}.json: row {row['token']!r}: {error}") from error
        if table == "calibrated_sensor":  # few and used again and again; poses are millions
            self._transforms[table, row["token"]] = transform
        return transform

    def _view(self, record: SensorRecord) -> CameraView:
        data = read_file(record.path)
        calibration = self.camera_calibration(record)
        if self._encoded:
            return CameraView(EncodedImage(data, str(record.path)), record.stamp_ns, calibration, record.T_global_ego)
        import cv2

        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise ImageError(f"{record.path} cannot be decoded; extract or copy it again")
        if image.shape[:2] != (record.height, record.width):
            raise ImageError(
                f"{record.path} has {image.shape[1]}x{image.shape[0]} pixels, sample_data.json says "
                f"{record.width}x{record.height}"
            )
        pixels = np.asarray(image, dtype=np.uint8)
        return CameraView(pixels, record.stamp_ns, calibration, record.T_global_ego, "bgr")

    def _past_poses(self, scene_name: str, before_ns: int) -> list[EgoPose]:
        """Poses of the scene before a stamp: LIDAR_TOP's where there is one, else the first camera's."""
        if scene_name not in self._drives:
            rows = self._rows_by_scene[self._scene(scene_name)["token"]]
            channels = {row["channel"] for row in rows}
            source = LIDAR if LIDAR in channels else self.cameras_of(scene_name)[0]
            poses = {
                int(row["timestamp"]) * 1000: self.nusc.get("ego_pose", row["ego_pose_token"])
                for row in rows
                if row["channel"] == source
            }
            if len(self._drives) >= 16:
                self._drives.pop(next(iter(self._drives)))
            self._drives[scene_name] = [EgoPose(s, self._transform("ego_pose", row)) for s, row in poses.items()]
        drive = self._drives[scene_name]
        return drive[: bisect.bisect_left([pose.stamp_ns for pose in drive], before_ns)]

    def _ego_status(self, scene_name: str, stamp_ns: int, T_global_ego: FloatArray) -> EgoStatus | None:
        measured = self._can_bus.status(scene_name, stamp_ns)
        return measured or status_from_poses(self._past_poses(scene_name, stamp_ns), stamp_ns, T_global_ego)


def _open_again(root: str, version: str, options: Mapping[str, Any]) -> NuScenesDataset:
    return NuScenesDataset(root, version, **options)
