"""Who is evaluated: drivers by checkpoint, and planners that have names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.evaluation.baselines import BASELINES
from aln_p3_core.evaluation.predictions import DriverPredictor
from aln_p3_core.weights import SHIPPED, shipped_checkpoint, shipped_explainer
from aln_p3_core.world.planners.registry import UNTRAINED, find_checkpoint

#: Beside a driver's file, the explainer that was trained with it.
EXPLAINER_FILE = "explainer.safetensors"


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
        options: of `DriverPredictor`: device, precision, threads, batch, maps.

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


def find_explainers(names: Sequence[str], subjects: Sequence[Subject]) -> dict[str, str | Path]:
    """The explainer of each driver, by label: names or files.

    Args:
        names: one for all drivers, or one for each in their order. Without any, a driver's explainer is the file
            explainer.safetensors beside its own, or the one that ships with it; a driver that has neither has none.
        subjects: drivers and planners.

    Raises:
        ConfigError: for another number of names than of drivers.
    """
    drivers = [subject for subject in subjects if subject.predictor is not None]
    if names:
        if len(names) not in (1, len(drivers)):
            raise ConfigError(f"{len(names)} explainers for {len(drivers)} drivers: name one, or one for each driver")
        every = names if len(names) == len(drivers) else [names[0]] * len(drivers)
        return {driver.label: name for driver, name in zip(drivers, every, strict=True)}
    found: dict[str, str | Path] = {}
    for driver in drivers:
        beside = Path(driver.source).with_name(EXPLAINER_FILE)
        shipped = next((name for name in SHIPPED if Path(driver.source) == shipped_checkpoint(name)), None)
        if beside.is_file():
            found[driver.label] = beside
        elif shipped is not None:
            try:
                found[driver.label] = shipped_explainer(shipped)
            except CheckpointError:
                continue  # a release without an explainer
    return found


def explainer_card(source: str | Path) -> dict[str, Any]:
    """What an explainer is. Raises CheckpointError for a file that is none."""
    from aln_p3_core.explainer.checkpoint import FORMAT, read_file

    found = read_file(source)
    own = {"recipe", "driver_shape", "format", "format_version", "sha256", "driver_hash", "language_identity"}
    return {
        "file": str(found.path),
        "hash": found.sha256,
        "recipe": found.config.name,
        "adapter": found.config.adapter.kind,
        "format": FORMAT,
        **{key: value for key, value in sorted(found.metadata.items()) if key not in own},
    }


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
