"""A scene that is set: its stage, its cameras and its writer, whoever drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration
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


@contextmanager
def open_take(root: Path, settings: RecordSettings, take: Take) -> Iterator[tuple[Simulation, SceneWriter]]:
    """The simulation of a scene at its first instant, and the writer of it; both end with the block.

    Args:
        root, settings: made ready by `settings.prepare_root`.
        take: what to record.
    """
    stage, info = take.stage, take.info
    rig = root_rig(root)
    with ExitStack() as closing:
        closing.callback(stage.traffic.close)
        write_map(root, stage.city, stage.scenery)
        renderer = open_renderer(settings, take, rig)
        closing.callback(renderer.close)
        simulation = Simulation(stage, rig, renderer, start_ns=info.start_us * 1000, drive_id=info.name)
        yield (
            simulation,
            SceneWriter(
                root,
                info,
                stage.city,
                stage.route,
                rig,
                language=settings.language,
                wording=settings.wording,
                quality=settings.quality,
            ),
        )


def make_expert() -> Planner:
    """The teacher."""
    from aln_p3_core.world.planners.expert import Expert

    return Expert()


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
