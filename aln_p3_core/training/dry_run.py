"""What a training would be, without beginning it: parts, data, memory and the command that starts it.

Networks are built on torch's meta device: shapes without memory, so that a laptop can check a training for a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.device import resolve_device, slow_precision
from aln_p3_core.driver.backbone import make_backbone, pretrained_file
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import AlnP3Error, ConfigError
from aln_p3_core.training.begin import begins_pretrained, check_begin, check_init
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.dry_run_data import data_rows
from aln_p3_core.training.dry_run_rows import DryRun
from aln_p3_core.training.dry_run_texts import text_rows
from aln_p3_core.training.launch import Start
from aln_p3_core.training.memory_estimate import (
    MemoryEstimate,
    driver_activations,
    estimate,
    language_activations,
)
from aln_p3_core.training.settings import PARTS, StageSettings, TrainingConfig
from aln_p3_core.training.used_roots import used_roots
from aln_p3_core.weights import name_of

# GPUs of one machine that the launch command and the sharded estimate are for.
_GPUS = 8
_LANGUAGE_MODEL = "language model"
# Of CLIP ViT-L/14, where the text encoder is not there.
_CLIP_WIDTH = 768


def dry_run(start: Start, driver: DriverConfig, config: TrainingConfig) -> DryRun:
    """Checks data and settings, and tells what the training would be.

    Args:
        start: what was given; no data is told as missing.
        driver, config: settings of its recipe, with the changes that it names.

    Raises:
        ConfigError: for settings that contradict each other, or roots without a frame to learn from. DataError: for
            broken tables.
    """
    from aln_p3_core.training.settings_check import check_parts, check_settings

    check_settings(driver, config)
    check_parts(start.fresh, "--fresh")
    told = DryRun()
    _begin(told, start, driver, config)
    used = list(used_roots(start.roots, config.data))
    learnt = data_rows(told, driver, config, used, start.cache)
    text_rows(told, config, used)
    parts, language = _parts(told, driver, config)
    _rows_of_parts(told, parts)
    steps = sum(stage.steps for stage in config.stages)
    passes = f": {steps * config.run.batch_size / learnt:.1f} passes" if learnt else ""
    told.add("steps", f"{steps} of {config.run.batch_size} clips{passes}")
    for stage in config.stages:
        told.add(f"stage {stage.name}", _stage(config, stage))
    _memory(told, driver, config, parts, language)
    if note := slow_precision(config.run.precision, resolve_device()):
        told.notes.append(note)
    begun = "DRIVER.safetensors" if config.explainer is not None or config.stages[0].frozen else ""
    told.add("start", start.command(begins_with=begun))
    processes = max(n for n in range(1, _GPUS + 1) if config.run.batch_size % n == 0)
    launcher = f"torchrun --nproc-per-node {processes} -m aln_p3_core"
    told.add(
        "on several GPUs",
        f"{start.command(launcher, begun)} "
        f"(the number of processes divides run.batch_size, {config.run.batch_size}; accelerate launch does the same)",
    )
    return told


@dataclass(slots=True)
class _Part:
    """Parameters of a part: all, and those that some stage trains."""

    total: int
    trained: int
    shape: str = ""


def _begin(told: DryRun, start: Start, driver: DriverConfig, config: TrainingConfig) -> None:
    """Whether there is something to begin with, and it fits."""
    try:
        check_begin(driver, config, start.init, start.fresh)
        if start.init is not None:
            check_init(driver, start.init, start.fresh)
    except AlnP3Error as error:
        told.missing.append(f"a driver to begin with: {error}")
    if begins_pretrained(driver, start.init, start.fresh):
        try:
            file = pretrained_file(driver.backbone, config.run.backbone_weights)
            make_backbone(driver.backbone, image=driver.image, weights=str(file))
            told.add("backbone", f"{driver.backbone.kind} begins with the ImageNet weights of {file}")
        except AlnP3Error as error:
            told.missing.append(str(error))
    elif start.init is not None:
        told.add("backbone", f"{driver.backbone.kind} begins with the weights of {name_of(start.init)}")
    if start.init_explainer is not None and config.explainer is not None:
        from aln_p3_core.explainer.checkpoint import read_explainer

        try:
            read_explainer(start.init_explainer, config.explainer)
        except AlnP3Error as error:
            told.missing.append(f"an explainer to begin with: {error}")


def _parts(told: DryRun, driver: DriverConfig, config: TrainingConfig) -> tuple[dict[str, _Part], Any]:
    """Parameters by part, from networks without memory; and the language model's configuration, or None."""
    always_frozen = set.intersection(*(set(stage.frozen) for stage in config.stages))
    parts: dict[str, _Part] = {}
    with torch.device("meta"):
        network = DriverNetwork(driver, load_pretrained=False)
        criterion = Criterion(driver, config.losses)
    for name in PARTS:
        parts[f"driver.{name}"] = _counted(getattr(network, name), trains=name not in always_frozen)
    parts["training heads"] = _counted(criterion, trains=True)
    language = None
    if config.explainer is not None:
        language = _add_explainer(told, parts, driver, config)
    return {name: part for name, part in parts.items() if part.total}, language


def _add_explainer(told: DryRun, parts: dict[str, _Part], driver: DriverConfig, config: TrainingConfig) -> Any:
    from aln_p3_core.alignment.alignment import Alignment
    from aln_p3_core.alignment.text_encoder import text_encoder_width
    from aln_p3_core.explainer.language_model import language_skeleton
    from aln_p3_core.training.explainer_side import alignment_widths, explainer_skeleton

    assert config.explainer is not None
    model, found = language_skeleton(config.explainer.language_model)
    if not found:
        told.missing.append(
            f"the language model {config.explainer.language_model.source!r}: name its folder with "
            "explainer.language_model.source (counted here: the sizes of Llama-2-7B)"
        )
    shape, size = model.config, sum(p.numel() for p in model.parameters())
    explainer = explainer_skeleton(driver, config.explainer, model)
    parts["explainer.mixer"] = _counted(explainer.mixer, trains=True)
    adapter = sum(p.numel() for p in explainer.parameters() if p.requires_grad) - parts["explainer.mixer"].total
    parts["explainer.adapter"] = _Part(adapter, adapter, config.explainer.adapter.kind)
    layers = f"{shape.num_hidden_layers} layers of {shape.hidden_size}, {shape.vocab_size} tokens"
    parts[_LANGUAGE_MODEL] = _Part(size, 0, layers)
    if config.alignment is not None:
        try:
            width = text_encoder_width(config.alignment.text_encoder)
        except ConfigError as error:
            told.missing.append(f"the text encoder: {error}")
            width = _CLIP_WIDTH
        with torch.device("meta"):
            widths = alignment_widths(driver, config.explainer, shape.hidden_size, width)
            alignment = Alignment(config.alignment, widths)
        parts["alignment"] = _counted(alignment, trains=any(stage.alignment > 0 for stage in config.stages))
    return shape


def _counted(module: nn.Module, *, trains: bool) -> _Part:
    """A stage that freezes a part leaves all of it; what the part itself never trains counts as frozen."""
    total = sum(p.numel() for p in module.parameters())
    return _Part(total, sum(p.numel() for p in module.parameters() if p.requires_grad) if trains else 0)


def _rows_of_parts(told: DryRun, parts: dict[str, _Part]) -> None:
    for name, part in parts.items():
        shape = f" ({part.shape})" if part.shape else ""
        told.add(name, f"{part.total:,} parameters, {part.trained:,} trained{shape}")
    total, trained = sum(p.total for p in parts.values()), sum(p.trained for p in parts.values())
    told.add("parameters", f"{total:,}, trained {trained:,}, frozen {total - trained:,}")


def _stage(config: TrainingConfig, stage: StageSettings) -> str:
    learns = [part for part in PARTS if part not in stage.frozen]
    driver = f"learns {', '.join(learns) if stage.frozen else 'the whole driver'}" if learns else "the driver is frozen"
    rate = config.optimizer.learning_rate * stage.rate
    words = ""
    if config.explainer is not None:
        words += f", driver's rate {rate * stage.driver_rate:g}" if learns else ""
        words += f", language x {stage.language:g}, alignment x {stage.alignment if config.alignment else 0:g}"
    return f"{stage.steps} steps, rate {rate:g}: {driver}{words}"


def _memory(told: DryRun, driver: DriverConfig, config: TrainingConfig, parts: dict[str, _Part], language: Any) -> None:
    value_bytes = 2 if config.run.precision == "bf16" else 4
    trained = sum(part.trained for part in parts.values())
    frozen = sum(part.total - part.trained for name, part in parts.items() if name != _LANGUAGE_MODEL)
    model = model_bytes = 0
    if config.explainer is not None:
        # "auto" is half precision on a GPU.
        model_bytes = 4 if config.explainer.language_model.precision == "fp32" else 2
        model = parts[_LANGUAGE_MODEL].total
    for gpus in dict.fromkeys((1, min(_GPUS, config.run.batch_size))):
        clips = max(1, config.run.batch_size // gpus)
        activations = driver_activations(driver, clips, value_bytes)
        if config.explainer is not None and config.texts is not None:
            # Prompts with their answers are about half as long as they may be.
            tokens = config.explainer.mixer.tokens + config.explainer.language_model.max_tokens // 2
            activations += language_activations(
                clips * config.texts.per_frame,
                tokens,
                layers=language.num_hidden_layers,
                width=language.hidden_size,
                inner=language.intermediate_size,
                vocabulary=language.vocab_size,
                value_bytes=model_bytes,
            )
        each = estimate(trained, 4.0 * frozen + model_bytes * model, activations)
        told.add(f"memory of {'one GPU' if gpus == 1 else f'each of {gpus} GPUs (DDP)'}", _told(each))
        if gpus > 1:
            told.add("the same, sharded", f"{_told(each.sharded(gpus))} (FSDP: an estimate only, the loop runs DDP)")


def _told(memory: MemoryEstimate) -> str:
    values = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimiser": memory.optimizer,
        "average": memory.average,
        "activations about": memory.activations,
    }
    parts = ", ".join(f"{name} {value / 2**30:.1f}" for name, value in values.items())
    return f"{memory.total / 2**30:.1f} GiB ({parts})"
