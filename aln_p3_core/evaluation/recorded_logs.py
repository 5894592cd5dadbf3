"""Real drives as a data set: logs of recorded traffic and a human driver, seen by the world's cameras by day."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aln_p3_core.errors import DataError

#: Split that the logs go to: every scene of the root.
LOG_SPLIT = "mini"


def record_logs(root: Path, logs: Sequence[Path], jobs: int = 1, *, progress: bool = True) -> tuple[str, ...]:
    """Records what the root does not have yet, as `aln-p3 world record --log` does. Returns the scenes of these logs.

    Args:
        root: of the data set.
        logs: .npz files.
        jobs: processes.
        progress: show a progress bar.

    Raises:
        DataError: for a file that is no log, and naming the logs that could not be recorded.
        ConfigError: when the root was recorded with other settings, or nothing can be rendered here.
    """
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.world.recorder.record_log import log_tasks
    from aln_p3_core.world.recorder.recording import record_root
    from aln_p3_core.world.recorder.settings import RecordSettings

    settings = RecordSettings(driver="human", condition="day", perturb=False, language=False)
    recorded = record_root(root, settings, lambda: log_tasks(root, LOG_SPLIT, logs), jobs=jobs, progress=progress)
    if recorded.failed:
        told = "; ".join(f"{scene}: {text.strip().splitlines()[-1]}" for scene, text in recorded.failed.items())
        raise DataError(f"{len(recorded.failed)} logs could not be recorded: {told}")
    own = {task.scene_name for task in log_tasks(root, LOG_SPLIT, logs)}
    return tuple(scene for scene in NuScenesDataset(root).scenes if scene in own)
