"""Reports of many routes in numbers: per planner, per scenario and in all, with the range over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What is reported of a group of routes: name -> value of one route (numbers; None is left out of the mean).
METRICS: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "driving_score": lambda m: m["driving_score"],
    "success_rate": lambda m: 100.0 * m["success"],
    "success_own_fault_rate": lambda m: 100.0 * m["success_own_fault"],
    "route_completion": lambda m: m["route_completion"],
    "collisions": lambda m: sum(m["collisions"].values()),
    "collisions_pedestrian": lambda m: m["collisions"]["pedestrian"],
    "collisions_cyclist": lambda m: m["collisions"]["cyclist"],
    "collisions_vehicle": lambda m: m["collisions"]["vehicle"],
    "collisions_static": lambda m: m["collisions"]["static"],
    "collisions_own_fault": lambda m: m["own_fault_collisions"],
    "collisions_others_fault": lambda m: sum(m["collisions"].values()) - m["own_fault_collisions"],
    "off_road": lambda m: m["counts"]["off_road"],
    "wrong_way": lambda m: m["counts"]["wrong_way"],
    "outside_share": lambda m: 100.0 * m["outside_share"],
    "red_lights": lambda m: m["counts"]["red_light"],
    "lights_passed": lambda m: m["lights_passed"],
    "blocked": lambda m: m["counts"]["blocked"],
    "route_deviations": lambda m: m["counts"]["route_deviation"],
    "time_outs": lambda m: m["counts"]["time_out"],
    "comfort": lambda m: 100.0 * m["comfort"],
    "critical_ttc": lambda m: 100.0 * m["critical_ttc_share"],
    "min_ttc_s": lambda m: m["min_ttc_s"],
    "mean_speed": lambda m: m["mean_speed"],
    "distance_m": lambda m: m["distance_m"],
    "duration_s": lambda m: m["duration_s"],
}
#: Counts: reported as totals of a group, all others as means over its routes.
TOTALS = frozenset(name for name in METRICS if name.startswith("collisions")) | {
    *("off_road", "wrong_way", "red_lights", "lights_passed", "blocked", "route_deviations", "time_outs"),
}
#: The group of all scenarios.
ALL = "all"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A metric of a group of routes.

    Attributes:
        value: total (of a count) or mean over the group's routes.
        low, high: least and greatest of the same over the routes of one seed each.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class GroupSummary:
    """A planner's routes of one scenario, or of all.

    Attributes:
        planner, scenario: who, and where (ALL: everywhere). routes, seeds: how many.
        statistics: by name of METRICS; without those that no route has.
        human: mean distances to the human driver of the recordings, m, by name; empty without recordings.
    """

    planner: str
    scenario: str
    routes: int
    seeds: int
    statistics: Mapping[str, Statistic]
    human: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        values = {
            name: {"value": round(s.value, 4), "low": round(s.low, 4), "high": round(s.high, 4)}
            for name, s in self.statistics.items()
        }
        human = {name: round(value, 4) for name, value in self.human.items()}
        return {"planner": self.planner, "scenario": self.scenario, "routes": self.routes, "seeds": self.seeds,
                "metrics": values} | ({"human": human} if human else {})  # fmt: skip


def summarise(reports: Sequence[Mapping[str, Any]]) -> list[GroupSummary]:
    """Groups in the order of the reports: each planner in all first, then by scenario.

    Args:
        reports: of routes, as `world drive` writes them.
    """
    planners = _unique(report["planner"] for report in reports)
    groups = []
    for planner in planners:
        own = [report for report in reports if report["planner"] == planner]
        groups.append(_group(planner, ALL, own))
        for scenario in _unique(report["episode"]["scenario"] for report in own):
            groups.append(_group(planner, scenario, [r for r in own if r["episode"]["scenario"] == scenario]))
    return groups


def _group(planner: str, scenario: str, reports: Sequence[Mapping[str, Any]]) -> GroupSummary:
    repetitions = sorted({report["repetition"] for report in reports})
    statistics = {}
    for name in METRICS:
        value = _combined(name, reports)
        by_seed = [_combined(name, [r for r in reports if r["repetition"] == seed]) for seed in repetitions]
        known = [seed_value for seed_value in by_seed if seed_value is not None]
        if value is not None:
            statistics[name] = Statistic(value, min(known), max(known))
    humans = [report["human"] for report in reports if report.get("human")]
    names = _unique(name for human in humans for name in human)
    human = {name: float(np.mean([h[name] for h in humans if name in h])) for name in names}
    return GroupSummary(planner, scenario, len(reports), len(repetitions), statistics, human)


def _combined(name: str, reports: Sequence[Mapping[str, Any]]) -> float | None:
    values = [value for report in reports if (value := METRICS[name](report["measures"])) is not None]
    if not values:
        return None
    return float(np.sum(values)) if name in TOTALS else float(np.mean(values))


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
