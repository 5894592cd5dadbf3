"""Refuses settings that contradict each other or the recipe before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3_core.alignment.settings import check_settings as check_alignment
from aln_p3_core.config import DriverConfig
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.perceived import MAKERS
from aln_p3_core.training.settings import PARTS, StageSettings, TrainingConfig
from aln_p3_core.training.settings_ranges import check_ranges
from aln_p3_core.training.validation import measures_to_minimise


def check_settings(driver: DriverConfig, config: TrainingConfig) -> None:
    """
    Raises:
        ConfigError: naming the setting and what it can be.
    """
    check_ranges(config)
    _refuse_mirrored_planning(config)
    _check_texts(config)
    if config.run.backbone_weights and not driver.backbone.pretrained:
        raise ConfigError("run.backbone_weights names weights that driver.backbone.pretrained=false would not load")
    for number, stage in enumerate(config.stages):
        check_parts(stage.frozen, f"stages.{number}.frozen")
        if config.data.store == "perception":
            _check_kept_perception(stage, number, explained=config.explainer is not None)
        if config.data.store == "bev" and (missing := [p for p in MAKERS["decoders"] if p not in stage.frozen]):
            raise ConfigError(
                f'data.store="bev" holds the maps of a BEV encoder that stays as it is: add {", ".join(missing)} to '
                f"stages.{number}.frozen"
            )
    known = measures_to_minimise(driver, config)
    if config.run.best_by not in known:
        raise ConfigError(f"run.best_by {config.run.best_by!r} is no measure to minimise; there are {', '.join(known)}")


def _check_texts(config: TrainingConfig) -> None:
    if config.explainer is None:
        if config.alignment is not None or config.texts is not None:
            raise ConfigError("alignment and texts need an explainer: this training has none, set them to null too")
        return
    texts = config.texts
    if texts is None:
        raise ConfigError("a training with an explainer needs texts")
    if config.augmentation.flip_probability > 0:
        raise ConfigError("augmentation.flip_probability would make the texts wrong (left and right): set it to 0")
    if config.alignment is not None:
        check_alignment(config.alignment)
    check_shuffled(config, processes=1)


def check_shuffled(config: TrainingConfig, processes: int) -> None:
    """Each process exchanges the words of its own part of the batch: of one frame alone they would stay true.

    Raises:
        ConfigError: where a part has one frame.
    """
    if config.alignment is None or not config.alignment.shuffled_words:
        return
    if config.run.batch_size < 2 * processes:
        raise ConfigError(
            "alignment.shuffled_words takes the words of the other frames that a process has of the batch: "
            f"run.batch_size must be {2 * processes} or more"
        )


def _check_kept_perception(stage: StageSettings, number: int, *, explained: bool) -> None:
    """What was kept of a frozen perception teaches the planner alone, or an explainer alone."""
    frozen = [part for part in PARTS if explained or part != "planner"]
    if set(stage.frozen) != set(frozen) or stage.plan == explained:
        reader = "the explainer" if explained else "the planner"
        raise ConfigError(
            f'data.store="perception" holds what {reader} reads, and nothing else learns from it: set '
            f"stages.{number}.frozen to {', '.join(frozen)}, and stages.{number}.plan to {str(not explained).lower()}"
        )
    if stage.perception_weight > 0:
        raise ConfigError(f'data.store="perception" trains no perception: set stages.{number}.perception_weight=0')


def check_parts(names: Sequence[str], setting: str) -> None:
    """
    Raises:
        ConfigError: when a name is no part of the network.
    """
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        raise ConfigError(f"{setting} names {', '.join(unknown)}; there are {', '.join(PARTS)}")


def _refuse_mirrored_planning(config: TrainingConfig) -> None:
    """In mirrored towns people drive on the other side."""
    if config.augmentation.flip_probability > 0 and any(stage.plan for stage in config.stages):
        raise ConfigError(
            "augmentation.flip_probability mirrors the traffic's side too: set it to 0, or stages.N.plan to false"
        )
