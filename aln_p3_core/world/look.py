"""One instant of a drive, looked at: pictures of the cameras, of their truth, and from above."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content, DrawnBox
from aln_p3_core.drawing.images import Image, save_image
from aln_p3_core.drawing.layout import camera_rows
from aln_p3_core.drawing.mosaic import draw_mosaic
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import CameraCalibration, DrivingFrame
from aln_p3_core.geometry import FloatArray, invert_transform, rotate_vectors, transform_points, wrap_angle
from aln_p3_core.world.assets.catalogue import kinds_of, sizes_of
from aln_p3_core.world.closed_loop.drives import Drive, OpenDrive, open_drive
from aln_p3_core.world.closed_loop.runner import ClosedLoop
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import TracedPlan
from aln_p3_core.world.closed_loop.world_bev import WorldBev
from aln_p3_core.world.planners.planner import Observation, Planner
from aln_p3_core.world.render.images import RenderedView
from aln_p3_core.world.render.visibility import Visibility, actor_visibility
from aln_p3_core.world.rig import world_rig

#: Boxes are drawn around actors of whom this much is seen, and this many pixels.
_LEAST_SHARE, _LEAST_PIXELS = 0.05, 6
#: Depth is drawn up to here, m.
_DEPTH_M = 80.0


@dataclass(frozen=True, eq=False)
class Look:
    """An instant of a drive.

    Attributes:
        opened: what is driven. observation: the world with rendered views, depth and labels included.
        plan: the one that is followed; None for a human driver, or before the first.
        visibility: who is seen.
    """

    opened: OpenDrive
    observation: Observation
    plan: TracedPlan | None
    visibility: Visibility

    @property
    def frame(self) -> DrivingFrame:
        """The pictures as a driver gets them."""
        assert self.observation.frame is not None
        return self.observation.frame


def look_at(
    what: Drive,
    time_s: float,
    planner: Planner | None,
    *,
    rig: Mapping[str, CameraCalibration] | None = None,
    samples: int = 0,
) -> Look:
    """Drives up to an instant and renders it.

    Args:
        what: an episode or a recorded log.
        time_s: the instant, s; the drive may be over before: then its last instant.
        planner: who drives; None moves the car as the human of the recording did.
        rig: the cameras; the world's own at 400x225 when None.
        samples: 0, or 4 samples a pixel.

    Raises:
        ConfigError: there is no human in an episode, or nothing can be rendered here.
    """
    from aln_p3_core.world.render.options import RenderOptions
    from aln_p3_core.world.render.renderer import WorldRenderer

    opened = open_drive(what)
    stage, rig = opened.stage, rig or world_rig()
    if planner is None and stage.recorded_ego is None:
        stage.traffic.close()
        raise ConfigError("only a recorded log has a human driver; name a planner for an episode")
    limit = max(time_s, opened.time_limit_s or 0.0) + 1.0
    options = RenderOptions(samples=samples)
    with ExitStack() as closing:
        closing.callback(stage.traffic.close)
        renderer = closing.enter_context(WorldRenderer(stage.city, stage.scenery, rig, opened.weather, options=options))
        loop = ClosedLoop(stage, DriveSettings(trace=True), rig=rig, renderer=renderer, time_limit_s=limit)
        if planner is not None:
            planner.reset()
        plan_steps, steps = loop.settings.steps_per_plan, 0
        while loop.running and loop.simulation.next_time_s <= time_s + 1e-9:
            human = stage.recorded_ego if planner is None else None
            if planner is not None and steps % plan_steps == 0:
                loop.follow(planner.plan(loop.observe(images=planner.needs_images)))
            loop.step(None if human is None else human(loop.simulation.next_time_s))
            steps += 1
        observation = loop.observe(truth=True)
        plan = None if loop.trace is None else loop.trace.plan_at(loop.simulation.time_s)
    return Look(opened, observation, plan, actor_visibility(observation.views, observation.state))


def write_pictures(look: Look, folder: Path, width: int) -> list[Path]:
    """Writes cameras.png, boxes.png, truth.png (labels above depth) and above.png.

    Args:
        look: what to draw. folder: is made. width: of the pictures that are put together, pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    views = look.observation.views
    pictures = {
        "cameras": plain_mosaic(look.frame, {name: view.color for name, view in views.items()}),
        "boxes": draw_mosaic(look.frame, targets=Content(boxes=tuple(seen_boxes(look))), width=width),
        "truth": np.vstack(
            [
                plain_mosaic(look.frame, {name: label_picture(view) for name, view in views.items()}),
                plain_mosaic(look.frame, {name: depth_picture(view) for name, view in views.items()}),
            ]
        ),
        "above": picture_from_above(look, 900),
    }
    return [save_image(folder / f"{name}.png", picture) for name, picture in pictures.items()]


def seen_boxes(look: Look) -> list[DrawnBox]:
    """Boxes of the actors that the cameras see, in the model frame of the frame."""
    state = look.observation.state
    T_model_world = invert_transform(look.frame.T_global_ego @ look.frame.T_ego_model)
    heading = float(np.arctan2(T_model_world[1, 0], T_model_world[0, 0]))
    actors, sizes, kinds = state.actors, sizes_of(state.actors), kinds_of(state.actors)
    pixels = sum(look.visibility.pixels.values(), np.zeros(len(actors), np.int64))
    boxes = []
    for row in np.flatnonzero((pixels >= _LEAST_PIXELS) & (look.visibility.fractions >= _LEAST_SHARE)):
        center = actors.positions[row] + [0.0, 0.0, sizes[row, 2] / 2]
        velocity = rotate_vectors(T_model_world, np.append(actors.velocities[row], 0.0))[:2]
        boxes.append(
            DrawnBox(
                class_name=kinds[row].detection_class,
                center_model=transform_points(T_model_world, center),
                size_lwh=sizes[row],
                heading_model=float(wrap_angle(actors.headings[row] + heading)),
                velocity_model=velocity,
            )
        )
    return boxes


def plain_mosaic(frame: DrivingFrame, pictures: Mapping[str, Image]) -> Image:
    """All cameras side by side, pixel for pixel; smaller ones are filled up with black."""
    height = max(picture.shape[0] for picture in pictures.values())
    width = max(picture.shape[1] for picture in pictures.values())
    rows = camera_rows(frame)
    columns = max(len(row) for row in rows)
    result = np.zeros((len(rows) * height, columns * width, 3), np.uint8)
    for i, names in enumerate(rows):
        for j, name in enumerate(names):
            picture = pictures[name]
            result[i * height :, j * width :][: picture.shape[0], : picture.shape[1]] = picture
    return result


def label_picture(view: RenderedView) -> Image:
    """Every actor in the colour of its class, in shades by row, on what else there is, dark."""
    assert view.labels is not None
    actors = view.state.actors
    colors = np.array([palette.agent_color(kind.detection_class) for kind in kinds_of(actors)]).reshape(-1, 3)
    shades = 0.75 + 0.25 * (np.arange(len(actors)) * 0.618 % 1.0)
    table = np.vstack([colors * shades[:, None], [0, 0, 0]])
    painted = table[view.labels]
    return np.where(view.labels[..., None] >= 0, painted, view.color * 0.25).astype(np.uint8)


def depth_picture(view: RenderedView) -> Image:
    """Near is bright; the sky is black."""
    assert view.depth is not None
    share: NDArray[np.float32] = np.clip(1.0 - np.log1p(view.depth) / np.log1p(_DEPTH_M), 0.0, 1.0)
    colored = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)
    return np.ascontiguousarray(colored[..., ::-1])


def picture_from_above(look: Look, size: int) -> Image:
    """The streets around the car with everybody on them, the route and the plan."""
    observation = look.observation
    around: FloatArray = observation.state.ego.xy[None]
    above = WorldBev(observation.city, observation.route.points, around, size=size)
    weather = look.opened.weather
    title = f"{observation.city.name}, {weather.condition.value}, {observation.state.time_s:.1f} s"
    return above.draw(observation.state, look.plan, title=title)
