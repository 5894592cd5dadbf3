"""Open loop: what all suites on recorded scenes share, computed once and only when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.baselines import baseline_plans, trained_mlp
from aln_p3_core.evaluation.obedience import ObedienceProtocol, read_protocol
from aln_p3_core.evaluation.plan_rows import PREDICTIONS_FOLDER, DriverRows, PlanRow, driver_rows
from aln_p3_core.evaluation.sample_facts import SampleFacts, facts_of
from aln_p3_core.evaluation.subjects import Subject

if TYPE_CHECKING:
    from aln_p3_core.datasets.map_elements import MapTargets
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets
    from aln_p3_core.evaluation.ego_status_mlp import EgoStatusMlp
    from aln_p3_core.evaluation.planning_truth import PlanningTruth
    from aln_p3_core.evaluation.request import Request

# The error of the one is many times that of all others, and the other is the truth itself.
_OFF_THE_PLOT = ("stand_still", "expert")


class OpenLoop:
    """Samples, truth and predictions of an evaluation.

    Attributes:
        dataset, scenes: what is looked at. subjects: who. request: how.
        tokens: of all key frames of the scenes, in order.
        explainers: name or file of the explainer of drivers, by label.
    """

    def __init__(
        self,
        dataset: NuScenesDataset,
        scenes: Sequence[str],
        subjects: Sequence[Subject],
        request: Request,
        mlp: EgoStatusMlp | None = None,
        *,
        explainers: Mapping[str, str | Path] | None = None,
    ) -> None:
        """`mlp`: an ego-status MLP that was trained elsewhere; None trains one on the root's train split."""
        self.dataset = dataset
        self.scenes = tuple(scenes)
        self.subjects = tuple(subjects)
        self.request = request
        self.explainers = dict(explainers or {})
        self._given_mlp = mlp
        self.tokens = tuple(token for name in scenes for token in dataset.scene_tokens(name))

    @cached_property
    def targets(self) -> dict[str, Targets]:
        """Truth by token."""
        bar = tqdm(self.tokens, desc="truth", unit="frame", disable=not self.request.progress)
        return {token: self.dataset.targets(token) for token in bar}

    def targets_of(self, tokens: Sequence[str]) -> dict[str, Targets]:
        """Truth of some samples, without reading that of all others."""
        known: Mapping[str, Targets] = self.__dict__.get("targets", {})  # where `targets` was asked for before
        bar = tqdm(tokens, desc="truth", unit="frame", disable=not self.request.progress or bool(known))
        return {token: known[token] if known else self.dataset.targets(token) for token in bar}

    @cached_property
    def map_truth(self) -> list[MapTargets | None]:
        """Map lines with all their vertices, in the order of the tokens; None where there is no map."""
        bar = tqdm(self.tokens, desc="map truth", unit="frame", disable=not self.request.progress)
        return [self.dataset.map_truth(token) for token in bar]

    @cached_property
    def truth(self) -> PlanningTruth:
        """What plans are measured against, in the order of the tokens."""
        from aln_p3_core.evaluation.planning_truth_build import planning_truth

        return planning_truth(
            self.dataset,
            self.tokens,
            targets=self.targets,
            cache=self.request.report / PREDICTIONS_FOLDER,
            progress=self.request.progress,
        )

    @cached_property
    def facts(self) -> list[SampleFacts]:
        """In the order of the tokens."""
        found = facts_of(self.dataset, self.scenes, self.targets)
        return [found[token] for token in self.tokens]

    @cached_property
    def obedience_protocol(self) -> ObedienceProtocol:
        """As its file has it."""
        return read_protocol()

    @cached_property
    def drivers(self) -> dict[str, DriverRows]:
        """Predictions of every subject that is a driver, by label."""
        return {
            subject.label: driver_rows(
                subject,
                self.dataset,
                self.scenes,
                self.targets,
                self.obedience_protocol,
                rates_hz=self.request.rates_hz,
                jobs=self.request.jobs,
                folder=self.request.report / PREDICTIONS_FOLDER,
                fresh=self.request.fresh,
                progress=self.request.progress,
            )
            for subject in self.subjects
            if subject.predictor is not None
        }

    @cached_property
    def mlp(self) -> EgoStatusMlp | None:
        """The ego-status MLP: what it was made with, else one trained on the root's own train split."""
        return self._given_mlp or trained_mlp(self.dataset, self.request.report, fresh=self.request.fresh)

    @cached_property
    def plan_rows(self) -> list[PlanRow]:
        """Rows of all drivers, then the baselines; those that the report is about are marked.

        Raises:
            ConfigError: for a planner that the data set has no row of.
        """
        named = {subject.source for subject in self.subjects if subject.predictor is None}
        baselines = baseline_plans(self.dataset, self.truth, self.mlp)
        if missing := sorted(named - set(baselines)):
            raise ConfigError(
                f"{self.dataset.root} has no row of {', '.join(missing)}: expert needs stored plans "
                "(expert_plan.json), ego_status_mlp a split `train` to learn from"
            )
        rows = [row for found in self.drivers.values() for row in found.rows]
        for name, plans in baselines.items():
            rows.append(PlanRow(name, plans, is_subject=name in named, in_plots=name not in _OFF_THE_PLOT))
        return rows

    def command_sources(self) -> str:
        """How many frames carry which command, and where it came from."""
        found = Counter((c.command.name.lower(), c.provenance.value) for c in map(self.dataset.command_of, self.tokens))
        return ", ".join(f"{count} {name} ({source})" for (name, source), count in sorted(found.items()))
