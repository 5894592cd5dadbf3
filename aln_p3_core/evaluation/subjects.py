"""Who is evaluated: drivers by checkpoint, and planners that have names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.baselines import BASELINES
from aln_p3_core.evaluation.predictions import DriverPredictor
from aln_p3_core.weights import SHIPPED
from aln_p3_core.world.planners.registry import UNTRAINED, find_checkpoint


@dataclass(frozen=True, eq=False)
class Subject:
    """One of those that a report is about.

    Attributes:
        label: in tables and file names; unique in a report.
        source: a checkpoint's path, "untrained:RECIPE", or a planner's name.
        predictor: of a driver; None for planners that have names.
    """

    label: str
    source: str
    predictor: DriverPredictor | None = None

    def card(self) -> dict[str, Any]:
        """What it is: checkpoint, hash, recipe, use of the ego status, and what its training said about itself."""
        if self.predictor is None:
            return {"planner": self.source}
        driver = self.predictor.driver
        return {
            "checkpoint": self.source,
            "hash": driver.checkpoint_hash,
            "recipe": driver.config.name,
            "ego status": driver.config.ego_status,
            "weights": driver.description,
            "precision": f"{driver.precision} on {driver.device}",
            **training_facts(self.source),
        }


def find_subjects(names: Sequence[str], **options: Any) -> list[Subject]:
    """Subjects by checkpoint (or the folder that holds it alone), shipped driver, "untrained:RECIPE", or planner name.

    Args:
        names: at least one.
        options: of `DriverPredictor`: device, precision, threads.

    Raises:
        ConfigError: for an unknown name, and for two subjects that would have one label.
        CheckpointError: for a file that is no checkpoint of a driver, or a damaged one.
    """
    found: dict[str, Subject] = {}
    for name in names:
        subject = _subject(name, found, options)
        if subject.label in found or subject.source in {other.source for other in found.values()}:
            raise ConfigError(f"{subject.label!r} is named twice; name each once, or rename the checkpoint")
        found[subject.label] = subject
    return list(found.values())


def training_facts(source: str) -> dict[str, str]:
    """What a checkpoint's metadata says about the training run; empty for other sources."""
    if not Path(source).is_file():
        return {}
    from safetensors import safe_open

    with safe_open(source, framework="pt") as file:
        metadata = file.metadata() or {}
    own = {"format", "format_version", "recipe", "class_names", "normalisation", "sha256", "description"}
    return {f"training: {key}": value for key, value in sorted(metadata.items()) if key not in own}


def _subject(name: str, taken: Iterable[str], options: dict[str, Any]) -> Subject:
    if name in BASELINES:
        return Subject(name, name)
    if name.startswith(UNTRAINED):
        subject = Subject(name.replace(":", "-"), name, DriverPredictor(name, **options))
    elif name not in SHIPPED and not Path(name).exists():
        raise ConfigError(
            f"no planner {name!r}; choices: {', '.join((*BASELINES, *SHIPPED))}, {UNTRAINED}<recipe>, "
            "or the path of a checkpoint (this path does not exist)"
        )
    else:
        file = find_checkpoint(name)
        label = Path(name).stem
        if label in taken:
            label = f"{Path(name).resolve().parent.name}-{label}"
        subject = Subject(label, str(file), DriverPredictor(file, **options))
    assert subject.predictor is not None
    _ = subject.predictor.driver  # a wrong file is told before anything is computed
    return subject
