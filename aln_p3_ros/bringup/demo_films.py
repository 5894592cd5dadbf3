"""Films of the demonstration's drive, made of its trace."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.world.closed_loop.drives import find_drive, open_drive
from aln_p3_core.world.closed_loop.film import Reel, bev_film, camera_film
from aln_p3_core.world.closed_loop.runner import make_renderer
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.trace import Trace
from aln_p3_ros.bringup.demo_drive import DriveDemo
from aln_p3_ros.bringup.demo_subtitles import read_subtitles
from aln_p3_ros.simulator.world_topics import FIRST_STAMP_NS

_BEV_FPS = 5.0
_CAMERA_FPS = 2.0


def make_demo_films(demo: DriveDemo, out: Path) -> list[Path]:
    """Writes the film from above (GIF) and that of the six cameras (MP4), with what was said. Returns their paths."""
    opened = open_drive(find_drive(demo.report["episode"]))
    stage = opened.stage
    stage.traffic.close()
    reel = Reel.of_report(demo.report, Trace.load(demo.trace), read_subtitles(demo.files.bag, FIRST_STAMP_NS))
    films = [bev_film(reel, stage.city, out / "drive_bev.gif", fps=_BEV_FPS)]
    settings = DriveSettings(size=tuple(demo.report["settings"]["size"]))
    renderer = make_renderer(stage, opened.weather, settings)
    try:
        path = out / "drive_cameras.mp4"
        films.append(camera_film(reel, stage.city, stage.route, renderer, path, fps=_CAMERA_FPS))
    finally:
        renderer.close()
    return films
