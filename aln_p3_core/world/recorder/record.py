"""Records scenes: one drive each, with pictures, truth, and the teacher's plan at every key frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aln_p3_core.world.closed_loop.monitor import Monitor, Status
from aln_p3_core.world.closed_loop.runner import identity_of
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.planners.planner import Planner
from aln_p3_core.world.recorder.disturbance import Disturbances
from aln_p3_core.world.recorder.record_log import record_log
from aln_p3_core.world.recorder.scene_writer import SceneInfo
from aln_p3_core.world.recorder.settings import RecordSettings
from aln_p3_core.world.recorder.take import (
    KEY_FRAME_STEPS,
    SWEEP_STEPS,
    KeyFrameListener,
    SceneTask,
    Take,
    add_key_frame,
    make_expert,
    open_take,
)
from aln_p3_core.world.simulation import STEP_S

#: How far plans look ahead. So long before a collision the expert's plans are no example to anybody.
PLAN_S = 3.0


def record_scene(
    root: Path, settings: RecordSettings, task: SceneTask, on_key_frame: KeyFrameListener | None = None
) -> None:
    """Records a scene driven by the expert, or a recorded log driven by its human.

    Args:
        root: made ready by `settings.prepare_root`.
        settings: those that the root was made ready with.
        task: which scene.
        on_key_frame: for progress.
    """
    if task.log is not None:
        record_log(root, settings, task, on_key_frame)
        return
    take = set_episode(settings, task)
    record_take(root, settings, take, make_expert(), on_key_frame=on_key_frame)


def set_episode(settings: RecordSettings, task: SceneTask, *, name: str = "") -> Take:
    """The stage of an episode. `name` tells drives of the same episode by different drivers apart."""
    from aln_p3_core.world.scenarios import draw_episode, open_stage

    episode = task.episode or draw_episode(task.split, settings.seed, task.index)
    if settings.condition:
        episode = replace(episode, weather=settings.weather(episode.weather.seed))
    stage = open_stage(episode)
    identity = "/".join(filter(None, ("world", name, task.split, str(settings.seed), str(task.index), episode.name)))
    disturbances = None
    if settings.perturb:
        disturbances = Disturbances(settings.seed, identity, settings.duration_s, halts=settings.halts)
        stage = replace(stage, start=disturbances.start(stage.start))
    info = SceneInfo(
        number=task.number,
        split=task.split,
        identity=identity,
        description=_description(episode),
        condition=episode.weather.condition,
        facts={
            **identity_of(episode),
            "driver": settings.driver,
            "pushes": disturbances.to_json() if disturbances else [],
        },
        seed=settings.seed,
    )
    return Take(info, stage, episode.weather, disturbances)


def record_take(
    root: Path,
    settings: RecordSettings,
    take: Take,
    driver: Planner,
    *,
    teacher: Planner | None = None,
    on_key_frame: KeyFrameListener | None = None,
) -> None:
    """Drives and records a scene until its time is up, its route ends, or something goes badly wrong.

    The scene ends before a collision becomes part of it, and when the driver is lost: off the route or stuck. Where
    the driver is the teacher, a collision also takes the three seconds away that led to it.

    Args:
        root, settings, take: what to record.
        driver: who drives.
        teacher: whose plans are the targets; the driver's own when None.
        on_key_frame: for progress.
    """
    stage, info = take.stage, take.info
    facts: dict[str, Any] = dict(info.facts)
    info = replace(info, facts=facts)
    take = replace(take, info=info)
    with open_take(root, settings, take) as (simulation, writer):
        monitor = Monitor(
            stage.city, stage.route, simulation.state, simulation.route_s, time_limit_s=settings.duration_s
        )
        driver.reset()
        if teacher is not None:
            teacher.reset()
        plan_steps = round(1 / (settings.rate_hz * STEP_S))
        for step in range(round(settings.duration_s / STEP_S)):
            is_key = step % KEY_FRAME_STEPS == 0
            is_sweep = settings.sweeps and step % SWEEP_STEPS == 0 and not is_key
            if is_key or step % plan_steps == 0:
                observation = simulation.observe(
                    images=is_key or is_sweep or driver.needs_images, truth=is_key or is_sweep
                )
                plan = driver.plan(observation)
                simulation.follow(plan)
                target = plan if teacher is None else teacher.plan(observation)
            elif is_sweep:
                observation = simulation.observe(truth=True)
            if is_key:
                add_key_frame(writer, observation, target, on_key_frame)
            elif is_sweep:
                writer.add_sweep(observation)
            writer.add_state(simulation.state.ego)
            simulation.advance(disturbance=take.disturbances.at(simulation.state.ego) if take.disturbances else None)
            events = monitor.observe(simulation.state, simulation.route_s)
            if any(event.kind.is_collision for event in events) or monitor.status is not Status.DRIVING:
                break
        writer.add_state(simulation.state.ego)
        facts["drive"] = _outcome(monitor)
        if teacher is None and facts["drive"]["ended"] == "collision":
            writer.keep_until(simulation.time_s - PLAN_S)
        writer.finish()


def _description(episode: Episode) -> str:
    words = episode.scenario.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]} in {episode.city}, {episode.weather.condition.value}"


def _outcome(monitor: Monitor) -> dict[str, Any]:
    """How the drive went, for `scenes.json`."""
    measures = monitor.measures()
    status = "time_up" if measures.status is Status.TIME_OUT else measures.status.value
    ended = "collision" if any(event.kind.is_collision for event in measures.infractions) else status
    events = [event.to_json() for event in measures.infractions if event.kind.value != Status.TIME_OUT.value]
    return {
        "ended": ended,
        "infractions": events,
        "distance_m": round(measures.distance_m, 2),
        "min_ttc_s": measures.to_json()["min_ttc_s"],
    }
