"""The light that counts for the ego: which one it is, and how far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.world.actors import no_actors
from aln_p3_core.world.closed_loop.red_light import FRONT_AHEAD_M
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.recorder.assembly import assemble_root
from aln_p3_core.world.recorder.signal_ahead import VIEW_M, signal_row
from aln_p3_core.world.route import RouteStop, StopKind
from aln_p3_core.world.state import SignalColor, WorldState

LINE = helpers.CROSSING_X[0]


def row_at(front_x: float, colors: list[SignalColor], stops: tuple[RouteStop, ...] | None = None) -> object:
    """The entry of an ego whose front bumper is at a place of a street along x that begins at x = 0."""
    route = helpers.signal_route()
    x = front_x - FRONT_AHEAD_M
    state = WorldState(EgoState(0.0, x, helpers.EAST_INNER, 0.0, speed=5.0), no_actors(), np.array(colors, np.int64))
    route = route if stops is None else replace(route, stops=stops)
    return signal_row(state, route, route.project(state.ego.xy)[0])


@pytest.mark.parametrize("color", list(SignalColor))
def test_every_color_has_its_name(color: SignalColor) -> None:
    row = row_at(LINE - 20.0, [color])
    assert row == {"color": color.name.lower(), "distance_m": pytest.approx(20.0, abs=0.05)}


def test_it_counts_from_sixty_metres_to_the_line() -> None:
    assert row_at(LINE - VIEW_M - 0.5, [SignalColor.RED]) is None
    assert row_at(LINE - VIEW_M + 0.5, [SignalColor.RED]) is not None
    assert row_at(LINE + 0.3, [SignalColor.RED]) is not None  # a hand over the line: it still holds the car
    assert row_at(LINE + 0.7, [SignalColor.RED]) is None


def test_the_next_light_counts_once_the_first_is_passed_and_nothing_else_does() -> None:
    stops = (
        RouteStop(LINE - 10, LINE - 5, StopKind.CROSSING, 0),
        RouteStop(LINE, LINE + 15, StopKind.SIGNAL, 1),
        RouteStop(LINE, LINE + 15, StopKind.YIELD, 0),
        RouteStop(LINE + 40, LINE + 50, StopKind.SIGNAL, 0),
    )
    colors = [SignalColor.GREEN_YIELD, SignalColor.YELLOW]
    assert row_at(LINE - 15.0, colors, stops) == {"color": "yellow", "distance_m": pytest.approx(15.0, abs=0.05)}
    assert row_at(LINE + 5.0, colors, stops) == {"color": "green_yield", "distance_m": pytest.approx(35.0, abs=0.05)}
    assert row_at(LINE + 5.0, colors, stops[:3]) is None


def test_parts_of_older_recordings_are_without(tmp_path: Path, recorded_root: Path) -> None:
    (tmp_path / ".parts").mkdir()
    (tmp_path / "rig.json").write_bytes((recorded_root / "rig.json").read_bytes())
    old, new = (json.loads((recorded_root / ".parts" / f"scene-900{i}.json").read_text()) for i in (0, 1))
    del old["signal_ahead"]
    (tmp_path / ".parts" / "scene-9000.json").write_text(json.dumps(old))
    assemble_root(tmp_path)
    assert not (tmp_path / "signal_ahead.json").exists()
    (tmp_path / ".parts" / "scene-9001.json").write_text(json.dumps(new))
    assemble_root(tmp_path)
    assert json.loads((tmp_path / "signal_ahead.json").read_text()) == new["signal_ahead"]
