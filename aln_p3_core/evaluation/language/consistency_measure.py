"""Plan-text consistency over many explanations: how much is stated, and how much of it holds.

Our own measure (`explainer.consistency` does one explanation; docs/consistency.md). A low share of statements makes a
high share of consistent ones easy, so both always stand together, and beside them the shares of the same texts dealt
out to other scenes: what a text that is written without looking would get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.targets import Targets
from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.bootstrap import Band, scene_bootstrap
from aln_p3_core.explainer.consistency import DEFAULT_SETTINGS, Consistency, ConsistencySettings, check_consistency
from aln_p3_core.explainer.consistency_types import CHECKED, Finding, Kind, Verdict
from aln_p3_core.scene import Agents, MapElements

_STATED = (Verdict.CONSISTENT, Verdict.CONTRADICTS, Verdict.NOT_CHECKABLE)
#: Rates of whole texts stand under this name beside those of the kinds.
WHOLE = "text"


@dataclass(frozen=True, eq=False)
class ExplainedSample:
    """One explanation and what it is held against.

    Attributes:
        token, scene: of the sample.
        narration, reasoning: the text.
        plan_model: [T, 2] m in the model frame.
        agents, map_elements: detected, None where they are not known.
        speed_now_ms: of the car, None where it is not known.
    """

    token: str
    scene: str
    narration: str
    reasoning: str
    plan_model: NDArray[np.floating]
    agents: Agents | None = None
    map_elements: MapElements | None = None
    speed_now_ms: float | None = None


@dataclass(frozen=True, eq=False)
class ConsistencyRates:
    """Of one kind of statement, with bands of 95 % from resampling scenes.

    Attributes:
        stated: share of the texts that state anything of the kind.
        checked: share of the texts with a statement that could be checked.
        consistent: of those, the share of what was checked that holds (of whole texts: with no contradiction).
        omitted: share of the texts that leave out something marked that the plan does.
        samples, stated_samples, checked_samples: how many.
    """

    stated: Band
    checked: Band
    consistent: Band
    omitted: Band
    samples: int
    stated_samples: int
    checked_samples: int

    def as_json(self) -> dict[str, object]:
        """Plain numbers; None where nothing was measured."""
        shares = {name: band_numbers(getattr(self, name)) for name in ("stated", "checked", "consistent", "omitted")}
        counts = {name: getattr(self, name) for name in ("samples", "stated_samples", "checked_samples")}
        return {**shares, **counts}


@dataclass(frozen=True, eq=False)
class ConsistencyReport:
    """Of many explanations.

    Attributes:
        rates: by kind ("direction", "speed", "cause", "place") and for whole texts ("text").
        causes: consistent and checked statements by the cause that is named, most frequent first.
        findings: of every sample, in order.
    """

    rates: dict[str, ConsistencyRates]
    causes: dict[str, tuple[int, int]]
    findings: tuple[Consistency, ...]

    def as_json(self) -> dict[str, object]:
        """Without the findings."""
        causes = {name: {"consistent": holds, "checked": checked} for name, (holds, checked) in self.causes.items()}
        return {"rates": {name: rates.as_json() for name, rates in self.rates.items()}, "causes": causes}


def measure_consistency(
    samples: Sequence[ExplainedSample], *, settings: ConsistencySettings = DEFAULT_SETTINGS, seed: int = 0
) -> ConsistencyReport:
    """Checks every explanation.

    Args:
        samples: explanations.
        settings: limits of the checks.
        seed: of the bootstrap.

    Raises:
        DataError: without samples.
    """
    if not samples:
        raise DataError("there is no explanation to check; give at least one sample")
    found = tuple(
        check_consistency(
            s.narration, s.reasoning, s.plan_model, s.agents, s.map_elements, s.speed_now_ms, settings=settings
        )
        for s in samples
    )
    scenes = [sample.scene for sample in samples]
    rates = {kind.value: _rates([one.of_kind(kind) for one in found], scenes, _share_consistent, seed) for kind in Kind}
    rates[WHOLE] = _rates([one.statements for one in found], scenes, _all_consistent, seed)
    return ConsistencyReport(rates, _by_cause(found), found)


def shuffled_texts(samples: Sequence[ExplainedSample], *, seed: int = 0) -> list[ExplainedSample]:
    """The same samples with texts of other scenes: the control that a measure must tell from the real thing.

    Texts are dealt out by lot, each once, and none to its own scene as far as the scenes' sizes allow.
    """
    rng = np.random.default_rng([seed, len(samples)])
    names = {name: k for k, name in enumerate(dict.fromkeys(sample.scene for sample in samples))}
    # Sorted by scene, in a random order within: half-way around the list begins another scene, unless one is larger.
    order = sorted(range(len(samples)), key=lambda i: (names[samples[i].scene], rng.random()))
    dealt = list(samples)
    for place, i in enumerate(order):
        giver = samples[order[(place + len(order) // 2) % len(order)]]
        dealt[i] = replace(samples[i], narration=giver.narration, reasoning=giver.reasoning)
    return dealt


def agents_of_targets(targets: Targets) -> Agents:
    """Ground truth as perfect detections: score 1, one forecast, `query_ids` the rows of the targets."""
    count = len(targets)
    return Agents(
        centers_model=targets.centers_model.astype(np.float32),
        sizes_lwh=targets.sizes_lwh.astype(np.float32),
        headings_model=targets.headings_model.astype(np.float32),
        velocities_model=targets.velocities_model.astype(np.float32),
        scores=np.ones(count, dtype=np.float32),
        class_ids=targets.class_ids,
        forecasts_model=targets.futures_model[:, None].astype(np.float32),
        forecast_probabilities=np.ones((count, 1), dtype=np.float32),
        query_ids=np.arange(count),
        step_s=targets.step_s,
    )


def _rates(
    found: Sequence[tuple[Finding, ...]],
    scenes: Sequence[str],
    share: Callable[[list[bool]], float],
    seed: int,
) -> ConsistencyRates:
    stated = np.array([any(f.verdict in _STATED for f in findings) for findings in found], dtype=np.float64)
    omitted = np.array([any(f.verdict is Verdict.OMITTED for f in findings) for findings in found], dtype=np.float64)
    answers = [[f.verdict is Verdict.CONSISTENT for f in findings if f.verdict in CHECKED] for findings in found]
    checked = np.array([bool(answer) for answer in answers], dtype=np.float64)
    consistent = np.array([share(answer) if answer else np.nan for answer in answers])
    return ConsistencyRates(
        stated=scene_bootstrap(stated, scenes, seed=seed),
        checked=scene_bootstrap(checked, scenes, seed=seed),
        consistent=scene_bootstrap(consistent, scenes, seed=seed),
        omitted=scene_bootstrap(omitted, scenes, seed=seed),
        samples=len(found),
        stated_samples=int(stated.sum()),
        checked_samples=int(checked.sum()),
    )


def _share_consistent(answers: list[bool]) -> float:
    return float(np.mean(answers))


def _all_consistent(answers: list[bool]) -> float:
    return float(all(answers))


def _by_cause(found: Sequence[Consistency]) -> dict[str, tuple[int, int]]:
    holds: dict[str, int] = defaultdict(int)
    checked: dict[str, int] = defaultdict(int)
    for one in found:
        for finding in one.of_kind(Kind.CAUSE):
            if finding.cause is not None and finding.verdict in CHECKED:
                checked[finding.cause.value] += 1
                holds[finding.cause.value] += finding.verdict is Verdict.CONSISTENT
    return {name: (holds[name], checked[name]) for name in sorted(checked, key=lambda name: (-checked[name], name))}


def band_numbers(band: Band) -> dict[str, float | None]:
    """Mean, low and high end of a band of one number; None where it is not known."""
    values = {"mean": float(band.mean), "low": float(band.low), "high": float(band.high)}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
