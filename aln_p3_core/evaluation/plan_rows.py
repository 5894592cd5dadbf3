"""The rows of every table of plans: a driver under other commands and without its ego status, and the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aln_p3_core.evaluation.obedience import ObedienceProtocol, ways_ahead
from aln_p3_core.evaluation.predictions import predict
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.evaluation.subjects import Subject
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import FloatArray

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets
    from aln_p3_core.evaluation.planning_truth import PlanningTruth

#: Folder of the kept predictions in a report.
PREDICTIONS_FOLDER = "predictions"


@dataclass(frozen=True, eq=False)
class PlanRow:
    """Plans of all samples under one name.

    Attributes:
        name: in tables.
        plans_model: [N, 6, 2] in the order of the samples, m, model frame; NaN where there is none.
        is_subject: what the report is about (drawn strong), not one to compare with.
        in_plots: drawn in plots too; the others are in the tables only.
    """

    name: str
    plans_model: FloatArray
    is_subject: bool = False
    in_plots: bool = True

    def errors(self, truth: PlanningTruth) -> FloatArray:
        """[N, 6] distance of every planned point to the true path, m; NaN where either is not known."""
        distance = np.linalg.norm(self.plans_model - truth.ego_future_model, axis=-1)
        return np.where(truth.ego_future_mask, distance, np.nan)


@dataclass(frozen=True, eq=False)
class DriverRows:
    """A driver's predictions, and the rows made of them.

    Attributes:
        main: with the given command and the recorded ego status: what perception is measured on.
        rows: for tables of plans.
    """

    main: Sequence[SamplePrediction]
    rows: Sequence[PlanRow]


def driver_rows(
    subject: Subject,
    dataset: NuScenesDataset,
    scene_names: Sequence[str],
    targets: Mapping[str, Targets],
    protocol: ObedienceProtocol,
    *,
    rates_hz: Sequence[int] = (2,),
    jobs: int = 1,
    folder: Path | None = None,
    fresh: bool = False,
    progress: bool = True,
) -> DriverRows:
    """Rows: command given, that of the true path where none is given, none (straight), flipped; ego status withheld
    where it is read; and other rates.

    Args:
        subject: with a predictor.
        dataset, scene_names: what is driven.
        targets: by token.
        protocol: says where the road allows another command.
        rates_hz: the first one is the main one (`drive_frames`).
        jobs, folder, fresh, progress: as in `predictions.predict`.
    """
    predictor = subject.predictor
    assert predictor is not None

    def run(name: str, **settings: object) -> list[SamplePrediction]:
        label = f"{subject.label}{name and ' ' + name}"
        home = folder / label.replace(" ", "_") if folder else None
        return predict(
            predictor.with_settings(**settings), dataset, scene_names, jobs, folder=home, label=label, fresh=fresh,
            progress=progress,
        )  # fmt: skip

    first, *others = rates_hz
    main = run("" if first == 2 else f"{first} Hz", rate_hz=first)
    use = predictor.driver.config.ego_status
    status = f", ego status {use}"
    rows = [PlanRow(f"{subject.label}: command given{status}", plans_of(main), is_subject=True)]
    if any(p.command.provenance is CommandProvenance.DEFAULT for p in main):
        # Nobody gave the route's command, as in nuScenes: by the one that the true path fulfils published figures go.
        true = [p.with_command(targets[p.token].command) for p in main]
        rows.append(PlanRow(f"{subject.label}: command ground truth{status}", plans_of(true), is_subject=True))
    straight = [p.with_command(RouteCommand()) for p in main]
    rows.append(PlanRow(f"{subject.label}: command none{status}", plans_of(straight), in_plots=False))
    flipped = [p.with_command(flipped_command(p, targets[p.token], dataset, protocol)) for p in main]
    rows.append(PlanRow(f"{subject.label}: command flipped{status}", plans_of(flipped), in_plots=False))
    if predictor.reads_ego_status:
        withheld = run("ego status withheld", rate_hz=first, ego_status="withheld", perception=False)
        # VAD's own vector holds the difference to the last pose as well, which tells the speed.
        kept = " but for pose differences" if use == "bev" else ""
        name = f"{subject.label}: command given, ego status none{kept}"
        rows.append(PlanRow(name, plans_of(withheld), is_subject=True))
    for rate in others:
        at_rate = run(f"{rate} Hz", rate_hz=rate, perception=False)
        name = f"{subject.label}: command given{status}, {rate} Hz"
        rows.append(PlanRow(name, plans_of(at_rate), is_subject=True, in_plots=False))
    return DriverRows(main, rows)


def flipped_command(
    prediction: SamplePrediction, targets: Targets, dataset: NuScenesDataset, protocol: ObedienceProtocol
) -> RouteCommand:
    """Another command: left for right, right for left; for straight a turn that the road has ahead, left first.

    Straight stays straight where the road has no turn ahead, or no map says so.
    """
    command = prediction.command.command
    if command is Command.STRAIGHT:
        ways, _ = ways_ahead(prediction.token, targets, dataset, protocol)
        other = next((turn for turn in (Command.LEFT, Command.RIGHT) if turn in ways), command)
    else:
        other = Command.LEFT if command is Command.RIGHT else Command.RIGHT
    return RouteCommand(other, CommandProvenance.GIVEN)


def plans_of(predictions: Sequence[SamplePrediction]) -> FloatArray:
    """[N, 6, 2] the plans under the predictions' commands."""
    return np.array([p.plan_model for p in predictions], dtype=np.float64).reshape(-1, 6, 2)
