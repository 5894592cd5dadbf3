"""Films of a drive: from above, and from the six cameras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.content import Content, DrawnPlan
from aln_p3_core.drawing.images import Image
from aln_p3_core.drawing.mosaic import draw_mosaic
from aln_p3_core.drawing.subtitles import Subtitle, SubtitleBand
from aln_p3_core.errors import ImageError
from aln_p3_core.frame import (
    NUSCENES_CAMERAS,
    CameraView,
    CommandProvenance,
    DrivingFrame,
    EgoStatus,
    RouteCommand,
)
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points, virtual_T_ego_model
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.closed_loop.runner import RouteResult
from aln_p3_core.world.closed_loop.trace import Trace, TracedPlan
from aln_p3_core.world.closed_loop.world_bev import SIGNAL_COLORS, WorldBev, decision_text
from aln_p3_core.world.render.images import RenderedView, SceneRenderer, Shot
from aln_p3_core.world.rig import EXPOSURE_LEAD_S
from aln_p3_core.world.route import Route
from aln_p3_core.world.state import WorldState, interpolate_world

FILM_SUFFIXES = (".gif", ".mp4")
#: An infraction is shown for so long, s.
_ALARM_S = 1.5
#: Words are shown for so long, unless others come, s.
_SUBTITLE_S = 6.0
#: The last picture is held so long, s.
_HOLD_S = 2.0
#: Colours of the film from above as a GIF: few make it small.
_GIF_COLORS = 48
#: Tried in this order: VP9, which browsers play, then MPEG-4, which every OpenCV writes.
_CODECS = ("vp09", "mp4v")


class FilmWriter:
    """Writes pictures of one size into a GIF (Pillow) or an MP4 (OpenCV), by the file's ending."""

    def __init__(self, path: Path, fps: float, *, colors: int | None = None) -> None:
        """Nothing is written before the first picture.

        Args:
            path: .gif or .mp4. fps: pictures a second.
            colors: of a GIF of drawings, which has one palette; None gives every picture a palette of its own.

        Raises:
            ImageError: when the ending is none of `FILM_SUFFIXES`.
        """
        if path.suffix.lower() not in FILM_SUFFIXES:
            raise ImageError(f"{path} must end in one of {', '.join(FILM_SUFFIXES)}")
        self._path, self._fps, self._colors = path, fps, colors
        self._temporary = path.with_name(f".{path.stem}.part{path.suffix.lower()}")
        self._video: Any = None
        self._pictures: list[Any] = []

    def add(self, image: Image) -> None:
        """Appends an RGB picture; all must have the first one's size."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.suffix.lower() == ".gif":
            self._add_to_gif(image)
            return
        # Codecs want even sizes.
        image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        if self._video is None:
            self._video = self._open_video(image.shape[1], image.shape[0])
        self._video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finishes the film: all of it or nothing."""
        if self._pictures:
            first, *others = self._pictures
            duration = round(1000 / self._fps)
            first.save(self._temporary, save_all=True, append_images=others, duration=duration, loop=0, disposal=1)
        if self._video is not None:
            self._video.release()
        if self._pictures or self._video is not None:
            self._temporary.replace(self._path)

    def _open_video(self, width: int, height: int) -> cv2.VideoWriter:
        for name in _CODECS:
            codec = cv2.VideoWriter.fourcc(*name)
            video = cv2.VideoWriter(str(self._temporary), codec, self._fps, (width, height))
            if video.isOpened():
                return video
        raise ImageError(f"this OpenCV cannot write {self._path.suffix} films; use .gif")

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        if self._video is not None:
            self._video.release()
        self._temporary.unlink(missing_ok=True)

    def _add_to_gif(self, image: Image) -> None:
        from PIL import Image as PillowImage

        picture = PillowImage.fromarray(image)
        if self._colors is None:
            self._pictures.append(picture.quantize(128, method=PillowImage.Quantize.FASTOCTREE))
            return
        if not self._pictures:
            self._palette = _palette(picture, self._colors)
        # One palette for the whole film: still parts stay equal, which makes it small.
        self._pictures.append(picture.quantize(palette=self._palette, dither=PillowImage.Dither.NONE))


def _palette(picture: Any, colors: int) -> Any:
    """A palette of a Pillow picture's colours, and of those that may come up later: agents, plan, alarm, text."""
    from PIL import Image as PillowImage

    known = [*palette.AGENT_COLORS.values(), *SIGNAL_COLORS, palette.PLAN, palette.TEXT, palette.ALARM, palette.WARNING]
    found = picture.quantize(colors - len(known), method=PillowImage.Quantize.MEDIANCUT).getpalette()
    result = PillowImage.new("P", (1, 1))
    result.putpalette([*found[: 3 * (colors - len(known))], *(value for color in known for value in color)])
    return result


@dataclass(frozen=True, eq=False)
class Reel:
    """What a film shows of a drive.

    Attributes:
        trace: what happened. title: who drives what.
        alarms: (seconds, words) of everything that went wrong. ending: words of the last picture.
        subtitles: what was said, in the order of time: below the pictures of the cameras.
    """

    trace: Trace
    title: str
    alarms: tuple[tuple[float, str], ...] = ()
    ending: str = ""
    subtitles: tuple[Subtitle, ...] = ()

    @classmethod
    def of_report(cls, report: Mapping[str, Any], trace: Trace, subtitles: Sequence[Subtitle] = ()) -> Reel:
        """Of a drive's report (`RouteResult.to_json`, or the JSON of a campaign's route) and its trace."""
        episode, measures = report["episode"], report["measures"]
        parts = (report["planner"], episode.get("scenario", ""), episode.get("city", ""))
        score = f"driving score {measures['driving_score']:.1f}"
        return cls(
            trace=trace,
            title="  ".join(str(part) for part in parts if part),
            alarms=tuple((event["time_s"], _alarm_words(event)) for event in measures["infractions"]),
            ending=f"{measures['status'].replace('_', ' ')}, {score}, route {measures['route_completion']:.0f} %",
            subtitles=tuple(sorted(subtitles, key=lambda subtitle: subtitle.time_s)),
        )

    @classmethod
    def of_result(cls, result: RouteResult) -> Reel:
        """Of a drive.

        Raises:
            ImageError: when it has no trace.
        """
        if result.trace is None:
            raise ImageError("this drive was not traced, so there is nothing to film; drive it with a trace")
        return cls.of_report(result.to_json(), result.trace)

    def alarm_at(self, time_s: float) -> str:
        """What has just gone wrong, "" for nothing."""
        return next((words for begun, words in self.alarms if 0 <= time_s - begun + 1e-6 < _ALARM_S), "")

    def subtitle_at(self, time_s: float) -> Subtitle | None:
        """What is being said, None for nothing."""
        spoken = [subtitle for subtitle in self.subtitles if subtitle.time_s <= time_s + 1e-6]
        return spoken[-1] if spoken and time_s - spoken[-1].time_s < _SUBTITLE_S else None


def bev_pictures(drive: RouteResult | Reel, city: CityMap, *, size: int = 512, every: int = 1) -> Iterator[Image]:
    """Pictures of a drive from above, one for every `every`th traced state (10 Hz), and one for the last."""
    reel = drive if isinstance(drive, Reel) else Reel.of_result(drive)
    trace = reel.trace
    driven = np.array([state.ego.xy for state in trace.states])
    bev = WorldBev(city, trace.route, driven, size=size)
    rows = _rows(trace, every)
    for row in rows:
        state = trace.states[row]
        plan = trace.plan_at(state.time_s)
        words = decision_text(plan.decision) if plan is not None else ""
        spoken = f"{3.6 * state.ego.speed:.0f} km/h" + (f", {words}" if words else "")
        yield bev.draw(
            state,
            plan,
            driven=driven[: row + 1],
            title=f"{reel.title}  {state.time_s:5.1f} s",
            lines=[spoken, *([reel.ending] if row == rows[-1] else [])],
            alarm=reel.alarm_at(state.time_s),
        )


def bev_film(drive: RouteResult | Reel, city: CityMap, path: Path, *, size: int = 512, fps: float = 5.0) -> Path:
    """Writes the film from above (.gif or .mp4); `fps` up to 10, at the speed of the drive."""
    _write(path, bev_pictures(drive, city, size=size, every=_every(fps)), 10.0 / _every(fps), _GIF_COLORS)
    return path


def camera_film(
    drive: RouteResult | Reel,
    city: CityMap,
    route: Route,
    renderer: SceneRenderer,
    path: Path,
    *,
    cameras: Sequence[str] = NUSCENES_CAMERAS,
    width: int = 840,
    fps: float = 5.0,
) -> Path:
    """Writes the film of the six cameras with the plan drawn over them, the view from above beside it, words below.

    The pictures are rendered again from the trace: what was driven without cameras can be looked at too.

    Args:
        drive: a drive with a trace. city, route: where.
        renderer: of the cameras `cameras`, in this city and the drive's weather.
        path: .gif or .mp4. width: of the cameras' part, pixels. fps: up to 10.
    """
    _write(path, camera_pictures(drive, city, route, renderer, cameras=cameras, width=width, every=_every(fps)),
           10.0 / _every(fps))  # fmt: skip
    return path


def camera_pictures(
    drive: RouteResult | Reel,
    city: CityMap,
    route: Route,
    renderer: SceneRenderer,
    *,
    cameras: Sequence[str] = NUSCENES_CAMERAS,
    width: int = 840,
    every: int = 2,
) -> Iterator[Image]:
    """The pictures of `camera_film`, one for every `every`th traced state (10 Hz)."""
    reel = drive if isinstance(drive, Reel) else Reel.of_result(drive)
    trace = reel.trace
    above: Iterator[Image] | None = None
    band: SubtitleBand | None = None
    for row in _rows(trace, every):
        state, before = trace.states[row], trace.states[max(row - 1, 0)]
        frame = _frame(renderer, cameras, before, state, route)
        plan = trace.plan_at(state.time_s)
        mosaic = draw_mosaic(frame, scene=_content(plan, state), width=width)
        if above is None:
            above = bev_pictures(reel, city, size=mosaic.shape[0], every=every)
        picture = cv2.hconcat([mosaic, next(above)])
        if reel.subtitles:
            band = band or SubtitleBand(reel.subtitles, picture.shape[1])
            picture = cv2.vconcat([picture, band.draw(reel.subtitle_at(state.time_s))])
        yield picture


def _write(path: Path, pictures: Iterable[Image], fps: float, colors: int | None = None) -> None:
    with FilmWriter(path, fps, colors=colors) as film:
        for picture in pictures:
            film.add(picture)
            last = picture
        for _ in range(round(_HOLD_S * fps)):
            film.add(last)


def _every(fps: float) -> int:
    """States of a trace (10 Hz) from one picture to the next."""
    return max(1, round(10.0 / fps))


def _rows(trace: Trace, every: int) -> list[int]:
    rows = list(range(0, len(trace.states), every))
    return rows if rows[-1] == len(trace.states) - 1 else [*rows, len(trace.states) - 1]


def _alarm_words(event: Mapping[str, Any]) -> str:
    fault = f" ({event['fault']}'s fault)" if event["kind"].startswith("collision") else ""
    return event["kind"].replace("_", " ") + fault


def _frame(
    renderer: SceneRenderer, cameras: Sequence[str], before: WorldState, state: WorldState, route: Route
) -> DrivingFrame:
    shots = []
    for name in cameras:
        time_s = max(state.time_s - EXPOSURE_LEAD_S.get(name, 0.0), before.time_s)
        shots.append(Shot(name, time_s, interpolate_world(before, state, time_s)))
    views = renderer.render(shots)
    return frame_of_views(views, cameras, state, route)


def frame_of_views(
    views: dict[str, RenderedView], cameras: Sequence[str], state: WorldState, route: Route
) -> DrivingFrame:
    """A frame to draw, made of rendered pictures, at the instant of a state."""
    ego = state.ego
    route_s = route.project(ego.xy)[0]
    return DrivingFrame(
        cameras=tuple(cameras),
        views={
            name: CameraView(view.color, round(view.time_s * 1e9), view.calibration, view.state.ego.T_world_ego)
            for name, view in views.items()
        },
        reference_stamp_ns=round(state.time_s * 1e9),
        T_global_ego=ego.T_world_ego,
        T_ego_model=virtual_T_ego_model(),
        command=RouteCommand(route.command_at(route_s, ego.speed), CommandProvenance.GIVEN),
        ego_status=EgoStatus(np.array([ego.speed, 0, 0]), np.array([ego.acceleration, 0, 0]), np.zeros(3), "odometry"),
    )


def _content(plan: TracedPlan | None, state: WorldState) -> Content:
    """The part of a plan that is still ahead, in the model frame of a state."""
    if plan is None or not (plan.times_s > state.time_s).any():
        return Content()
    ahead = plan.times_s > state.time_s
    # The plan says where the rear axle goes; drawn on the ground before the car it starts at the model's origin.
    points = _in_model(state, plan.points_world[ahead])
    return Content(plan=DrawnPlan(points, plan.times_s[ahead] - state.time_s))


def _in_model(state: WorldState, points_world: FloatArray) -> FloatArray:
    T_model_world = invert_transform(state.ego.T_world_ego @ virtual_T_ego_model())
    lifted = np.concatenate([points_world, np.zeros((len(points_world), 1))], axis=1)
    return transform_points(T_model_world, lifted)[:, :2]
