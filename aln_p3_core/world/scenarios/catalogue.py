"""Every scenario by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aln_p3_core.world.scenarios.crossers import CROSSING_CYCLIST, PEDESTRIAN_STEPS_OUT
from aln_p3_core.world.scenarios.free import FREE_DRIVING
from aln_p3_core.world.scenarios.junctions import MERGE, RED_LIGHT, UNPROTECTED_LEFT
from aln_p3_core.world.scenarios.leaders import BUS_STOP, CUT_IN, CUT_OUT, LEAD_BRAKES
from aln_p3_core.world.scenarios.scenario import Scenario
from aln_p3_core.world.scenarios.works import WORKS

_ALL = (
    FREE_DRIVING,
    LEAD_BRAKES,
    CUT_IN,
    CUT_OUT,
    PEDESTRIAN_STEPS_OUT,
    CROSSING_CYCLIST,
    UNPROTECTED_LEFT,
    RED_LIGHT,
    BUS_STOP,
    WORKS,
    MERGE,
)

#: Scenarios by name; free driving is the first.
SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
