"""Records many scenes into a root: in several processes, with progress, and again from where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.recorder.assembly import assemble_root
from aln_p3_core.world.recorder.jobs import Work, run_tasks
from aln_p3_core.world.recorder.record import record_scene
from aln_p3_core.world.recorder.scene_writer import PARTS, part_path
from aln_p3_core.world.recorder.settings import RecordSettings, only_recording, prepare_root
from aln_p3_core.world.recorder.tables import remove_leftovers
from aln_p3_core.world.recorder.take import KEY_FRAME_STEPS, SceneTask
from aln_p3_core.world.simulation import STEP_S


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording came to.

    Attributes:
        scenes: all that the root holds now.
        new: those that were recorded this time.
        failed: scene name -> what went wrong.
        key_frames: that were written this time. seconds: that it took, assembly included.
    """

    scenes: tuple[str, ...]
    new: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    key_frames: int = 0
    seconds: float = 0.0


def record_root(
    root: Path,
    settings: RecordSettings,
    tasks: Sequence[SceneTask] | Callable[[], Sequence[SceneTask]],
    *,
    rig: Mapping[str, CameraCalibration] | None = None,
    jobs: int = 1,
    progress: bool = False,
    work: Callable[..., None] = record_scene,
) -> Recorded:
    """Records the scenes that are not finished yet, then makes the tables of all.

    A scene counts as finished when its part is there, which is written last and in one piece: after a kill the same
    call goes on and ends with the same bytes as if nothing had happened. One scene's error does not stop the others.

    Args:
        root: of the data set.
        settings: a root has one of it.
        tasks: which scenes; or a function that tells them when the root is ready.
        rig: cameras of one's own; None for the world's.
        jobs: processes.
        progress: show a bar.
        work: `work(root, settings, task, on_progress)` records one; picklable when there are several jobs.

    Raises:
        ConfigError: when the root was recorded with other settings.
        DataError: when the folder holds something else, or nothing could be recorded.
    """
    begun = perf_counter()
    root = Path(root)
    settings = prepare_root(root, settings, rig)
    with only_recording(root):
        for folder in (root / PARTS, root / "maps", root / "maps" / "expansion", root / "can_bus"):
            remove_leftovers(folder)
        wanted = tasks() if callable(tasks) else tasks
        missing = [task for task in wanted if not part_path(root, task.scene_name).is_file()]
        log = _Progress(len(missing), settings, progress)
        with log:
            run_tasks(missing, _bound(work, root, settings), jobs, on_progress=log.key_frame, on_end=log.scene)
        if log.failed and len(log.failed) == len(missing) and not any((root / PARTS).glob("scene-*.json")):
            scenes: list[str] = []
        else:
            scenes = assemble_root(root)
    new = tuple(task.scene_name for task in missing if task.scene_name not in log.failed)
    return Recorded(tuple(scenes), new, log.failed, log.key_frames, perf_counter() - begun)


def _bound(work: Callable[..., None], root: Path, settings: RecordSettings) -> Work:
    return partial(_call, work, root, settings)


def _call(
    work: Callable[..., None], root: Path, settings: RecordSettings, task: Any, on_progress: Callable[[], None]
) -> None:
    work(root, settings, task, on_progress)


class _Progress:
    """Counts key frames and scenes, and shows them."""

    def __init__(self, scenes: int, settings: RecordSettings, shown: bool) -> None:
        self.key_frames = 0
        self.failed: dict[str, str] = {}
        self._scenes = scenes
        self._done = 0
        total = scenes * round(settings.duration_s / STEP_S) // KEY_FRAME_STEPS
        self._bar = tqdm(total=total, unit=" key frames", disable=not shown or not scenes, dynamic_ncols=True)

    def __enter__(self) -> _Progress:
        self._show()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def key_frame(self) -> None:
        self.key_frames += 1
        self._bar.update()

    def scene(self, task: SceneTask, problem: str | None) -> None:
        self._done += 1
        if problem is not None:
            self.failed[task.scene_name] = problem
            self._bar.write(f"{task.scene_name} failed: {problem.strip().splitlines()[-1]}")
        self._show()

    def _show(self) -> None:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        self._bar.set_description_str(f"{self._done}/{self._scenes} scenes{failed}")
