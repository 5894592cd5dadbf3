"""What a recorded root holds, in figures: classes, commands, motion, causes, words, and what guessing answers gets."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.datasets.stored_plans import COMMAND_FILE, PLAN_FILE
from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray, wrap_angle
from aln_p3_core.world.recorder.answer_prior import prior_table
from aln_p3_core.world.recorder.assembly import (
    LANGUAGE,
    NU_X_FILE,
    QA_FILE,
    SCENES_FILE,
    TOD3CAP_FILE,
)
from aln_p3_core.world.recorder.tables import LIDAR, VERSION, Row, calibrated_token

#: Edges of the histograms: m/s, 1/m (of target plans, left positive), m (middle of a box to the ego).
SPEED_EDGES = tuple(range(0, 21))
CURVATURE_EDGES = tuple(round(-0.15 + 0.01 * k, 2) for k in range(31))
DISTANCE_EDGES = tuple(range(0, 85, 5))
#: Plans shorter than this, m, have no curvature.
_MIN_WAY_M = 2.0


def root_statistics(root: Path) -> dict[str, Any]:
    """Figures of a root, by split.

    Args:
        root: that `aln-p3 world record` made.

    Returns:
        JSON-ready: {"root": ..., "settings": ..., "splits": {split: figures}}. Histograms are
        {"edges": [K + 1], "counts": [K]}; what lies beyond the edges counts in the outer bins.

    Raises:
        DataError: naming a file that is missing or broken.
    """
    tables = _Tables(Path(root))
    splits = {split: _split_statistics(tables, set(names)) for split, names in tables.splits.items()}
    questions = {split: tables.questions(split) for split in splits}
    for split, figures in splits.items():
        figures["questions"] |= prior_table(questions, split, tables.scene_of_sample)
    return {"root": Path(root).name, "settings": tables.settings, "splits": splits}


@dataclass(frozen=True)
class _Tables:
    """Files of a root, read when they are asked for."""

    root: Path

    def read(self, name: str) -> Any:
        path = self.root / name
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"{path} is missing; give a root that `aln-p3 world record` made") from None
        except ValueError as error:
            raise DataError(f"{path} is no complete JSON file ({error}); record the data set again") from error

    def table(self, name: str) -> list[Row]:
        return self.read(f"{VERSION}/{name}.json")

    @cached_property
    def settings(self) -> dict[str, Any]:
        return self.read("recording.json")

    @cached_property
    def scenes(self) -> dict[str, Row]:
        return self.read(SCENES_FILE)

    @cached_property
    def splits(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, info in self.scenes.items():
            found[info["split"]].append(name)
        return dict(sorted(found.items()))

    @cached_property
    def samples(self) -> list[Row]:
        names = {row["token"]: row["name"] for row in self.table("scene")}
        return [row | {"scene": names[row["scene_token"]]} for row in self.table("sample")]

    @cached_property
    def scene_of_sample(self) -> dict[str, str]:
        return {row["token"]: row["scene"] for row in self.samples}

    @cached_property
    def poses(self) -> dict[str, Row]:
        """Ego pose of every sample, at LIDAR_TOP's stamp."""
        poses = {row["token"]: row for row in self.table("ego_pose")}
        lidar = calibrated_token(LIDAR)
        return {
            row["sample_token"]: poses[row["ego_pose_token"]]
            for row in self.table("sample_data")
            if row["is_key_frame"] and row["calibrated_sensor_token"] == lidar
        }

    @cached_property
    def annotations(self) -> list[Row]:
        """With the names of category, attributes and visibility."""
        category = {row["token"]: row["name"] for row in self.table("category")}
        attribute = {row["token"]: row["name"] for row in self.table("attribute")}
        level = {row["token"]: row["level"] for row in self.table("visibility")}
        of_instance = {row["token"]: category[row["category_token"]] for row in self.table("instance")}
        return [
            row
            | {
                "category": of_instance[row["instance_token"]],
                "attribute": [attribute[token] for token in row["attribute_tokens"]],
                "visibility": level[row["visibility_token"]],
            }
            for row in self.table("sample_annotation")
        ]

    @cached_property
    def plans(self) -> dict[str, Row]:
        return self.read(PLAN_FILE)

    @cached_property
    def commands(self) -> dict[str, str]:
        return self.read(COMMAND_FILE)

    def speeds(self, scene: str) -> tuple[FloatArray, FloatArray]:
        """Times (s) and speeds (m/s) of a scene, from its CAN bus."""
        path = f"can_bus/{scene}_pose.json"
        messages = self.read(path) if (self.root / path).is_file() else []
        return (
            np.array([message["utime"] for message in messages]) * 1e-6,
            np.array([message["vel"][0] for message in messages]),
        )

    def questions(self, split: str) -> list[Row]:
        path = f"{LANGUAGE}/{QA_FILE.format(split=split)}"
        return self.read(path)["questions"] if (self.root / path).is_file() else []

    def narrations(self, split: str) -> dict[str, Row]:
        path = f"{LANGUAGE}/{NU_X_FILE.format(split=split)}"
        return self.read(path) if (self.root / path).is_file() else {}

    @cached_property
    def captions(self) -> dict[str, Row]:
        path = f"{LANGUAGE}/{TOD3CAP_FILE}"
        return self.read(path) if (self.root / path).is_file() else {}


def _split_statistics(tables: _Tables, scenes: set[str]) -> dict[str, Any]:
    samples = [row for row in tables.samples if row["scene"] in scenes]
    tokens = {row["token"] for row in samples}
    annotations = [row for row in tables.annotations if row["sample_token"] in tokens]
    infos = [tables.scenes[name] for name in sorted(scenes)]
    narrations = [entry for token, entry in tables.narrations(_split_of(infos)).items() if token in tokens]
    captions = [tables.captions[row["token"]] for row in annotations if row["token"] in tables.captions]
    facts = [info.get("facts", {}) for info in infos]
    plans = [tables.plans[token] for token in sorted(tokens) if token in tables.plans]
    decisions = [plan["decision"] for plan in plans if plan["decision"] is not None]
    return {
        "scenes": len(scenes),
        "key_frames": len(samples),
        "boxes": len(annotations),
        "tracks": len({row["instance_token"] for row in annotations}),
        "conditions": _counts(info["condition"] for info in infos),
        "scenarios": _counts(str(fact.get("scenario", "unknown")) for fact in facts),
        "locations": _counts(info["location"] for info in infos),
        "endings": _counts(str(fact.get("drive", {}).get("ended", "recording_over")) for fact in facts),
        "pushes": _counts(push["push"] for fact in facts for push in fact.get("pushes", [])),
        "categories": _categories(annotations),
        "attributes": _counts(name for row in annotations for name in row["attribute"]),
        "visibility": _counts(row["visibility"] for row in annotations),
        "distance_m": _histogram(_distances(tables, annotations), DISTANCE_EDGES),
        "commands": _counts(tables.commands[token] for token in sorted(tokens) if token in tables.commands),
        "speed": _histogram(_speeds(tables, samples), SPEED_EDGES),
        "plan_sources": _counts(plan["source"] for plan in plans),
        "plan_curvature": _histogram(
            _curvatures(tables.plans[t] for t in tokens if t in tables.plans), CURVATURE_EDGES
        ),
        "maneuvers": _counts(decision["maneuver"] for decision in decisions),
        "lateral_maneuvers": _counts(decision["lateral"] for decision in decisions),
        "causes": _counts(decision["cause"] for decision in decisions),
        "lateral_causes": _counts(decision["lateral_cause"] for decision in decisions),
        "narration": {
            "entries": len(narrations),
            "distinct_narrations": len({entry["narration"] for entry in narrations}),
            "distinct_reasonings": len({entry["reasoning"] for entry in narrations}),
        },
        "captions": {
            "entries": len(captions),
            "distinct": len({json.dumps(caption.get("final_caption"), sort_keys=True) for caption in captions}),
        },
        "questions": {},
    }


def _split_of(infos: Sequence[Row]) -> str:
    return infos[0]["split"]


def _counts(values: Iterable[str]) -> dict[str, int]:
    """Most frequent first, by name where equal."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _histogram(values: Iterable[float], edges: Sequence[float]) -> dict[str, Any]:
    inside = np.clip(np.fromiter(values, np.float64), edges[0], edges[-1])
    return {"edges": list(edges), "counts": np.histogram(inside, edges)[0].tolist()}


def _categories(annotations: Iterable[Row]) -> dict[str, dict[str, int]]:
    tracks: dict[str, set[str]] = defaultdict(set)
    boxes: Counter[str] = Counter()
    for row in annotations:
        boxes[row["category"]] += 1
        tracks[row["category"]].add(row["instance_token"])
    return {name: {"boxes": count, "tracks": len(tracks[name])} for name, count in _counts(boxes.elements()).items()}


def _distances(tables: _Tables, annotations: Iterable[Row]) -> Iterable[float]:
    for row in annotations:
        ego = tables.poses[row["sample_token"]]["translation"]
        yield float(np.hypot(row["translation"][0] - ego[0], row["translation"][1] - ego[1]))


def _speeds(tables: _Tables, samples: Iterable[Row]) -> Iterable[float]:
    by_scene: dict[str, list[float]] = defaultdict(list)
    for row in samples:
        by_scene[row["scene"]].append(row["timestamp"] * 1e-6)
    for scene, stamps in by_scene.items():
        times, speeds = tables.speeds(scene)
        if len(times):
            yield from np.interp(stamps, times, speeds).tolist()


def _curvatures(plans: Iterable[Mapping[str, Any]]) -> Iterable[float]:
    """Mean curvature of each plan that goes somewhere."""
    for plan in plans:
        points = np.concatenate([np.zeros((1, 2)), np.asarray(plan["points_ego"]).reshape(-1, 2)])
        way = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        if way >= _MIN_WAY_M:
            yield float(wrap_angle(plan["headings_ego"][-1])) / way
