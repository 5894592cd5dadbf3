"""How fast the world is in closed loop: seconds of wall clock by part, for a rate and size of the cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aln_p3_core.world.closed_loop.drives import OpenDrive, open_drive
from aln_p3_core.world.closed_loop.runner import drive_episode, make_renderer
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.planners.route_blind import RouteBlind

#: Parts of the loop whose time is the world's; the planner's own is not counted.
PARTS = ("rendering", "simulation", "measures")


@dataclass(frozen=True, slots=True)
class SpeedResult:
    """Speed of one setting. Figures are the median over the runs.

    Attributes:
        rate_hz: plans and sets of six pictures a second; size of a picture; with or without pictures.
        times_real_time: seconds of the episode a second of wall clock; slowest and fastest run.
        ms_per_tick: by part of `PARTS`, milliseconds from one plan to the next.
        setup_s: opening the stage, building the graphics: once a drive, not counted.
        runs: how many drives. episode_s: seconds of each.
    """

    rate_hz: int
    size: tuple[int, int]
    images: bool
    times_real_time: float
    slowest: float
    fastest: float
    ms_per_tick: dict[str, float]
    setup_s: float
    runs: int
    episode_s: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "rate_hz": self.rate_hz,
            "size": list(self.size),
            "images": self.images,
            "times_real_time": round(self.times_real_time, 3),
            "slowest": round(self.slowest, 3),
            "fastest": round(self.fastest, 3),
            "ms_per_tick": {part: round(value, 3) for part, value in self.ms_per_tick.items()},
            "setup_s": round(self.setup_s, 3),
            "runs": self.runs,
            "episode_s": self.episode_s,
        }


def measure_speed(
    episode: Episode,
    settings: Sequence[DriveSettings],
    *,
    runs: int = 3,
    on_run: Callable[[], object] = lambda: None,
) -> list[SpeedResult]:
    """Drives an episode `runs` times with each of the settings, with a planner that costs next to nothing.

    Args:
        episode: what to drive.
        settings: with a time limit each; `images` says whether the six cameras are rendered.
        runs: drives of each, one after the other; every one opens its stage anew.
        on_run: called after each drive (a progress bar).
    """
    results = []
    for setting in settings:
        timings = []
        for _ in range(runs):
            timings.append(_timing(open_drive(episode), setting))
            on_run()
        times = [timing["world_times_real_time"] for timing in timings]
        episode_s = timings[0]["episode_s"]
        ticks = episode_s * setting.rate_hz
        parts = {part: 1e3 * float(np.median([t[f"{part}_s"] for t in timings])) / ticks for part in PARTS}
        results.append(
            SpeedResult(
                setting.rate_hz,
                setting.size,
                bool(setting.images),
                float(np.median(times)),
                min(times),
                max(times),
                parts,
                float(np.median([t["setup_s"] for t in timings])),
                runs,
                episode_s,
            )
        )
    return results


def speed_table(results: Sequence[SpeedResult]) -> str:
    """The results in Markdown."""
    lines = [
        "| cameras | plans a second | times real time (range) | rendering, ms a tick | simulation | measures | all |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        cameras = f"six {r.size[0]}x{r.size[1]}" if r.images else "none"
        parts = " | ".join(f"{r.ms_per_tick[part]:.1f}" for part in PARTS)
        lines.append(
            f"| {cameras} | {r.rate_hz} | {r.times_real_time:.2f} ({r.slowest:.2f}–{r.fastest:.2f}) "
            f"| {parts} | {sum(r.ms_per_tick.values()):.1f} |"
        )
    return "\n".join(lines)


def _timing(opened: OpenDrive, settings: DriveSettings) -> dict[str, float]:
    stage = opened.stage
    renderer = make_renderer(stage, opened.weather, settings) if settings.images else None
    try:
        result = drive_episode(
            stage, RouteBlind(), settings, renderer=renderer, weather=opened.weather, time_limit_s=opened.time_limit_s
        )
    finally:
        if renderer is not None:
            renderer.close()
    return dict(result.timing)
