"""What an evaluation is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: What can be measured, in the order of the report.
SUITES = ("planning", "detection", "map", "motion", "language", "closed_loop")
ALL_SUITES = "all"


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate.

    Attributes:
        subjects: checkpoints, "untrained:RECIPE", or planners' names.
        report: folder that the report goes to; predictions and drives are kept there for the next time.
        data: root in nuScenes schema; needed for everything but the closed loop.
        split: of the root's scenes, and of the cities of the closed loop.
        suites: of SUITES, or ALL_SUITES.
        jobs: processes. threads: CPU threads of a network in each.
        batch: scenes that go through a network in step; 0: as `DriverPredictor` has it.
        maps: folder of BEV maps that are kept (`DriverPredictor.maps`); None keeps none.
        rates_hz: frames a second that drivers meet (`drive_frames`); the first is the main one.
        per_scene: a row for each scene beside.
        logs: files of recorded drives (.npz), evaluated too, with a row for each.
        explainers: of the suite "language": one for all drivers, or one for each; none: those that lie beside the
            drivers' files or ship with them (`find_explainers`).
        language_samples: key frames that are spoken about, evenly spread; 0 for all. language_tasks: groups of texts
            (`language.writing.TASK_GROUPS`). language_captions, language_questions: of each of these frames; 0
            for all.
        texts: folder with the texts of the data set, where its root has none of its own (`find_language`).
        train_texts: root or folder with the texts of a training, which rows to compare with take; None: where the
            evaluated texts lie (`language.priors`).
        scenes_limit: only so many scenes, evenly spread over the split; 0 for all.
        routes, seeds, drive_rate_hz: of the closed loop.
        device, precision: of drivers; the closed loop has no device of its own.
        fresh: predict and drive everything again.
        command: the command line, for the card.
        progress: show progress bars.
    """

    subjects: tuple[str, ...]
    report: Path
    data: Path | None = None
    split: str = "val"
    suites: tuple[str, ...] = (ALL_SUITES,)
    jobs: int = 1
    threads: int = 1
    batch: int = 0
    maps: Path | None = None
    rates_hz: tuple[int, ...] = (2,)
    per_scene: bool = False
    logs: tuple[Path, ...] = ()
    explainers: tuple[str, ...] = ()
    language_samples: int = 100
    language_tasks: tuple[str, ...] = ("explanation", "caption", "question", "command", "online")
    language_captions: int = 4
    language_questions: int = 4
    texts: Path | None = None
    train_texts: Path | None = None
    scenes_limit: int = 0
    routes: str = "all"
    seeds: int = 3
    drive_rate_hz: int = 2
    device: str = "auto"
    precision: str = "auto"
    fresh: bool = False
    command: str = ""
    progress: bool = True
