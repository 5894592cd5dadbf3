"""Records scenes: one drive each, with pictures, truth, and the teacher's plan at every key frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.closed_loop.monitor import Monitor, Status
from aln_p3_core.world.closed_loop.runner import identity_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.planners.planner import EgoPlan, Observation, Planner
from aln_p3_core.world.recorder.assembly import write_map
from aln_p3_core.world.recorder.disturbance import Disturbances
from aln_p3_core.world.recorder.scene_writer import SceneInfo, SceneWriter
from aln_p3_core.world.recorder.settings import SCENE_NUMBERS, RecordSettings, root_rig
from aln_p3_core.world.render.images import SceneRenderer
from aln_p3_core.world.simulation import STEP_S, Simulation
from aln_p3_core.world.weather import Weather

#: Physics steps between key frames (2 Hz) and between sweeps (10 Hz).
KEY_FRAME_STEPS = 10
SWEEP_STEPS = 2

#: How far plans look ahead. So long before a collision the expert's plans are no example to anybody.
PLAN_S = 3.0

#: Called after every key frame that was written.
KeyFrameListener = Callable[[], None]


@dataclass(frozen=True, slots=True)
class SceneTask:
    """A scene to record.

    Attributes:
        split: "train", "val", "heldout" or "mini".
        index: counts the split's scenes from 0; names the scene, and draws its episode.
        episode: what to drive; None draws it (`scenarios.draw_episode`).
        log: file of a recorded drive to play back instead.
    """

    split: str
    index: int
    episode: Episode | None = None
    log: Path | None = None

    def __post_init__(self) -> None:
        if self.split not in SCENE_NUMBERS:
            raise ConfigError(f"no split {self.split!r}; choose from {', '.join(SCENE_NUMBERS)}")
        if not 0 <= self.index < len(SCENE_NUMBERS[self.split]):
            raise ConfigError(f"a root holds up to {len(SCENE_NUMBERS[self.split])} scenes of split {self.split}")

    @property
    def number(self) -> int:
        """Of the scene, all splits counted."""
        return SCENE_NUMBERS[self.split][self.index]

    @property
    def scene_name(self) -> str:
        """Such as "scene-2000"."""
        return f"scene-{self.number:04d}"


@dataclass(frozen=True, eq=False)
class Take:
    """A scene that is set and ready to be driven.

    Attributes:
        info: what it is. stage: where. weather: in what light.
        disturbances: that the driver has to master; None for none.
    """

    info: SceneInfo
    stage: Stage
    weather: Weather
    disturbances: Disturbances | None = None


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
        from aln_p3_core.world.recorder.record_log import record_log

        record_log(root, settings, task, on_key_frame)
        return
    take = set_episode(settings, task)
    record_take(root, settings, take, make_expert(), on_key_frame=on_key_frame)


def make_expert() -> Planner:
    """The teacher."""
    from aln_p3_core.world.planners.expert import Expert

    return Expert()


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
        disturbances = Disturbances(settings.seed, identity, settings.duration_s)
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
    rig = root_rig(root)
    with ExitStack() as closing:
        closing.callback(stage.traffic.close)
        write_map(root, stage.city, stage.scenery)
        renderer = open_renderer(settings, take, rig)
        closing.callback(renderer.close)
        simulation = Simulation(stage, rig, renderer, start_ns=info.start_us * 1000, drive_id=info.name)
        writer = SceneWriter(
            root, info, stage.city, stage.route, rig, language=settings.language, quality=settings.quality
        )
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


def add_key_frame(
    writer: SceneWriter, observation: Observation, plan: EgoPlan, on_key_frame: KeyFrameListener | None
) -> None:
    """Writes a key frame and tells the listener."""
    writer.add_key_frame(observation, plan)
    if on_key_frame is not None:
        on_key_frame()


def open_renderer(settings: RecordSettings, take: Take, rig: Mapping[str, CameraCalibration]) -> SceneRenderer:
    """The cameras of a scene. Raises ConfigError, saying what to install, where they cannot be rendered."""
    from aln_p3_core.world.render.available import rendering_problem
    from aln_p3_core.world.render.options import RenderOptions
    from aln_p3_core.world.render.renderer import WorldRenderer

    problem = rendering_problem()
    if problem:
        raise ConfigError(f"cameras cannot be rendered here: {problem}")
    options = RenderOptions(samples=4 if settings.antialias else 0)
    return WorldRenderer(take.stage.city, take.stage.scenery, rig, take.weather, options=options)


def is_last(ego: EgoState, duration_s: float) -> bool:
    """Whether less than one key frame's time is left."""
    return ego.time_s > duration_s - KEY_FRAME_STEPS * STEP_S + 1e-6


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
