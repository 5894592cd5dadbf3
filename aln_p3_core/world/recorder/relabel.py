"""Records the states that a planner reaches when it drives, labelled with what the expert would do there (DAgger)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.planners.planner import Planner
from aln_p3_core.world.recorder.record import record_take, set_episode
from aln_p3_core.world.recorder.recording import Recorded, record_root
from aln_p3_core.world.recorder.settings import RecordSettings
from aln_p3_core.world.recorder.take import KeyFrameListener, SceneTask, make_expert


@dataclass(frozen=True)
class DrivenBy:
    """Records scenes driven by a planner. Picklable: each process makes its own planner.

    Attributes:
        planner: a planner's name, or path of a checkpoint (`planners.registry.make_planner`).
        options: of the planner.
    """

    planner: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(
        self, root: Path, settings: RecordSettings, task: SceneTask, on_key_frame: KeyFrameListener | None = None
    ) -> None:
        driver = _planner(self.planner, tuple(sorted(self.options.items())))
        record_driven_scene(root, settings, task, driver, on_key_frame)


def record_driven(
    root: Path,
    planner: str,
    episodes: Sequence[Episode],
    *,
    split: str = "train",
    settings: RecordSettings | None = None,
    rig: Mapping[str, CameraCalibration] | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Recorded:
    """Drives episodes with a planner in closed loop and records what it comes to, with the expert's plan at every
    key frame as the target. A drive ends with the episode, at a collision, or when the planner is lost or stuck.

    Args:
        root: of the data set; resumable and guarded as `recording.record_root` does it.
        planner: name, or path of a checkpoint.
        episodes: what to drive; scene k of the split is episode k.
        split: under which the scenes are listed.
        settings: how to record. Its driver is the planner; nobody pushes the car.
        rig: cameras of one's own; None for the world's.
        options: of the planner, such as its device.
        jobs: processes; each has its own planner.
        progress: show a bar.
    """
    name = _named(planner, str((options or {}).get("precision", "auto")))
    settings = replace(settings or RecordSettings(rate_hz=2), driver=name, perturb=False, halts=False)
    tasks = [SceneTask(split, index, episode=episode) for index, episode in enumerate(episodes)]
    work = DrivenBy(planner, dict(options or {}))
    return record_root(root, settings, tasks, rig=rig, jobs=jobs, progress=progress, work=work)


def record_driven_scene(
    root: Path,
    settings: RecordSettings,
    task: SceneTask,
    driver: Planner,
    on_key_frame: KeyFrameListener | None = None,
) -> None:
    """Records one scene that `driver` drives and the expert labels."""
    take = set_episode(settings, task, name=driver.name)
    record_take(root, settings, take, driver, teacher=make_expert(), on_key_frame=on_key_frame)


def _named(planner: str, precision: str) -> str:
    """The planner's name, of a checkpoint with the beginning of its weights' hash: another training of the same name
    is another driver, and gets a root of its own. So does one that is asked for another precision."""
    from aln_p3_core.driver.checkpoint import load_checkpoint
    from aln_p3_core.world.planners.registry import PLANNERS, UNGUARDED, UNTRAINED, find_checkpoint

    computed = "" if precision == "auto" else f"-{precision}"
    if planner in PLANNERS or planner.startswith(UNTRAINED):
        return f"{planner}{computed}"
    path = find_checkpoint(planner)
    guard = UNGUARDED if planner.startswith(UNGUARDED) else ""
    digest = f"-{load_checkpoint(path)[2]['sha256'][:12]}" if path.suffix == ".safetensors" else ""
    return f"{guard}{path.stem}{digest}{computed}"


@lru_cache(maxsize=1)
def _planner(name: str, options: tuple[tuple[str, Any], ...]) -> Planner:
    from aln_p3_core.world.planners.registry import make_planner

    return make_planner(name, **dict(options))
