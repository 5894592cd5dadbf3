"""Open-loop planning: distances and contacts of plans under named protocols, in a table with 95 % bands.

    table = evaluate_planning(truth, {"human": human(truth), "nano": plans}, [read_planning_protocol("p3")])

Plans are [N, 6, 2]: places of the model frame's origin every half second, m, in the model frame; NaN where there is
none. docs/evaluation.md gives the formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.bootstrap import Band, scene_bootstrap
from aln_p3_core.evaluation.planning_collision import ego_boxes, touches_agents, touches_curbs
from aln_p3_core.evaluation.planning_occupancy import Occupancy, draw_occupancy
from aln_p3_core.evaluation.planning_truth import BoolArray, PlanningTruth
from aln_p3_core.evaluation.protocol import HORIZONS_S, PlanningProtocol
from aln_p3_core.geometry import FloatArray

#: What is measured; "point_collision" and "curb" where the protocol has them.
MEASURES = ("l2", "collision", "point_collision", "curb")
_STEPS_PER_S = 2


@dataclass(frozen=True, eq=False)
class StepValues:
    """Values of every sample and step, [N, T]; NaN where a step does not count.

    Attributes:
        l2: m. collision, point_collision, curb: 1 or 0; None where the protocol has no such value.
        true_contact: the true path is in contact itself.
    """

    l2: FloatArray
    collision: FloatArray
    true_contact: BoolArray
    point_collision: FloatArray | None = None
    curb: FloatArray | None = None

    def of(self, measure: str) -> FloatArray | None:
        """[N, T] by name, of MEASURES or "true_contact"; NaN where a step does not count."""
        if measure == "true_contact":
            return np.where(np.isfinite(self.l2), self.true_contact, np.nan)
        value: FloatArray | None = getattr(self, measure)
        return value

    def horizon(self, measure: str, seconds: float, form: str) -> FloatArray:
        """[N] value of every sample at a horizon: "mean" over the steps up to it, or "at" it.

        A mean is over the steps that count; it is NaN where the truth is not known up to the horizon.
        """
        values = self.of(measure)
        if values is None:
            return np.full(len(self.l2), np.nan)
        last = round(seconds * _STEPS_PER_S)
        if form == "at":
            return values[:, last - 1]
        part = values[:, :last]
        counts = np.isfinite(part)
        known = np.isfinite(self.l2[:, :last]).all(axis=1) & counts.any(axis=1)
        sums = np.where(counts, part, 0.0).sum(axis=1)
        return np.divide(sums, counts.sum(axis=1), out=np.full(len(part), np.nan), where=known)


@dataclass(frozen=True, eq=False)
class PlanningRow:
    """One row of plans under one protocol.

    Attributes:
        name: of the plans. protocol: how it was counted. steps: every value.
        bands: means with 95 % bands (scalars), by (measure, form, horizon); measure of MEASURES, or "true_contact" for
            the share of steps at which the true path is in contact; form "mean" or "at"; horizon "1s", "2s", "3s" or
            "avg", the mean of the three over the samples that count at all of them.
        counts: samples behind every band, by the same keys.
    """

    name: str
    protocol: PlanningProtocol
    steps: StepValues
    bands: Mapping[tuple[str, str, str], Band]
    counts: Mapping[tuple[str, str, str], int]

    def value(self, measure: str, form: str, horizon: str) -> float:
        """The mean; NaN where it was not measured. L2 in m, the others shares of 0..1."""
        band = self.bands.get((measure, form, horizon))
        return float("nan") if band is None else float(band.mean)


@dataclass(frozen=True, eq=False)
class PlanningTable:
    """All rows under all protocols, in the order of the protocols, then of the rows."""

    rows: tuple[PlanningRow, ...]

    def row(self, name: str, protocol: str) -> PlanningRow:
        """The row of that name under the protocol of that title. Raises KeyError."""
        for row in self.rows:
            if (row.name, row.protocol.title) == (name, protocol):
                return row
        raise KeyError((name, protocol))

    def to_json(self) -> dict[str, Any]:
        """`{protocol name: {row: {"l2_mean_1s": {"mean", "low", "high", "samples"}}}}`; missing values are None."""
        found: dict[str, Any] = {}
        for row in self.rows:
            values = {
                "_".join(key): {
                    "mean": _plain(band.mean),
                    "low": _plain(band.low),
                    "high": _plain(band.high),
                    "samples": row.counts[key],
                }
                for key, band in row.bands.items()
            }
            found.setdefault(row.protocol.name, {})[row.name] = values
        return found


def evaluate_planning(
    truth: PlanningTruth,
    plans: Mapping[str, FloatArray],
    protocols: Iterable[PlanningProtocol],
    *,
    resamplings: int = 1000,
) -> PlanningTable:
    """Every row of plans under every protocol. Grids are drawn once for all rows: seconds for thousands of samples.

    Args:
        truth: of N samples.
        plans: [N, 6, 2] by name.
        protocols: see `protocol.read_planning_protocol`.
        resamplings: of the scenes, for the bands.

    Raises:
        DataError: for plans of another shape.
    """
    rows = []
    for protocol in protocols:
        occupancy = draw_occupancy(truth, protocol) if protocol.outlines == "grid" else None
        for name, paths in plans.items():
            if np.shape(paths) != truth.ego_future_model.shape:
                raise DataError(f"plans of {name!r} have shape {np.shape(paths)}, not {truth.ego_future_model.shape}")
            steps = step_values(truth, paths, protocol, occupancy)
            rows.append(_row(name, protocol, steps, truth.scenes, resamplings))
    return PlanningTable(tuple(rows))


def step_values(
    truth: PlanningTruth, plans_model: FloatArray, protocol: PlanningProtocol, occupancy: Occupancy | None = None
) -> StepValues:
    """Values of every step; NaN in samples and steps that the protocol does not count."""
    raw = raw_steps(truth, plans_model, protocol, occupancy)
    if protocol.samples == "all":
        return raw
    counts = truth.step_known
    if protocol.samples == "six_future_frames":
        counts = np.broadcast_to(counts.all(axis=1, keepdims=True), counts.shape)
    masked = {name: value for name in MEASURES if (value := raw.of(name)) is not None}
    return StepValues(true_contact=raw.true_contact, **{n: np.where(counts, v, np.nan) for n, v in masked.items()})


def raw_steps(
    truth: PlanningTruth, plans_model: FloatArray, protocol: PlanningProtocol, occupancy: Occupancy | None = None
) -> StepValues:
    """Values of every step of every sample, whether the protocol counts the sample or not.

    Where the truth ends, the true path stays at its last place (as in VAD's data); under "all" samples, steps without
    truth have distance 0 and are free.
    """
    plans_model = np.asarray(plans_model, dtype=np.float64)
    planned = np.isfinite(plans_model).all(axis=-1)
    plans = np.where(planned[..., None], plans_model, 0.0)
    true_path = truth.held_future_model
    point = curb = None
    if protocol.outlines == "grid":
        occupancy = occupancy or draw_occupancy(truth, protocol)
        contact = occupancy.touched_by_box(true_path, protocol)
        hit = occupancy.touched_by_box(plans, protocol)
        if protocol.point_lookup_m is not None:
            point = occupancy.touched_by_point(plans, protocol.point_lookup_m).astype(np.float64)
    else:
        true_boxes, boxes = (ego_boxes(path, truth.T_ego_model, protocol) for path in (true_path, plans))
        contact = touches_agents(truth, *true_boxes, protocol)
        hit = touches_agents(truth, *boxes, protocol)
        if protocol.curbs:
            true_curb = touches_curbs(truth, *true_boxes, protocol)
            curb = np.where(true_curb == 1.0, np.nan, touches_curbs(truth, *boxes, protocol))
    l2 = np.linalg.norm(plans - true_path, axis=-1)
    assumed = np.zeros_like(planned)
    if protocol.samples == "all":
        assumed = ~truth.step_known
        # A frame that does not exist is filled with obstacles, so that the true path is in contact there.
        contact = contact | ~truth.frame_known
        l2 = np.where(assumed, 0.0, l2)
    left = 0.0 if protocol.true_contact == "counts_as_free" else np.nan
    judged = [None if v is None else np.where(contact, left, v) for v in (hit.astype(np.float64), point)]
    values = (l2, judged[0], judged[1], curb)
    named = {
        name: np.where(planned | assumed, value, np.nan)
        for name, value in zip(MEASURES, values, strict=True)
        if value is not None
    }
    return StepValues(true_contact=contact, **named)


def forms_of(protocol: PlanningProtocol) -> tuple[str, ...]:
    """Which values of a horizon the protocol gives: "mean", "at" or both."""
    return {"mean_to_horizon": ("mean",), "at_horizon": ("at",), "both": ("mean", "at")}[protocol.values]


def _row(
    name: str, protocol: PlanningProtocol, steps: StepValues, scenes: tuple[str, ...], resamplings: int
) -> PlanningRow:
    columns: dict[tuple[str, str, str], FloatArray] = {}
    for measure in (*MEASURES, "true_contact"):
        if steps.of(measure) is None:
            continue
        for form in forms_of(protocol):
            values = [steps.horizon(measure, seconds, form) for seconds in HORIZONS_S]
            for seconds, value in zip(HORIZONS_S, values, strict=True):
                columns[measure, form, f"{seconds:g}s"] = value
            columns[measure, form, "avg"] = np.mean(values, axis=0)
    every = np.stack(list(columns.values()), axis=1)
    band = scene_bootstrap(every, scenes, resamplings=resamplings)
    bands = {key: Band(band.mean[i], band.low[i], band.high[i]) for i, key in enumerate(columns)}
    counts = {key: int(np.isfinite(column).sum()) for key, column in columns.items()}
    return PlanningRow(name, protocol, steps, bands, counts)


def _plain(value: FloatArray) -> float | None:
    return float(value) if np.isfinite(value) else None
