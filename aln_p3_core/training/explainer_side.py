"""What a training does for its explainer beside the steps: averaged weights, validation, its own file, sample texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aln_p3_core.alignment.io import AlignmentWidths
from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.explainer.explainer import Explainer
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.ema import AveragedTensors
from aln_p3_core.training.forward import autocast
from aln_p3_core.training.joint import JointModule, Words
from aln_p3_core.training.settings import StageSettings, TrainingConfig


def joint_module(
    driver: DriverConfig,
    config: TrainingConfig,
    network: DriverNetwork,
    *,
    device: torch.device | str = "cpu",
    init: Path | None = None,
) -> JointModule:
    """The module of a training with an explainer.

    Args:
        driver, config: recipe and training.
        network: the driver's.
        device: where it will be trained, which decides the language model's own precision.
        init: explainer's checkpoint to take weights from.

    Raises:
        ConfigError: for a language model or text encoder that is not there. CheckpointError: for weights that do not
            fit.
    """
    from aln_p3_core.alignment.alignment import Alignment
    from aln_p3_core.alignment.text_encoder import load_text_encoder
    from aln_p3_core.explainer.checkpoint import read_explainer

    assert config.explainer is not None and config.texts is not None
    explainer = Explainer(config.explainer, **_driver_shape(driver), device=device)
    if init is not None:
        explainer.load_trained(read_explainer(init, config.explainer))
    alignment = embeddings = None
    if config.alignment is not None:
        embeddings = load_text_encoder(config.alignment.text_encoder)
        widths = alignment_widths(driver, config.explainer, explainer.language_width, embeddings.width)
        alignment = Alignment(config.alignment, widths)
    criterion = Criterion(driver, config.losses)
    module = JointModule(network, criterion, config.run.precision, explainer, config.texts, alignment, embeddings)
    return module.to(device)


def explainer_skeleton(driver: DriverConfig, config: ExplainerConfig, model: Any) -> Explainer:
    """The explainer around a language model without memory (`language_model.language_skeleton`)."""
    from aln_p3_core.explainer.language_model import LanguageModel

    language = LanguageModel(model, None, config.language_model.source, "", None, 0)
    with torch.device("meta"):
        return Explainer(config, **_driver_shape(driver), language=language, device="meta")


def _driver_shape(driver: DriverConfig) -> dict[str, Any]:
    return {
        "driver_width": driver.embed_dims,
        "modes": driver.agents.modes,
        "steps": driver.planner.steps,
        "bev_shape": (driver.bev.rows, driver.bev.columns),
    }


def alignment_widths(driver: DriverConfig, explainer: ExplainerConfig, language: int, text: int) -> AlignmentWidths:
    """Widths between a driver and an explainer, of a language model and a text encoder of these widths."""
    return AlignmentWidths(
        instance=explainer.mixer.instance_width,
        motion=2 * driver.embed_dims,
        ego=2 * driver.embed_dims,
        forecast_steps=driver.planner.steps,
        plan_steps=driver.planner.steps,
        language=language,
        text=text,
    )


class ExplainerSide:
    """The explainer of a run, on the device where it is trained."""

    def __init__(self, module: JointModule, decay: float) -> None:
        self.module = module
        self.average = AveragedTensors(module.explainer.trained_state_dict(), decay)

    def update(self) -> None:
        """After every step."""
        self.average.update(self.module.explainer.trained_state_dict())

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the module has the explainer's averaged weights, is in evaluation mode and asks no other process."""
        module = self.module
        own = {name: value.detach().clone() for name, value in module.explainer.trained_state_dict().items()}
        normaliser, measures, lap = module.criterion.normaliser, module.measures, module.lap
        module.explainer.load_trained(self.average.tensors)
        module.criterion.normaliser = lambda counts: counts
        module.lap = lambda name: None
        module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            module.explainer.load_trained(own)
            module.criterion.normaliser, module.measures, module.lap = normaliser, measures, lap
            module.train()

    def losses(self, outputs: DriverOutputs, batch: TrainingBatch, stage: StageSettings) -> dict[str, float]:
        """Mean cross-entropy of a batch's texts, all ("language") and by task (NaN where a task has none), what reading
        the right scene is worth ("language.reading"), and the alignments. Within `averaged`."""
        words = self.module.read(outputs, batch.targets, batch.texts)
        losses_X = torch.zeros(0) if words.said is None else words.said.loss_by_text_X.float().cpu()
        tasks = [sample.task for sample in words.scenes.samples]
        found = {"language": float(losses_X.mean()) if len(tasks) else math.nan}
        for task in Task:
            own = losses_X[torch.tensor([t is task for t in tasks], dtype=torch.bool)]
            found[f"language.{task.value}"] = float(own.mean()) if len(own) else math.nan
        found["language.reading"] = self._reading(words, losses_X)
        if self.module.alignment is not None and stage.alignment > 0:
            result = self.module.aligned(words, outputs)
            found |= {f"align.{name}": float(value) for name, value in {**result.terms, **result.measures}.items()}
        return found

    def _reading(self, words: Words, losses_X: Tensor) -> float:
        """By how much texts about whole scenes become less likely with another scene's tokens, nats a token; about 0
        where the explainer does not look, NaN without such texts or other scenes."""
        scenes, samples = len(words.context), words.scenes.samples
        whole = [x for x, sample in enumerate(samples) if sample.focus < 0]
        if scenes < 2 or not whole:
            return math.nan
        explainer = self.module.explainer
        moved = [replace(samples[x], scene=(samples[x].scene + 1) % scenes) for x in whole]
        with autocast(self.module.precision, words.context.device):
            other_X = explainer(words.context, explainer.encode(moved)).loss_by_text_X.float().cpu()
        return float((other_X - losses_X[whole]).mean())

    def export(self, path: Path, digest: str, extra: Mapping[str, str]) -> None:
        """The averaged adapter and mixer as an explainer's checkpoint. Within `averaged`.

        Args:
            path: of the file.
            digest: hash of the checkpoint of the driver that it reads.
            extra: metadata.
        """
        from aln_p3_core.explainer.checkpoint import save_explainer

        save_explainer(path, self.module.explainer, driver_hash=digest, extra=extra)

    def state_dict(self) -> dict[str, Tensor]:
        """Of the average."""
        return self.average.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes a state."""
        self.average.load_state_dict(state)
