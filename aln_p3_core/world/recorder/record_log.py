"""Records a played-back log: real traffic and a human at the wheel, seen by rendered cameras.

The targets are what the human did. Why is the expert's reading of the situation, for the annotators.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.world.recorder.assembly import read_part
from aln_p3_core.world.recorder.plans import human_plan
from aln_p3_core.world.recorder.scene_writer import SceneInfo, part_path
from aln_p3_core.world.recorder.settings import SCENE_NUMBERS, RecordSettings
from aln_p3_core.world.recorder.take import (
    KEY_FRAME_STEPS,
    SWEEP_STEPS,
    KeyFrameListener,
    SceneTask,
    Take,
    add_key_frame,
    is_last,
    make_expert,
    open_take,
)
from aln_p3_core.world.simulation import STEP_S
from aln_p3_core.world.traffic.recorded_log import RecordedLog


def record_log(
    root: Path, settings: RecordSettings, task: SceneTask, on_key_frame: KeyFrameListener | None = None
) -> None:
    """Records one log from its first instant to its last, or as long as a scene may last.

    Args:
        root, settings: as in `record.record_scene`.
        task: with a log.
        on_key_frame: for progress.
    """
    take = _set_log(settings, task)
    stage = take.stage
    if stage.recorded_ego is None or stage.duration_s is None:
        raise DataError(f"{task.log} has no recorded driver")
    duration_s = min(settings.duration_s, stage.duration_s)
    with open_take(root, settings, take) as (simulation, writer):
        expert = make_expert()
        expert.reset()
        plan_steps = round(1 / (settings.rate_hz * STEP_S))
        for step in range(int(duration_s / STEP_S + 1e-6)):
            is_key = step % KEY_FRAME_STEPS == 0 and not is_last(simulation.state.ego, stage.duration_s)
            is_sweep = settings.sweeps and step % SWEEP_STEPS == 0 and not is_key
            if is_key or is_sweep or step % plan_steps == 0:
                observation = simulation.observe(images=is_key or is_sweep, truth=is_key or is_sweep)
            if is_key or step % plan_steps == 0:
                reading = expert.plan(observation).decision
            if is_key:
                plan = human_plan(stage.recorded_ego, simulation.time_s, stage.duration_s, reading)
                add_key_frame(writer, observation, plan, on_key_frame)
            elif is_sweep:
                writer.add_sweep(observation)
            writer.add_state(simulation.state.ego)
            simulation.advance(ego=stage.recorded_ego((step + 1) * STEP_S))
        writer.add_state(simulation.state.ego)
        writer.finish()


def read_logs(paths: Sequence[Path]) -> dict[str, Path]:
    """The files of logs by the logs' names, which are those of their scenes.

    Raises:
        DataError: when one cannot be read. ConfigError: when two hold the same drive.
    """
    logs: dict[str, Path] = {}
    for path in paths:
        name = RecordedLog.load(path).name
        if name in logs:
            raise ConfigError(f"{logs[name]} and {path} both hold the drive {name!r}; name each drive once")
        logs[name] = path
    return logs


def log_tasks(root: Path, split: str, logs: Sequence[Path]) -> list[SceneTask]:
    """A task for each log. Those that the root has keep their number, new ones take the lowest that are free.

    Raises:
        DataError, ConfigError: as `read_logs`; when the split has no number left.
    """
    taken = _numbers_of_logs(root, split)
    room = len(SCENE_NUMBERS[split])
    free = (index for index in range(room) if index not in taken.values())
    tasks = []
    for name, path in read_logs(logs).items():
        if name not in taken:
            taken[name] = next(free, room)  # beyond the last: the task refuses it
        tasks.append(SceneTask(split, taken[name], log=path))
    return tasks


def _set_log(settings: RecordSettings, task: SceneTask) -> Take:
    from aln_p3_core.world.scenarios.log_stage import open_log_stage

    if task.log is None:
        raise DataError("this scene has no log")
    log = RecordedLog.load(task.log)
    stage = open_log_stage(task.log, "replay")
    weather = settings.weather(settings.seed + crc32(log.name.encode()))
    info = SceneInfo(
        number=task.number,
        split=task.split,
        identity=f"log/{log.name}/{log.token}/{task.split}/{settings.seed}",
        description=f"Recorded drive {log.name} in {log.location}, {weather.condition.value}",
        condition=weather.condition,
        plan_source="human",
        facts={
            "name": log.name,
            "scenario": "recorded_log",
            "city": stage.city.name,
            "location": log.location,
            "driver": "human",
            "log": log.name,
            "log_token": log.token,
            "condition": weather.condition.value,
            "weather_seed": weather.seed,
            "duration_s": stage.duration_s,
        },
        seed=settings.seed,
    )
    return Take(info, stage, weather)


def _numbers_of_logs(root: Path, split: str) -> dict[str, int]:
    """Index within the split of every log that the root has, by the log's name."""
    taken = {}
    for index, number in enumerate(SCENE_NUMBERS[split]):
        path = part_path(root, f"scene-{number:04d}")
        if path.is_file():
            facts = read_part(path)["info"]["facts"]
            taken[str(facts.get("log", json.dumps(facts)))] = index
    return taken
