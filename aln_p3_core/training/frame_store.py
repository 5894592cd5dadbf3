"""A memory-mapped store of prepared frames: decoded, resized pictures with everything that training reads beside them.

>>> store = FrameStore.build(NuScenesDataset(root), get_recipe("nano"), jobs=2)
>>> store.frame(0).pixels_NHWC, store.targets(0)

A store lies in a folder named after its settings (recipe's pictures, cameras, range, points a line; the data's
choices; the store's own version), so frames of different settings never mix. It consists of shards of a few scenes.
Each scene carries a fingerprint of its data: scenes that are new or have changed get new shards, all others stay.
"""

from __future__ import annotations

import bisect
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.derived_shards import Verification
from aln_p3_core.training.frame_build import ShardWork, build_shards
from aln_p3_core.training.frame_keys import cache_folder, scene_fingerprints, settings_key, store_settings
from aln_p3_core.training.frame_shards import ShardFiles, check_files, read_index, shard_folders
from aln_p3_core.training.frame_targets import to_frame_targets

# Shards that are kept open; each takes up to four file handles.
_OPEN_SHARDS = 128


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """One frame, as views of the stored memory (read-only). N = cameras, H, W = network input.

    Attributes:
        pixels_NHWC: uint8, as `PreparedImages.images_NHWC`.
        rows_N: int, rows from the top that hold the picture.
        model2img_N44: float32. camera_valid_N: bool.
        T_global_model: float64 4x4, model frame -> global frame at the reference stamp.
        stamp_ns: reference stamp.
        can_bus: float64 [18], absolute values (`preprocess.can_bus_vector`).
        ego_status: float64 [8] (`driver.ego_status_vector`).
    """

    pixels_NHWC: NDArray[np.uint8]
    rows_N: NDArray[np.int32]
    model2img_N44: NDArray[np.float32]
    camera_valid_N: NDArray[np.bool_]
    T_global_model: FloatArray
    stamp_ns: int
    can_bus: FloatArray
    ego_status: FloatArray


@dataclass(frozen=True, slots=True)
class SceneFrames:
    """Where a scene's frames lie: frames `first` to `first + len(tokens) - 1` of the store, in time order.

    `row` is the place of its first frame in its shard.
    """

    name: str
    first: int
    tokens: tuple[str, ...]
    shard: Path
    row: int

    @property
    def indices(self) -> range:
        """Of its frames in the store."""
        return range(self.first, self.first + len(self.tokens))


@dataclass(eq=False)
class FrameStore:
    """Frames of some scenes. Cheap to pickle; every process opens the files for itself.

    Attributes:
        location: folder of the shards.
        key: of the settings.
        scenes: in the order that was asked for; frames are numbered scene by scene.
        skipped: token -> why, of the samples of these scenes that could not be read and were left out.
    """

    location: Path
    key: str
    scenes: tuple[SceneFrames, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ends = list(accumulate(len(scene.tokens) for scene in self.scenes))
        if not self._ends or not self._ends[-1]:
            raise DataError(f"the frame store {self.location} holds no frame of the scenes that were asked for")

    @classmethod
    def build(
        cls,
        dataset: NuScenesDataset,
        config: DriverConfig,
        location: str | Path | None = None,
        *,
        scenes: Sequence[str] | None = None,
        jobs: int = 1,
        skip_corrupt: bool = False,
        verify: Verification = "quick",
        progress: bool = True,
    ) -> FrameStore:
        """Opens the store of a data set for a recipe; what is missing, damaged or out of date is made first.

        Args:
            dataset: the data.
            config: recipe.
            location: folder of stores; `<cache>/frames` when None. The store gets a folder of its key in it.
            scenes: names; all when None.
            jobs: processes that build.
            skip_corrupt: leave out samples that cannot be read (`skipped` lists them) instead of stopping.
            verify: "quick" compares sizes and headers, "full" the checksum of every byte.
            progress: show a bar with frames per second.

        Raises:
            DataError: naming a sample that cannot be read, or when the disk is full.
        """
        settings = store_settings(dataset, config)
        key = settings_key(settings)
        folder = (Path(location) if location else cache_folder() / "frames") / key
        names = tuple(scenes if scenes is not None else dataset.scenes)
        fingerprints = scene_fingerprints(dataset, names)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            for partial in folder.glob(".shard-*"):
                shutil.rmtree(partial, ignore_errors=True)
            root = str(dataset.root.resolve())
            # Scenes of several roots may have one name.
            present: set[tuple[str, str]] = set()
            for shard in shard_folders(folder):
                index = _usable(shard, fingerprints, root, verify, skip_corrupt)
                present |= {(scene["name"], scene["fingerprint"]) for scene in index.get("scenes", ())}
            missing = {name: mark for name, mark in fingerprints.items() if (name, mark) not in present}
            if missing:
                work = ShardWork(folder, dataset, config, settings, skip_corrupt)
                build_shards(work, missing, jobs=jobs, progress=progress)
        return cls._opened(folder, names, fingerprints)

    @classmethod
    def open(cls, location: str | Path, scenes: Sequence[str] | None = None) -> FrameStore:
        """Opens a store that was built before, without its data set: for the other processes of a training.

        Args:
            location: folder of the store itself (`FrameStore.location`).
            scenes: names; all that are there when None.

        Raises:
            DataError: when a scene is not there.
        """
        return cls._opened(Path(location), None if scenes is None else tuple(scenes), None)

    @classmethod
    def of_shard(cls, shard: Path) -> FrameStore:
        """The scenes of one shard. (A folder may hold scenes of one name from several roots: `open` takes any.)"""
        scenes: list[SceneFrames] = []
        first = 0
        for scene in read_index(shard)["scenes"]:
            scenes.append(SceneFrames(scene["name"], first, tuple(scene["tokens"]), shard, first))
            first += len(scene["tokens"])
        return cls(shard.parent, shard.parent.name, tuple(scenes))

    @classmethod
    def _opened(cls, folder: Path, names: tuple[str, ...] | None, fingerprints: dict[str, str] | None) -> FrameStore:
        found: dict[str, tuple[dict[str, Any], Path, int, dict[str, str]]] = {}
        for shard in shard_folders(folder):
            index = read_index(shard)
            row = 0
            for scene in index["scenes"]:
                if fingerprints is None or fingerprints.get(scene["name"]) == scene["fingerprint"]:
                    lost = {s["token"]: s["reason"] for s in index["skipped"] if s["scene"] == scene["name"]}
                    found[scene["name"]] = (scene, shard, row, lost)
                row += len(scene["tokens"])
        names = tuple(sorted(found)) if names is None else names
        absent = [name for name in names if name not in found]
        if absent:
            raise DataError(f"{folder} does not hold {', '.join(absent[:5])}: build the store for these scenes")
        scenes: list[SceneFrames] = []
        skipped: dict[str, str] = {}
        first = 0
        for name in names:
            scene, shard, row, lost = found[name]
            scenes.append(SceneFrames(name, first, tuple(scene["tokens"]), shard, row))
            skipped |= lost
            first += len(scene["tokens"])
        return cls(folder, folder.name, tuple(scenes), skipped)

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def tokens(self) -> tuple[str, ...]:
        """Sample tokens of all frames."""
        return tuple(token for scene in self.scenes for token in scene.tokens)

    @property
    def shards(self) -> list[Path]:
        """Folders of the shards that hold these scenes, each once."""
        return list(dict.fromkeys(scene.shard for scene in self.scenes))

    def scene_at(self, index: int) -> SceneFrames:
        """The scene that a frame belongs to."""
        if not 0 <= index < len(self):
            raise IndexError(f"the store has {len(self)} frames, there is no frame {index}")
        return self.scenes[bisect.bisect_right(self._ends, index)]

    def indices_of(self, scenes: Sequence[str]) -> NDArray[np.int64]:
        """Indices of all frames of the named scenes."""
        by_name = {scene.name: scene for scene in self.scenes}
        absent = [name for name in scenes if name not in by_name]
        if absent:
            raise DataError(f"the frame store does not hold {', '.join(absent[:5])}")
        return np.array([i for name in scenes for i in by_name[name].indices], dtype=np.int64)

    def place(self, index: int) -> tuple[Path, int]:
        """Folder of the shard that holds a frame, and its row there."""
        scene = self.scene_at(index)
        return scene.shard, scene.row + index - scene.first

    def frame(self, index: int) -> StoredFrame:
        """A frame, without a copy."""
        folder, row = self.place(index)
        files = _shard(folder)
        record = files.frames[row]
        return StoredFrame(
            pixels_NHWC=files.pixels[row],
            rows_N=record["rows"],
            model2img_N44=record["model2img"],
            camera_valid_N=record["camera_valid"],
            T_global_model=record["T_global_model"],
            stamp_ns=int(record["stamp_ns"]),
            can_bus=record["can_bus"],
            ego_status=record["ego_status"],
        )

    def targets(self, index: int) -> FrameTargets:
        """Ground truth of a frame."""
        scene = self.scene_at(index)
        offset = index - scene.first
        return to_frame_targets(scene.tokens[offset], _shard(scene.shard).targets(scene.row + offset))

    def token_at(self, index: int) -> str:
        """Sample token of a frame."""
        scene = self.scene_at(index)
        return scene.tokens[index - scene.first]

    def agent_centers(self, index: int) -> NDArray[np.float32]:
        """[A, 3] centres of a frame's target agents, m, model frame; a view."""
        folder, row = self.place(index)
        return _shard(folder).agents_of(row)["box"][:, [0, 1, 4]]

    def column(self, name: str) -> NDArray[Any]:
        """One field of `frame_shards.frame_dtype` for all frames, e.g. "command" or "plan_offsets"; a copy."""
        parts = [_shard(s.shard).frames[name][s.row : s.row + len(s.tokens)] for s in self.scenes]
        return np.concatenate(parts)


@lru_cache(maxsize=_OPEN_SHARDS)
def _shard(folder: Path) -> ShardFiles:
    return ShardFiles(folder)


def _usable(
    shard: Path, fingerprints: dict[str, str], root: str, verify: Verification, skip_corrupt: bool
) -> dict[str, Any]:
    """The index of a shard that may be used; else the shard is removed and {} comes back."""
    try:
        index = read_index(shard)
        check_files(shard, index["files"], full=verify == "full")
    except DataError:
        index = {}
    outdated = index.get("root") == root and any(
        fingerprints.get(scene["name"], scene["fingerprint"]) != scene["fingerprint"] for scene in index["scenes"]
    )
    if not index or outdated or (index["skipped"] and not skip_corrupt):
        _shard.cache_clear()
        shutil.rmtree(shard)
        return {}
    return index


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time builds in a folder; others wait, and then find it done."""
    with (folder / ".lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
