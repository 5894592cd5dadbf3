"""`SceneWriter`: one drive as a scene of a nuScenes-schema root, key frame by key frame.

Pictures go to their final places as they come. Everything else of the scene is its part,
`<root>/.parts/<scene>.json`, which `finish` writes last and in one piece: a scene without a part was not
finished, and recording it again writes the same bytes. `assembly.assemble_root` makes the tables of all parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import DataError
from aln_p3_core.frame import CameraCalibration, Command
from aln_p3_core.geometry import transform_points, virtual_T_ego_model
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.key_frame import KeyFrame
from aln_p3_core.world.planners.planner import EgoPlan, Observation
from aln_p3_core.world.recorder.can_bus import can_messages
from aln_p3_core.world.recorder.labels import LABEL_RADIUS_M, SceneLabels, Sightings, count_lidar_points, label_scene
from aln_p3_core.world.recorder.plans import plan_row
from aln_p3_core.world.recorder.signal_ahead import signal_row
from aln_p3_core.world.recorder.tables import (
    LIDAR,
    Row,
    Table,
    calibrated_token,
    chain,
    make_token,
    write_json,
)
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.route import Route
from aln_p3_core.world.weather import Condition

PARTS = ".parts"
JPEG_QUALITY = 90
#: Stamp of time 0 of scene number 0, microseconds; scenes follow each other at this distance.
EPOCH_US = 1_700_000_000_000_000
SCENE_SPACING_US = 200_000_000


@dataclass(frozen=True, slots=True)
class SceneInfo:
    """What a scene is.

    Attributes:
        number: 0 to 9999; names the scene ("scene-0042") and its place in time.
        split: "train", "val", "heldout", "mini", or a name of your own.
        identity: what makes it this drive and no other, such as split, seed and episode name; its tokens come of it.
        description: for people.
        condition: light and weather.
        plan_source: who the stored plans come from, "expert" or "human".
        facts: more to keep about it in `scenes.json` (JSON values): scenario, city, seed, log.
        seed: of the annotators' choice of words.
    """

    number: int
    split: str
    identity: str
    description: str = ""
    condition: Condition = Condition.DAY
    plan_source: str = "expert"
    facts: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def name(self) -> str:
        """As the devkit wants it: "scene-" and four digits."""
        return f"scene-{self.number:04d}"

    @property
    def start_us(self) -> int:
        """Stamp of time 0, microseconds."""
        return EPOCH_US + self.number * SCENE_SPACING_US


class SceneWriter:
    """Takes what happens in one scene and writes it.

        with Simulation(stage, rig, renderer, start_ns=info.start_us * 1000) as simulation:
            writer = SceneWriter(root, info, stage.city, stage.route, rig)
            ...
            writer.add_state(simulation.state.ego)                        # every physics step
            writer.add_key_frame(simulation.observe(truth=True), plan)    # every half second
            ...
            writer.finish()

    The map of the city is written by `assembly.write_map`, the tables of all scenes by `assembly.assemble_root`.
    """

    def __init__(
        self,
        root: Path,
        info: SceneInfo,
        city: CityMap,
        route: Route,
        rig: Mapping[str, CameraCalibration],
        *,
        language: bool = True,
        wording: str = "",
        quality: int = JPEG_QUALITY,
    ) -> None:
        """Prepares the scene; nothing is written yet.

        Args:
            root: of the data set.
            info: what the scene is.
            city, route: where it happens, and the planned way.
            rig: calibrations by channel.
            language: also narrate and ask about it (world.language). wording: as in `RecordSettings`.
            quality: of the JPEG files.
        """
        if not 0 <= info.number <= 9999:
            raise DataError(f"scene number {info.number} does not fit into four digits; record into another root")
        self.root = Path(root)
        self.info = info
        self._city = city
        self._route = route
        self._rig = dict(rig)
        self._language = language
        self._wording = wording
        self._jpeg = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._states: list[EgoState] = []
        self._signals: list[int] = []
        self._samples: Table = []
        self._data: dict[str, Table] = {channel: [] for channel in (*self._rig, LIDAR)}
        self._poses: Table = []
        self._sightings: list[Sightings] = []
        self._frames: list[KeyFrame] = []
        self._waiting: Table = []
        self._command = Command.STRAIGHT

    def __len__(self) -> int:
        """Key frames so far."""
        return len(self._frames)

    def add_state(self, ego: EgoState) -> None:
        """The ego at a physics step: the CAN bus messages are made of these. Earlier ones than the last are left."""
        if not self._states or ego.time_s > self._states[-1].time_s + 1e-9:
            self._states.append(ego)
            self._signals.append({Command.LEFT: 1, Command.RIGHT: -1}.get(self._command, 0))

    def add_key_frame(self, observation: Observation, plan: EgoPlan | None, command: Command | None = None) -> str:
        """A key frame: writes its pictures and its LiDAR sweep.

        Args:
            observation: with pictures, depth and labels (`Simulation.observe(truth=True)`).
            plan: what the ego does next, or ought to: the planning target. Stamped with this instant.
            command: to the driver; the route's when None.

        Returns:
            The sample token.
        """
        from aln_p3_core.world.render.visibility import actor_visibility

        if not observation.views:
            raise DataError("a key frame needs pictures: observe with images and truth")
        state = observation.state
        if command is None:
            command = observation.route.command_at(observation.route_s, state.ego.speed)
        self._command = command
        token = make_token(self.info.identity, "sample", len(self._samples))
        self._samples.append(
            {"token": token, "timestamp": self._stamp_us(state.time_s), "scene_token": self._token("scene")}
        )
        points = self._add_files(observation, token, is_key=True)
        seen = actor_visibility(observation.views, state)
        near = np.flatnonzero(
            ((state.actors.positions[:, :2] - state.ego.center) ** 2).sum(axis=1) <= LABEL_RADIUS_M**2
        )
        actors = state.actors.select(near)
        cameras = tuple(observation.views)
        self._sightings.append(
            Sightings(
                sample_token=token,
                actors=actors,
                visibility=np.asarray(seen.fractions)[near],
                pixels=np.stack([np.asarray(seen.pixels[camera])[near] for camera in cameras]).astype(np.int64),
                cameras=cameras,
                lidar_points=count_lidar_points(points, actors),
            )
        )
        self._frames.append(KeyFrame(token, state, observation.route_s, command, plan, condition=self.info.condition))
        return token

    def add_sweep(self, observation: Observation) -> None:
        """Pictures and LiDAR between key frames; they are listed under the key frame that comes next."""
        self._add_files(observation, "", is_key=False)

    def keep_until(self, time_s: float) -> None:
        """Takes back what came after an instant, files included; the first key frame stays in any case."""
        frames = self._frames
        kept = max(1, sum(frame.state.time_s <= time_s + 1e-9 for frame in frames))
        if kept == len(frames):
            return
        end_us = self._stamp_us(frames[kept].state.time_s)
        self._frames, self._sightings = frames[:kept], self._sightings[:kept]
        gone = {row["token"] for row in self._samples[kept:]}
        self._samples = self._samples[:kept]
        lost = set()
        for rows in self._data.values():
            for row in [row for row in rows if row["sample_token"] in gone or not row["sample_token"]]:
                rows.remove(row)
                lost.add(row["token"])
                (self.root / row["filename"]).unlink(missing_ok=True)
        self._poses = [row for row in self._poses if row["token"] not in lost]
        self._waiting = []
        self._states = [ego for ego in self._states if self._stamp_us(ego.time_s) < end_us]
        self._signals = self._signals[: len(self._states)]

    def finish(self) -> Path:
        """Labels, narrates, and writes the CAN bus messages and at last the scene's part; returns its path."""
        if not self._frames:
            raise DataError(f"{self.info.name} has no key frame")
        labels = label_scene(self.info.identity, self._sightings)
        frames = [
            KeyFrame(f.sample_token, f.state, f.route_s, f.command, f.plan, facts, f.condition)
            for f, facts in zip(self._frames, labels.facts, strict=True)
        ]
        self._write_can_bus()
        part = {
            "scene": self.info.name,
            "split": self.info.split,
            "info": self._info_row(),
            "tables": self._tables(labels),
            "expert_plan": self._plans(frames),
            "route_command": {frame.sample_token: frame.command.name.lower() for frame in frames},
            "signal_ahead": {f.sample_token: signal_row(f.state, self._route, f.route_s) for f in frames},
            "language": self._annotate(frames) if self._language else None,
        }
        path = part_path(self.root, self.info.name)
        write_json(path, part)
        return path

    def _token(self, *parts: object) -> str:
        return make_token(self.info.identity, *parts)

    def _stamp_us(self, time_s: float) -> int:
        return self.info.start_us + round(time_s * 1e6)

    def _add_files(self, observation: Observation, sample_token: str, *, is_key: bool) -> NDArray[np.float64]:
        """Writes pictures and sweep; returns the sweep's points [n, 3] in the world frame."""
        from aln_p3_core.world.render.lidar import lidar_sweep

        new_rows = [self._add_picture(view, sample_token, is_key) for view in observation.views.values()]
        ego = observation.state.ego
        sweep = lidar_sweep(observation.views, observation.state)
        path, row = self._add_row(LIDAR, ego, observation.state.time_s, sample_token, is_key, (0, 0))
        _write(path, np.ascontiguousarray(sweep, dtype="<f4").tobytes())
        new_rows.append(row)
        if is_key:
            for waiting in self._waiting:
                waiting["sample_token"] = sample_token
            self._waiting = []
        else:
            self._waiting += new_rows
        return transform_points(ego.T_world_ego @ virtual_T_ego_model(), sweep[:, :3].astype(np.float64))

    def _add_picture(self, view: RenderedView, sample_token: str, is_key: bool) -> Row:
        height, width = view.color.shape[:2]
        ego = view.state.ego
        path, row = self._add_row(view.camera, ego, view.time_s, sample_token, is_key, (width, height))
        _write(path, cv2.imencode(".jpg", cv2.cvtColor(view.color, cv2.COLOR_RGB2BGR), self._jpeg)[1].tobytes())
        return row

    def _add_row(
        self, channel: str, ego: EgoState, time_s: float, sample_token: str, is_key: bool, size: tuple[int, int]
    ) -> tuple[Path, Row]:
        stamp = self._stamp_us(time_s)
        token = self._token("data", channel, stamp)
        ending = "jpg" if size[0] else "pcd.bin"
        name = f"{'samples' if is_key else 'sweeps'}/{channel}/world-{self.info.name}__{channel}__{stamp}.{ending}"
        half = ego.heading / 2
        self._poses.append(
            {
                "token": token,
                "timestamp": stamp,
                "rotation": [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))],
                "translation": [float(ego.x), float(ego.y), 0.0],
            }
        )
        row = {
            "token": token,
            "sample_token": sample_token,
            "ego_pose_token": token,
            "calibrated_sensor_token": calibrated_token(channel),
            "timestamp": stamp,
            "fileformat": "jpg" if size[0] else "pcd",
            "is_key_frame": is_key,
            "height": size[1],
            "width": size[0],
            "filename": name,
        }
        self._data[channel].append(row)
        return self.root / name, row

    def _write_can_bus(self) -> None:
        states = self._states
        if len(states) < 2:
            states = [frame.state.ego for frame in self._frames]
        signals = self._signals if len(self._signals) == len(states) else None
        if len(states) < 2:
            return  # a lone instant: there is no motion to tell
        for name, content in can_messages(states, self.info.start_us, self._route.points, signals).items():
            write_json(self.root / "can_bus" / f"{self.info.name}_{name}.json", content)

    def _tables(self, labels: SceneLabels) -> dict[str, Table]:
        chain(self._samples)
        for waiting in self._waiting:  # sweeps after the last key frame
            waiting["sample_token"] = self._samples[-1]["token"]
        for rows in self._data.values():
            chain(rows)
        date = datetime.fromtimestamp(self.info.start_us * 1e-6, UTC).date().isoformat()
        log = {
            "token": self._token("log"),
            "logfile": f"world-{self.info.name}",
            "vehicle": "world",
            "date_captured": date,
            "location": self._city.name,
        }
        scene = {
            "token": self._token("scene"),
            "log_token": log["token"],
            "nbr_samples": len(self._samples),
            "first_sample_token": self._samples[0]["token"],
            "last_sample_token": self._samples[-1]["token"],
            "name": self.info.name,
            "description": self.info.description,
        }
        return {
            "log": [log],
            "scene": [scene],
            "sample": self._samples,
            "sample_data": [row for rows in self._data.values() for row in rows],
            "ego_pose": self._poses,
            "instance": labels.instances,
            "sample_annotation": labels.annotations,
        }

    def _plans(self, frames: list[KeyFrame]) -> dict[str, Row]:
        labelled = {actor_id for frame in frames for actor_id in frame.labels}
        source, scene = self.info.plan_source, self.info.identity
        return {
            frame.sample_token: plan_row(frame.plan, source, scene, labelled)
            for frame in frames
            if frame.plan is not None
        }

    def _info_row(self) -> Row:
        row = asdict(self.info)
        row["condition"] = self.info.condition.value
        return row | {"name": self.info.name, "location": self._city.name}

    def _annotate(self, frames: list[KeyFrame]) -> Row:
        from aln_p3_core.world.language import annotate_scene

        annotations = annotate_scene(
            frames,
            self._city,
            self._route,
            scene_name=self.info.name,
            split=self.info.split,
            seed=self.info.seed,
            wording=self._wording,
        )
        return {item.name: getattr(annotations, item.name) for item in fields(annotations)}


def part_path(root: Path, scene_name: str) -> Path:
    """Where a scene's part lies."""
    return root / PARTS / f"{scene_name}.json"


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
