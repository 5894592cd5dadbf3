"""What a driver says about the samples of a data set: `SamplePrediction`, `DriverPredictor`, `predict`.

    predictor = DriverPredictor("out/nano/driver.safetensors")
    predictions = predict(predictor, NuScenesDataset(root), ["scene-7000"], jobs=2, folder=Path("out/report"))

Scenes are driven whole and in time order, with the driver's memory, through the same JPEG files, decoding and code as
on the road. One by one (the default on a CPU) a scene's numbers depend on nothing but the scene, and any number of
processes gives the same ones. Several in step (`DriverPredictor.batch`) differ from these in the last digits.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.drive_frames import drive_frames
from aln_p3_core.evaluation.prediction_files import load_predictions, save_predictions
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.runtime.threads import cpu_threads
from aln_p3_core.world.recorder.jobs import run_tasks

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.driver.driver import Driver
    from aln_p3_core.driver.frame_driver import Inference
    from aln_p3_core.frame import DrivingFrame
    from aln_p3_core.scene import DrivingScene

__all__ = ["DriverPredictor", "Predictor", "SamplePrediction", "predict"]

EgoStatusGiven = Literal["recorded", "withheld"]

#: Scenes that go through the network in step on a GPU.
BATCH_GPU = 16
#: Sources that decide what a driver says: predictions of other sources are not used again.
_DECIDING_SOURCES = ("driver", "datasets", "evaluation/drive_frames.py", "evaluation/predictions.py", "config.py",
                     "frame.py", "geometry.py", "preprocess.py", "scene.py")  # fmt: skip


class Predictor(Protocol):
    """Predicts scene by scene. Sent to other processes by pickling."""

    def identity(self) -> Mapping[str, Any]:
        """What decides the predictions beside the data, JSON-ready."""

    def scenes(
        self, dataset: NuScenesDataset, scene_names: Sequence[str], on_sample: Callable[[], None] = lambda: None
    ) -> dict[str, list[SamplePrediction]]:
        """Predictions of all key frames of scenes in time order, by scene; `on_sample` is called after each."""

    @property
    def group(self) -> int:
        """Scenes that are predicted together."""


@dataclass
class DriverPredictor:
    """A `Driver` over recorded scenes.

    Attributes:
        source: path of a checkpoint, or "untrained:RECIPE".
        ego_status: "recorded" gives the driver the vehicle's motion as the data set has it (it reads that only where
            its recipe says so), "withheld" gives it none.
        rate_hz: 2 drives the key frames alone, 10 the sweeps between them too (see `drive_frames`).
        perception: keep agents and map elements, not only plans.
        device, precision: as `Driver` takes them.
        threads: CPU threads of the network. Not a matter of speed alone: the last digits depend on it.
        batch: scenes that go through the network in step (`driver.lockstep`); 0: one on a CPU, BATCH_GPU on a GPU.
        maps: folder of the encoder's maps (`driver.kept_maps`), for scenes one by one; never changes a number. None
            keeps none.
    """

    source: str | Path
    ego_status: EgoStatusGiven = "recorded"
    rate_hz: int = 2
    perception: bool = True
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    batch: int = 0
    maps: Path | None = None
    _driver: Driver | None = field(default=None, repr=False, compare=False)

    @property
    def driver(self) -> Driver:
        """Loaded when first asked for. Raises CheckpointError or ConfigError as `Driver` does."""
        if self._driver is None:
            import torch

            from aln_p3_core.driver.driver import Driver
            from aln_p3_core.driver.kept_maps import KeptMaps
            from aln_p3_core.world.planners.registry import UNTRAINED

            options: dict[str, Any] = {"device": self.device, "precision": self.precision}
            name = str(self.source)
            if name.startswith(UNTRAINED):
                self._driver = Driver.from_recipe(name.removeprefix(UNTRAINED), **options)
            else:
                self._driver = Driver.from_checkpoint(name, **options)
            if self.maps is not None:
                self._driver.kept_maps = KeptMaps(
                    self.maps,
                    self._driver.network,
                    {
                        "device": self._driver.device.type,
                        "precision": self._driver.precision,
                        "threads": self.threads,
                        "torch": torch.__version__,
                        "sources": _source_hash(),
                    },
                )
        return self._driver

    @property
    def reads_ego_status(self) -> bool:
        """Whether withholding the ego status can change anything."""
        return self.driver.config.ego_status != "none"

    @property
    def group(self) -> int:
        """See `Predictor`."""
        return self.batch or (1 if self.driver.device.type == "cpu" else BATCH_GPU)

    def with_settings(self, **changes: Any) -> DriverPredictor:
        """The same driver, asked in another way (`ego_status`, `rate_hz`, `perception`)."""
        return replace(self, **changes)

    def identity(self) -> Mapping[str, Any]:
        """See `Predictor`."""
        from aln_p3_core.config import to_dict

        driver = self.driver
        return {
            "checkpoint_hash": driver.checkpoint_hash,
            "recipe": to_dict(driver.config),
            "ego_status": self.ego_status,
            "rate_hz": self.rate_hz,
            "perception": self.perception,
            "device": driver.device.type,
            "precision": driver.precision,
            "threads": self.threads if driver.device.type == "cpu" else 0,
            **({"batch": self.group} if self.group > 1 else {}),
        }

    def scenes(
        self, dataset: NuScenesDataset, scene_names: Sequence[str], on_sample: Callable[[], None] = lambda: None
    ) -> dict[str, list[SamplePrediction]]:
        """See `Predictor`."""
        found: dict[str, list[SamplePrediction]] = {name: [] for name in scene_names}
        for scene_name, inference, is_key_frame in self.drive(dataset, scene_names):
            if not is_key_frame:
                continue
            prediction = prediction_of(self.driver.scene(inference), scene_name)
            found[scene_name].append(
                prediction if self.perception else replace(prediction, agents=None, map_elements=None)
            )
            on_sample()
        return found

    def drive(
        self, dataset: NuScenesDataset, scene_names: Sequence[str], until: Mapping[str, str] | None = None
    ) -> Iterator[tuple[str, Inference, bool]]:
        """Every frame of the scenes: the scene's name, the raw result, and whether it is a key frame.

        Several scenes go in step, else each by itself. `until`: the last key frame of a scene that anybody needs.
        """
        drives = [self._frames(dataset, name, (until or {}).get(name)) for name in scene_names]
        with cpu_threads(self.threads):
            if self.group > 1:
                yield from self._in_step(scene_names, drives)
            else:
                for name, frames in zip(scene_names, drives, strict=True):
                    self.driver.reset("new scene")
                    for frame, is_key_frame in frames:
                        yield name, self.driver.infer(frame), is_key_frame

    def _frames(
        self, dataset: NuScenesDataset, scene_name: str, last: str | None
    ) -> Iterator[tuple[DrivingFrame, bool]]:
        for recorded, is_key_frame in drive_frames(dataset, scene_name, self.rate_hz):
            yield recorded if self.ego_status == "recorded" else replace(recorded, ego_status=None), is_key_frame
            if is_key_frame and recorded.token == last:
                return

    def _in_step(
        self, scene_names: Sequence[str], drives: Sequence[Iterator[tuple[DrivingFrame, bool]]]
    ) -> Iterator[tuple[str, Inference, bool]]:
        from aln_p3_core.driver.lockstep import Lockstep

        lockstep = Lockstep(self.driver, len(drives))
        while True:
            met = [next(frames, None) for frames in drives]
            if all(one is None for one in met):
                return
            inferences = lockstep.infer([None if one is None else one[0] for one in met])
            for name, one, inference in zip(scene_names, met, inferences, strict=True):
                if one is not None and inference is not None:
                    yield name, inference, one[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_driver": None}  # each process loads its own


def prediction_of(scene: DrivingScene, scene_name: str) -> SamplePrediction:
    """What metrics read of a driver's output; `scene_name` is the data set's."""
    plans = np.asarray(scene.plan.trajectories_model, dtype=np.float64)
    return SamplePrediction(
        token=scene.token,
        scene=scene_name,
        command=scene.plan.command,
        plan_model=plans[scene.plan.command.command.value],
        plans_model=plans,
        agents=scene.agents,
        map_elements=scene.map_elements,
    )


def predict(
    predictor: Predictor,
    dataset: NuScenesDataset,
    scene_names: Sequence[str],
    jobs: int = 1,
    *,
    folder: Path | None = None,
    label: str = "predict",
    fresh: bool = False,
    progress: bool = True,
) -> list[SamplePrediction]:
    """Predictions of whole scenes, in the order of `scene_names` and of time.

    Args:
        predictor: who predicts.
        dataset: of the scenes; other processes open it again themselves.
        jobs: processes that share the scenes. Never changes a number.
        folder: keeps the predictions, a file a scene, and takes those that are there and still hold: made of the same
            weights, settings, sources and data. None keeps nothing.
        label: names the progress bar.
        fresh: predicts everything again.
        progress: show a progress bar on stderr.

    Raises:
        DataError: for a scene that is not there, and naming the scenes that could not be predicted and why.
    """
    from tqdm import tqdm

    samples = {name: len(dataset.scene_tokens(name)) for name in scene_names}
    keys = prediction_keys(predictor, dataset, list(samples))
    problems: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = folder or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        files = {name: home / f"{name}.npz" for name in samples}
        found: dict[str, list[SamplePrediction]] = {}
        for name in () if fresh else samples:
            kept = load_predictions(files[name], keys[name])
            if kept is not None:
                found[name] = kept
        waiting = [name for name in samples if name not in found]
        bar = tqdm(total=sum(samples[n] for n in waiting), desc=label, unit="frame", file=sys.stderr,
                   disable=not progress or not waiting)  # fmt: skip

        def ended(names: Sequence[str], problem: str | None) -> None:
            if problem is not None:
                problems.update(dict.fromkeys(names, problem))

        with bar:
            work = _PredictScenes(predictor, dataset, files, keys)
            groups = grouped(waiting, predictor.group)
            run_tasks(groups, work, jobs, on_progress=lambda: bar.update() and None, on_end=ended)
        if problems:
            told = "; ".join(f"{name}: {text.strip().splitlines()[-1]}" for name, text in problems.items())
            raise DataError(f"{len(problems)} of {len(samples)} scenes could not be predicted: {told}")
        for name in waiting:
            kept = load_predictions(files[name], keys[name])
            if kept is None:
                raise DataError(f"{files[name]} cannot be read back; is the disk full? Free some space and try again")
            found[name] = kept
    return [prediction for name in samples for prediction in found[name]]


def prediction_keys(predictor: Predictor, dataset: NuScenesDataset, scene_names: Sequence[str]) -> dict[str, str]:
    """A hash for each scene of everything that its predictions depend on: weights, settings, sources and data.

    Image files count by name, size and time of change, not by their bytes.
    """
    common = json.dumps([dict(predictor.identity()), dataset.choices, _source_hash()], sort_keys=True)
    keys = {}
    for name in scene_names:
        digest = hashlib.sha256(common.encode())
        for record in dataset.sensor_records(name):
            stat = record.path.stat() if record.path.exists() else None
            where = f"{record.channel} {record.stamp_ns} {record.path.name} {record.is_key_frame}"
            digest.update(f"{where} {stat and (stat.st_size, stat.st_mtime_ns)}".encode())
            digest.update(record.T_global_ego.tobytes() + record.T_ego_sensor.tobytes())
            digest.update(b"" if record.intrinsic is None else record.intrinsic.tobytes())
        for token in dataset.scene_tokens(name):
            command = dataset.command_of(token)
            digest.update(f"{token} {command.command.name} {command.provenance.name}".encode())
        can_bus = dataset.root / "can_bus" / f"{name}_pose.json"
        digest.update(can_bus.read_bytes() if can_bus.is_file() else b"")
        keys[name] = digest.hexdigest()
    return keys


def grouped(names: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """The names in groups of at most `size`, in order."""
    return [tuple(names[first : first + size]) for first in range(0, len(names), size)]


@dataclass(frozen=True)
class _PredictScenes:
    """Predicts a group of scenes, each into its file."""

    predictor: Predictor
    dataset: NuScenesDataset
    files: Mapping[str, Path]
    keys: Mapping[str, str]

    def __call__(self, task: Sequence[str], on_progress: Callable[[], None]) -> None:
        for name, found in self.predictor.scenes(self.dataset, task, on_progress).items():
            save_predictions(self.files[name], self.keys[name], found)


def _source_hash() -> str:
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for name in _DECIDING_SOURCES:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(package)).encode() + file.read_bytes())
    return digest.hexdigest()
