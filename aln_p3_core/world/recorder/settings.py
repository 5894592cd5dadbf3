"""What a root was recorded with: `RecordSettings`, kept in the root so that it never holds two kinds of data."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from aln_p3_core.calibration import load_calibration, save_calibration
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.closed_loop.settings import RATES_HZ
from aln_p3_core.world.recorder.scene_writer import JPEG_QUALITY, PARTS
from aln_p3_core.world.recorder.tables import write_json
from aln_p3_core.world.rig import SIZES, world_rig
from aln_p3_core.world.weather import Condition, Weather, draw_weather

SETTINGS_FILE = "recording.json"
#: Calibration of the root's cameras, as `driver_node` and `aln-p3 world record --calibration` read it.
RIG_FILE = "rig.json"
#: Rises when the recorder itself changes what it writes for the same settings.
FORMAT = 1
WORLD_RIG = "world"
#: Length of a scene, as in nuScenes.
SCENE_S = 20.0

#: Scene numbers of each split, all beyond those of nuScenes itself: its scene lists and the CAN bus class's lists
#: of bad scenes never mean one of these.
SCENE_NUMBERS: Mapping[str, range] = {
    "train": range(2000, 7000),
    "val": range(7000, 8000),
    "heldout": range(8000, 9000),
    "mini": range(9000, 10000),
}
SPLITS = tuple(SCENE_NUMBERS)


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """Everything beside the scenes themselves that decides what is written. One root has one of it.

    Attributes:
        driver: who drives: "expert", "human" (recorded logs), or the name of a planner whose states the expert labels.
        seed: of the episodes, of the perturbations and of the words.
        size: width and height of the pictures, pixels (of the widest camera, where a rig of one's own differs).
        rig: "world", or a hash of another rig's calibrations.
        duration_s: of a scene at most.
        rate_hz: plans a second. At every key frame there is one in any case.
        condition: light and weather of every scene; "" draws them by lot.
        perturb: push the expert off its way, so that it shows how to come back.
        halts: with `perturb`, also bring it to a stand now and then.
        sweeps: pictures and LiDAR at 10 Hz, not only at key frames.
        language: narrate, caption and ask.
        wording: split whose words are used in all splits; "": every split has words of its own (docs/language.md).
        quality: of the JPEG files, 1..100.
        antialias: four samples a pixel.
        format: of the recorder.
    """

    driver: str = "expert"
    seed: int = 0
    size: tuple[int, int] = SIZES[0]
    rig: str = WORLD_RIG
    duration_s: float = SCENE_S
    rate_hz: int = 4
    condition: str = ""
    perturb: bool = True
    halts: bool = False
    sweeps: bool = False
    language: bool = True
    wording: str = ""
    quality: int = JPEG_QUALITY
    antialias: bool = False
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.rate_hz not in RATES_HZ:
            raise ConfigError(f"a planning rate of {self.rate_hz} Hz does not fit the physics; choose from {RATES_HZ}")
        if not 0.5 <= self.duration_s <= 200:
            raise ConfigError(f"a scene lasts 0.5 to 200 s, not {self.duration_s:g}")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"the quality of JPEG files is 1 to 100, not {self.quality}")
        if self.halts and not self.perturb:
            raise ConfigError("halts are perturbations; record with both or with neither")
        if self.condition and self.condition not in {condition.value for condition in Condition}:
            raise ConfigError(f"no condition {self.condition!r}; choose from {', '.join(c.value for c in Condition)}")
        if self.rig == WORLD_RIG and tuple(self.size) not in SIZES:
            sizes = ", ".join(f"{w}x{h}" for w, h in SIZES)
            raise ConfigError(f"the world renders {sizes}; {self.size[0]}x{self.size[1]} is none of them")

    def weather(self, seed: int) -> Weather:
        """Of a scene: its condition drawn from the seed, unless the settings name it."""
        return draw_weather(seed, Condition(self.condition) if self.condition else None)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self) | {"size": list(self.size)}


def with_rig(settings: RecordSettings, rig: Mapping[str, CameraCalibration] | None) -> RecordSettings:
    """The settings for a rig of one's own (None: the world's, in `settings.size`)."""
    if rig is None:
        return replace(settings, rig=WORLD_RIG)
    widest = max(rig.values(), key=lambda camera: camera.width)
    text = " ".join(f"{name}:{camera.fingerprint}" for name, camera in rig.items())
    return replace(settings, rig=sha256(text.encode()).hexdigest()[:16], size=(widest.width, widest.height))


def read_rig(path: Path, width: int | None = None) -> dict[str, CameraCalibration]:
    """A rig from a calibration file, its pictures scaled to `width` (None: as the file has them).

    Raises:
        CalibrationError: naming what is wrong with the file.
    """
    rig = load_calibration(path)
    return rig if width is None else {name: _scaled(camera, width) for name, camera in rig.items()}


def prepare_root(
    root: Path, settings: RecordSettings, rig: Mapping[str, CameraCalibration] | None = None
) -> RecordSettings:
    """Makes a root ready to be recorded into, or checks that it was recorded with the same settings.

    Args:
        root: of the data set; created when it is not there.
        settings: to record with.
        rig: cameras of one's own; None for the world's.

    Returns:
        The settings with the rig in them.

    Raises:
        ConfigError: naming every setting in which the root differs.
        DataError: when the folder holds something else.
    """
    settings = with_rig(settings, rig)
    path = root / SETTINGS_FILE
    if path.is_file():
        _require_same(root, stored_settings(root), settings.to_json())
        return settings
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} is not empty and was not recorded here (no {SETTINGS_FILE}); give a new folder")
    (root / PARTS).mkdir(parents=True, exist_ok=True)
    save_calibration(root / RIG_FILE, rig or world_rig(*settings.size))
    write_json(path, settings.to_json())
    return settings


def stored_settings(root: Path) -> dict[str, Any]:
    """What a root was recorded with. Raises DataError where the file is missing or broken."""
    path = root / SETTINGS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); give a root that `aln-p3 world record` made") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold an object; record the data set again")
    return content


def root_rig(root: Path) -> dict[str, CameraCalibration]:
    """The cameras of a root, as all of its scenes have them."""
    return load_calibration(root / RIG_FILE)


@contextmanager
def only_recording(root: Path) -> Iterator[None]:
    """Holds the root: a second recording into it at the same time is refused."""
    with (root / PARTS / ".lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"another process is recording into {root}; wait for it, or give another root") from None
        yield


def _require_same(root: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    stored = RecordSettings().to_json() | dict(stored)  # a setting that is newer than the root has its default there
    names = [name for name in {**stored, **asked} if stored.get(name) != asked.get(name)]
    if names:
        differences = "; ".join(f"{name} is {_told(stored.get(name))}, not {_told(asked.get(name))}" for name in names)
        raise ConfigError(
            f"{root} was recorded with other settings: {differences}. Record with the same ones, or into another root"
        )


def _told(value: object) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return "not set" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)


def _scaled(camera: CameraCalibration, width: int) -> CameraCalibration:
    """The same camera with pictures of another width: pixel (u, v) becomes (u, v) times the scale."""
    scale = width / camera.width
    intrinsic = np.diag([scale, scale, 1.0]) @ camera.intrinsic
    return CameraCalibration(intrinsic, camera.T_ego_cam, width, round(camera.height * scale))
