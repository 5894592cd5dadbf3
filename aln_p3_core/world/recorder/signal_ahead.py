"""The traffic light that counts for the ego, as it is stored beside the tables: `signal_ahead.json`."""

from __future__ import annotations

from aln_p3_core.world.planners.stop_lines import FRONT_M, PASSED_M
from aln_p3_core.world.recorder.tables import Row
from aln_p3_core.world.route import Route, StopKind
from aln_p3_core.world.state import SignalColor, WorldState

#: Lights whose stop line lies farther ahead than this do not count yet, m.
VIEW_M = 60.0


def signal_row(state: WorldState, route: Route, route_s: float) -> Row | None:
    """One entry of `signal_ahead.json`: the first light of the route whose stop line lies ahead of the front bumper.

    As for the expert (`planners.stop_lines.is_ahead`), a line is passed once the front is half a metre over it, so
    the distance may be slightly negative.

    Args:
        state: the world at the key frame.
        route: planned way. route_s: m along it, of the ego's rear axle.

    Returns:
        `color` (name of a `SignalColor`, lower case) and `distance_m` from the front bumper to the stop line, along
        the route; None where no light is within `VIEW_M`.
    """
    for stop in route.stops:
        distance_m = stop.s - route_s - FRONT_M
        if stop.kind is not StopKind.SIGNAL or distance_m <= -PASSED_M or not 0 <= stop.index < len(state.signals):
            continue
        if distance_m > VIEW_M:
            return None
        return {
            "color": SignalColor(int(state.signals[stop.index])).name.lower(),
            "distance_m": round(distance_m, 2),
        }
    return None
