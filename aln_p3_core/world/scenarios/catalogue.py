"""Every scenario by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aln_p3_core.world.scenarios.free import FREE_DRIVING
from aln_p3_core.world.scenarios.scenario import Scenario

_ALL = (FREE_DRIVING,)

#: Scenarios by name; free driving is the first.
SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
