"""The closed loop: observe, plan, follow, advance. `drive_episode` runs it with a planner in the same process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.closed_loop.human import HumanComparison
from aln_p3_core.world.closed_loop.monitor import Measures, Monitor, Status
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import Trace
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.episode import Episode, Stage
from aln_p3_core.world.planners.planner import EgoPlan, Observation, Planner, as_sent
from aln_p3_core.world.render.images import SceneRenderer
from aln_p3_core.world.rig import world_rig
from aln_p3_core.world.simulation import STEP_S, Simulation
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S
from aln_p3_core.world.weather import Weather

#: States are traced so often: every second physics step.
_TRACE_EVERY = round(TRAFFIC_STEP_S / STEP_S)
#: Called after every plan with what the planner saw and what it planned.
TickListener = Callable[[Observation, EgoPlan], None]


@dataclass(frozen=True, eq=False)
class RouteResult:
    """One drive.

    Attributes:
        planner: its name. identity: what was driven (scenario, city, seed, condition, duration).
        settings: how.
        measures: how it went. human: distance to the recorded human driver, by horizon; None without a recording.
        timing: seconds of wall clock by part, and seconds of the episode; not part of what is compared.
        trace: what happened, when it was asked for.
        precision: that the planner's network computed in ("fp32"), "" where there is none.
    """

    planner: str
    identity: Mapping[str, Any]
    settings: DriveSettings
    measures: Measures
    human: Mapping[str, float] | None
    timing: Mapping[str, float]
    trace: Trace | None
    precision: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary without the trace."""
        result = {
            "planner": self.planner,
            "episode": dict(self.identity),
            "settings": self.settings.to_json(),
            "measures": self.measures.to_json(),
        }
        if self.human is not None:
            result["human"] = dict(self.human)
        return result | {"timing": {name: round(value, 4) for name, value in self.timing.items()}}


@dataclass(eq=False)
class Timing:
    """Wall-clock seconds by part of the loop: setup, simulation, rendering, planner, measures."""

    seconds: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Adds the time spent inside to a part."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += perf_counter() - start  # type: ignore[assignment]

    def report(self, episode_s: float) -> dict[str, float]:
        """Seconds by part, and how many times faster than real time the world is without the planner."""
        world = sum(value for part, value in self.seconds.items() if part not in ("planner", "setup"))
        parts = {f"{part}_s": float(value) for part, value in sorted(self.seconds.items())}
        return parts | {"episode_s": episode_s, "world_times_real_time": episode_s / max(world, 1e-9)}


class ClosedLoop:
    """A simulation with its monitor and trace, driven plan by plan. Whoever plans, in whatever process, calls

        while loop.running:
            loop.follow(plan for loop.observe())
            loop.advance()

    and gets the same bytes.
    """

    def __init__(
        self,
        stage: Stage,
        settings: DriveSettings,
        *,
        rig: Mapping[str, CameraCalibration] | None = None,
        renderer: SceneRenderer | None = None,
        time_limit_s: float | None = None,
        start_ns: int = 0,
        drive_id: str = "",
    ) -> None:
        """Sets the stage.

        Args:
            stage: what to run; closed with the loop.
            settings: how; `settings.time_limit_s` goes before `time_limit_s`.
            rig: cameras by channel; the world's own in `settings.size` when None.
            renderer: of these cameras; None drives without pictures.
            time_limit_s: of the drive where neither the settings nor a recording say it.
            start_ns, drive_id: as in `Simulation`.
        """
        limit = settings.time_limit_s or stage.duration_s or time_limit_s
        if limit is None:
            raise ConfigError("a drive without end: give a time limit in the settings, or an episode that has one")
        is_recording = stage.duration_s is not None and limit >= stage.duration_s
        self.settings = settings
        self.timing = Timing()
        with self.timing.of("setup"):
            rig = rig or world_rig(*settings.size)
            self.simulation = Simulation(stage, rig, renderer, start_ns=start_ns, drive_id=drive_id)
        self.monitor = Monitor(
            stage.city,
            stage.route,
            self.simulation.state,
            self.simulation.route_s,
            time_limit_s=min(limit, stage.duration_s) if is_recording and stage.duration_s else limit,
            blocked_after_s=settings.blocked_after_s,
            time_limit_ends_route=is_recording,
            goal_s=_human_goal_s(stage, limit),
        )
        self.trace = Trace(stage.route.points) if settings.trace else None
        self.human = HumanComparison(stage.recorded_ego, stage.duration_s) if stage.recorded_ego else None
        self._steps = 0
        self._keep()

    @property
    def running(self) -> bool:
        """The drive goes on."""
        return self.monitor.status is Status.DRIVING

    def observe(self, *, images: bool = True, truth: bool = False) -> Observation:
        """What a planner may know now; see `Simulation.observe`."""
        with self.timing.of("rendering"):
            return self.simulation.observe(images=images, truth=truth)

    def follow(self, plan: EgoPlan) -> None:
        """Has the car follow a plan from now on."""
        plan = as_sent(plan)
        T_world_ego = self.simulation.ego_at(plan.stamp_s).T_world_ego
        if self.trace is not None:
            self.trace.add_plan(plan, T_world_ego)
        if self.human is not None:
            self.human.observe(plan, T_world_ego)
        self.simulation.follow(plan)

    def advance(self) -> bool:
        """Goes on until the next plan is due, or the drive is over. Returns whether it goes on."""
        for _ in range(self.settings.steps_per_plan):
            if not self.step():
                break
        return self.running

    def step(self, ego: EgoState | None = None) -> bool:
        """One physics step, to `ego` where a recording tells it. Returns whether the drive goes on."""
        with self.timing.of("simulation"):
            state = self.simulation.advance(ego)
        with self.timing.of("measures"):
            self.monitor.observe(state, self.simulation.route_s)
            self._steps += 1
            if self._steps % _TRACE_EVERY == 0 or not self.running:
                self._keep()
        return self.running

    def result(self, planner: str, identity: Mapping[str, Any]) -> RouteResult:
        """How the drive went so far."""
        return RouteResult(
            planner=planner,
            identity=identity,
            settings=self.settings,
            measures=self.monitor.measures(),
            human=None if self.human is None else self.human.report(),
            timing=self.timing.report(self.simulation.time_s),
            trace=self.trace,
        )

    def close(self) -> None:
        """Ends the traffic."""
        self.simulation.close()

    def _keep(self) -> None:
        if self.trace is not None:
            self.trace.add_state(self.simulation.state)


def _human_goal_s(stage: Stage, limit_s: float) -> float | None:
    """How far along the route the human of a recording came by a time, m: the route itself goes on beyond."""
    if stage.recorded_ego is None:
        return None
    end_s = limit_s if stage.duration_s is None else min(limit_s, stage.duration_s)
    return stage.route.project(stage.recorded_ego(end_s).xy)[0]


def drive_episode(
    what: Episode | Stage,
    planner: Planner,
    settings: DriveSettings | None = None,
    *,
    renderer: SceneRenderer | None = None,
    weather: Weather | None = None,
    identity: Mapping[str, Any] | None = None,
    time_limit_s: float | None = None,
    on_tick: TickListener | None = None,
    truth: bool = False,
) -> RouteResult:
    """Drives an episode, or a stage that is already set, from its start to its end, in lock-step with a planner.

    Args:
        what: what to drive. The stage's traffic is closed afterwards.
        planner: who drives; it is reset first.
        settings: how.
        renderer: cameras; made (and closed) here when pictures are needed and None is given.
        weather: of a stage; an episode brings its own.
        identity: names the drive in reports; an episode names itself.
        time_limit_s: of a stage, where neither the settings nor a recording say it; an episode brings its own.
        on_tick: listens to every plan.
        truth: observations carry depth and labels.

    Raises:
        ConfigError: when pictures are needed and cannot be rendered here.
    """
    settings = settings or DriveSettings()
    if isinstance(what, Episode):
        from aln_p3_core.world.scenarios import open_stage

        stage, weather, time_limit_s = open_stage(what), what.weather, what.duration_s
        identity = identity or identity_of(what)
    else:
        stage, weather = what, weather or Weather()
    images = planner.needs_images if settings.images is None else settings.images
    with ExitStack() as closing:
        closing.callback(stage.traffic.close)
        if images and renderer is None:
            renderer = make_renderer(stage, weather, settings)
            closing.callback(renderer.close)
        loop = ClosedLoop(
            stage,
            settings,
            renderer=renderer if images else None,
            time_limit_s=time_limit_s,
            drive_id=str((identity or {}).get("name", "")),
        )
        planner.reset()
        while loop.running:
            observation = loop.observe(images=images, truth=truth)
            with loop.timing.of("planner"):
                plan = planner.plan(observation)
            loop.follow(plan)
            if on_tick is not None:
                on_tick(observation, plan)
            loop.advance()
        return loop.result(planner.name, identity or {})


def make_renderer(
    stage: Stage, weather: Weather, settings: DriveSettings, rig: Mapping[str, CameraCalibration] | None = None
) -> SceneRenderer:
    """The world's renderer for a stage, of the world's own cameras when `rig` is None.

    Raises:
        ConfigError: saying what to install, where it cannot run.
    """
    from aln_p3_core.world.render.available import rendering_problem
    from aln_p3_core.world.render.renderer import WorldRenderer

    problem = rendering_problem()
    if problem:
        raise ConfigError(f"this planner looks at cameras, which cannot be rendered here: {problem}")
    return WorldRenderer(stage.city, stage.scenery, rig or world_rig(*settings.size), weather)


def identity_of(episode: Episode) -> dict[str, Any]:
    """What names an episode in reports, JSON-ready."""
    return {
        "name": f"{episode.name}-{episode.weather.condition.value}-{episode.weather.seed}",
        "scenario": episode.scenario,
        "city": episode.city,
        "seed": episode.seed,
        "condition": episode.weather.condition.value,
        "weather_seed": episode.weather.seed,
        "duration_s": episode.duration_s,
        "settings": [list(pair) for pair in episode.settings],
    }
