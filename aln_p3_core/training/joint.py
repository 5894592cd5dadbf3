"""Driver, explainer and alignments trained as one module (ALN-P3, arXiv 2505.15158; schedule and gradient routes are a
reconstruction).

    total = driver's terms + language * mean over texts of their cross-entropy + alignment * (P1A + P2A + P3A)

Suffixes as in `explainer.scene_context` and `alignment.io`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, distributed, nn

from aln_p3_core.alignment.alignment import Alignment
from aln_p3_core.alignment.gathering import several_processes
from aln_p3_core.alignment.gradient_routes import routed
from aln_p3_core.alignment.io import AlignmentInputs, AlignmentResult
from aln_p3_core.alignment.settings import PlanningSettings, PredictionSettings
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import CheckpointError
from aln_p3_core.explainer.explainer import Explainer, ExplainerOutputs
from aln_p3_core.explainer.scene_context import SceneContext, context_from_outputs
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.training.batch import FrameTargets, TrainingBatch
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.forward import TrainedModule, autocast, clip_outputs
from aln_p3_core.training.frame_texts import FrameTexts
from aln_p3_core.training.matching import Assignment, match
from aln_p3_core.training.padded_targets import pad_targets
from aln_p3_core.training.settings import PrecisionName, StageSettings
from aln_p3_core.training.text_scenes import TextScenes, text_scenes
from aln_p3_core.training.text_settings import TextSettings

_EXPLAINER, _ALIGNMENT = "explainer.", "alignment."


class TextEmbeddings(Protocol):
    """A frozen text encoder (`alignment.text_encoder`)."""

    def embed(self, texts: Sequence[str]) -> Tensor: ...


@dataclass(slots=True)
class Words:
    """A batch that the explainer has read.

    Attributes:
        scenes: what is read, learnt and aligned.
        context: the driver's tokens, with the way back to the driver.
        said: of the explainer; None for a batch without texts.
        to_driver: whether what was said has a way back to the driver.
        apart: the same without that way, once somebody needs it.
    """

    scenes: TextScenes
    context: SceneContext
    said: ExplainerOutputs | None
    to_driver: bool
    apart: ExplainerOutputs | None = None


class JointModule(TrainedModule):
    """Driver, criterion, explainer and alignments as one module.

    Attributes:
        lap: called with "memory", "forward", "criterion", "language" and "alignment" as each of these is done.
        measures: of the last batch: how well texts find their partners ("align.p1a.retrieval", ...).
    """

    def __init__(
        self,
        network: DriverNetwork,
        criterion: Criterion,
        precision: PrecisionName,
        explainer: Explainer,
        texts: TextSettings,
        alignment: Alignment | None = None,
        embeddings: TextEmbeddings | None = None,
    ) -> None:
        """
        Args:
            network, criterion, precision: as in `TrainedModule`.
            explainer: reads the driver's tokens.
            texts: which words it learns.
            alignment: what ties the two, or None.
            embeddings: the frozen text encoder of the alignments. It is no part of the module: nothing of it is
                trained, shared among processes or saved.
        """
        super().__init__(network, criterion, precision)
        self.explainer = explainer
        self.alignment = alignment
        self.texts = texts
        self.embeddings = embeddings
        self.driver_is_frozen = False
        self._trainable = {name for name, p in self.named_parameters() if p.requires_grad}
        # All processes have read the frozen language model from one file: DDP need not send it about.
        frozen = [name for name, p in explainer.named_parameters() if not p.requires_grad]
        self._ddp_params_and_buffers_to_ignore = [_EXPLAINER + name for name in frozen]

    def begin_stage(self, stage: StageSettings) -> None:
        """Freezes what the stage does not train, and lets go of what an earlier one froze."""
        super().begin_stage(stage)
        self.measures = {}
        self.driver_is_frozen = not any(parameter.requires_grad for parameter in self.network.parameters())
        unused: tuple[str, ...] = ("criterion.",) if self.driver_is_frozen else ()
        unused += () if self._speaks(stage) else (_EXPLAINER,)
        unused += () if stage.alignment > 0 else (_ALIGNMENT,)
        for name, parameter in self.named_parameters():
            if name.startswith(unused):
                parameter.requires_grad_(False)

    def forward(self, batch: TrainingBatch, stage: StageSettings) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch on this module's device, and its terms."""
        with (
            autocast(self.precision, batch.clip[-1].rows_BN.device),
            torch.set_grad_enabled(torch.is_grad_enabled() and not self.driver_is_frozen),
        ):
            outputs = clip_outputs(self.network, batch, self.lap)
        self.lap("forward")
        terms: dict[str, Tensor] = {}
        total = outputs.plan_offsets_B3T2.new_zeros(())
        assignment: Assignment | None = None
        if not self.driver_is_frozen and (stage.plan or stage.perception_weight > 0):
            result = self.criterion(outputs, batch.targets, plan=stage.plan, perception_weight=stage.perception_weight)
            total, assignment = result.total, result.assignment
            terms |= result.terms
        self.lap("criterion")
        if self._speaks(stage):
            words = self.read(outputs, batch.targets, batch.texts, assignment, to_driver=stage.language_to_driver)
            spoken, named = self._losses(words, outputs, stage)
            total, terms = total + spoken, terms | named
        return total, terms

    def read(
        self,
        outputs: DriverOutputs,
        targets: Sequence[FrameTargets],
        texts: Sequence[FrameTexts],
        assignment: Assignment | None = None,
        *,
        to_driver: bool = True,
    ) -> Words:
        """The explainer over a batch of the driver's outputs.

        Args:
            outputs, targets, texts: of the frames.
            assignment: the driver's; found anew when None.
            to_driver: whether gradients of what is said go back into the outputs.
        """
        scenes, context = self.scenes(outputs, targets, texts, assignment)
        said: ExplainerOutputs | None = None
        if self.training:
            self.explainer.mixer.spread.together = _all_processes(bool(scenes.samples), context.device)
        if scenes.samples:
            with autocast(self.precision, context.device):
                read = context if to_driver else context.detach()
                said = self.explainer(read, self.explainer.encode(scenes.samples))
        return Words(scenes, context, said, to_driver)

    def scenes(
        self,
        outputs: DriverOutputs,
        targets: Sequence[FrameTargets],
        texts: Sequence[FrameTexts],
        assignment: Assignment | None = None,
    ) -> tuple[TextScenes, SceneContext]:
        """What the explainer reads of a batch of the driver's outputs and is to say of it; arguments as `read`."""
        if assignment is None:
            assignment = match(outputs, pad_targets(targets), self.criterion.losses)
        scenes = text_scenes(
            outputs, texts, targets, assignment.agent_LBQ[-1], self.network.config, self.explainer.config, self.texts
        )
        command_B = torch.stack([target.command for target in targets])
        with_map = self.explainer.config.mixer.map_tokens > 0
        context = context_from_outputs(outputs, scenes.query_ids_BA, scenes.known_BA, command_B, with_map=with_map)
        context = replace(context, agent_valid_BA=scenes.seen_BA)
        return scenes, context

    def _losses(self, words: Words, outputs: DriverOutputs, stage: StageSettings) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the language and alignment losses, and its terms: "language.TASK", what the texts of a task
        contribute, and "align.p1a", "align.p2a", "align.p3a"."""
        named = self._language(words)
        total = stage.language * torch.stack(list(named.values())).sum()
        terms = {name: stage.language * value.detach() for name, value in named.items()}
        self.lap("language")
        if self._aligns(stage):
            result = self.aligned(words, outputs, heads_only=stage.heads_only)
            total = total + stage.alignment * result.total
            terms |= {f"align.{name}": stage.alignment * value for name, value in result.terms.items()}
            self.measures = {f"align.{name}": float(value) for name, value in result.measures.items()}
        self.lap("alignment")
        return total + self._every_parameter(), terms

    def _speaks(self, stage: StageSettings) -> bool:
        return stage.language > 0 or self._aligns(stage)

    def _aligns(self, stage: StageSettings) -> bool:
        return self.alignment is not None and stage.alignment > 0 and bool(self.alignment.weights)

    def _language(self, words: Words) -> dict[str, Tensor]:
        """Contribution of each task to the mean cross-entropy over the texts of all processes."""
        samples = words.scenes.samples
        count = torch.tensor([float(len(samples))], device=words.context.device)
        losses_X = count.new_zeros(0) if words.said is None else words.said.loss_by_text_X.float()
        shares_X = losses_X / self.criterion.normaliser(count).clamp_min(torch.finfo(torch.float32).tiny)
        # Every process tells of every task, so that their terms can be averaged.
        return {f"language.{task.value}": shares_X[_flags([s.task is task for s in samples])].sum() for task in Task}

    def aligned(self, words: Words, outputs: DriverOutputs, *, heads_only: bool = False) -> AlignmentResult:
        """The alignments of a batch that was read; `heads_only` as in `StageSettings`."""
        assert self.alignment is not None
        settings, scenes, context = self.alignment.settings, words.scenes, words.context
        device, pairs = context.device, scenes.pairs
        scene_P = torch.tensor([pair.scene for pair in pairs], dtype=torch.long, device=device)
        row_P = torch.tensor([pair.row for pair in pairs], dtype=torch.long, device=device)
        query_P = scenes.query_ids_BA[scene_P, row_P]
        inputs = AlignmentInputs(scene_of_pair_P=scene_P)
        if settings.p1a.weight > 0:
            inputs.instances_PD = self._instances(words)[scene_P, row_P]
            inputs.caption_embeddings_PW = self._embedded([pair.caption for pair in pairs], device)
            inputs.caption_valid_P = _flags([bool(pair.caption) for pair in pairs]).to(device)
        if settings.p2a.weight > 0:
            by_output = settings.p2a.language == "output"
            inputs.motion_PM2D = context.motion_BAM2D[scene_P, row_P]
            inputs.mode_logits_PM = outputs.agent_mode_logits_BQM.float()[scene_P, query_P]
            centers_P2 = outputs.agent_boxes_LBQ10[-1].float()[scene_P, query_P, :2]
            steps_PMT2 = outputs.agent_forecasts_BQMT2.float()[scene_P, query_P]
            inputs.trajectories_PMT2 = centers_P2[:, None, None] + steps_PMT2.cumsum(dim=-2)
            inputs.motion_embeddings_PW = self._embedded([pair.motion for pair in pairs], device)
            inputs.motion_states_PE = self._states(words, [pair.sample for pair in pairs], settings.p2a)
            spoken = [bool(pair.motion) and (pair.sample >= 0 or not by_output) for pair in pairs]
            inputs.motion_valid_P = _flags(spoken).to(device)
        if settings.p3a.weight > 0:
            by_output = settings.p3a.language == "output"
            inputs.ego_B2D, inputs.plan_BT2 = context.ego_B2D, context.plan_BT2
            inputs.explanation_embeddings_BW = self._embedded(scenes.explanations, device)
            inputs.explanation_states_BE = self._states(words, scenes.explained_by, settings.p3a)
            explained = zip(scenes.explanations, scenes.explained_by, strict=True)
            spoken = [bool(text) and (sample >= 0 or not by_output) for text, sample in explained]
            inputs.explanation_valid_B = _flags(spoken).to(device)
        if settings.shuffled_words and self.training:
            inputs = inputs.with_words_of_others()
        result: AlignmentResult = self.alignment(inputs.detached() if heads_only else inputs)
        return result

    def _instances(self, words: Words) -> Tensor:
        """[B, A, I] what the mixer makes of the objects, with the ways back that P1A asks for."""
        assert self.alignment is not None
        p1a = self.alignment.settings.p1a
        if words.said is not None and p1a.to_explainer and p1a.to_driver == words.to_driver:
            return words.said.mixed.instances_BAI
        mixer = self.explainer.mixer
        objects = mixer.instance_inputs(words.context)
        instances: Tensor = routed(mixer.instance, objects, to_inputs=p1a.to_driver, to_module=p1a.to_explainer)
        return instances

    def _embedded(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """[n, W] embeddings; zeros for ""."""
        assert self.embeddings is not None
        return self.embeddings.embed(texts).to(device)

    def _states(self, words: Words, samples: Sequence[int], term: PredictionSettings | PlanningSettings) -> Tensor:
        """[n, E] states over the answers of samples, with the ways back that a term asks for; zeros for -1."""
        device, said = words.context.device, words.said
        if said is None:
            return torch.zeros(len(samples), self.explainer.language_width, device=device)
        if term.language == "output" and term.to_explainer and words.to_driver and not term.to_driver:
            said = self._said_apart(words)
        place = torch.tensor(samples, dtype=torch.long, device=device)
        return said.answer_states_XE.float()[place.clamp_min(0)] * (place >= 0)[:, None]

    def _said_apart(self, words: Words) -> ExplainerOutputs:
        """The explainer once more, without a way back to the driver. The mixer's statistics know this batch already,
        and torch's random numbers go on as if nobody had asked."""
        if words.apart is None:
            context, spread = words.context.detach(), self.explainer.mixer.spread
            own = dict(spread.named_buffers())
            for name, value in own.items():
                setattr(spread, name, value.clone())
            devices = [context.device] if context.device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices), autocast(self.precision, context.device):
                words.apart = self.explainer(context, self.explainer.encode(words.scenes.samples))
            for name, value in own.items():
                setattr(spread, name, value)
        return words.apart

    def _every_parameter(self) -> Tensor:
        """Zero, with a way back to every parameter that learns from words: a batch without captions, say, still gives
        all of them a gradient, as DDP and the optimiser need it to be the same in any number of processes."""
        parts = [part for part in (self.explainer, self.alignment) if part is not None]
        learning = [p for part in parts for p in part.parameters() if p.requires_grad]
        return torch.stack([0.0 * parameter.sum() for parameter in learning]).sum() if learning else torch.zeros(())

    def sides(self) -> dict[str, list[nn.Parameter]]:
        """The driver with its heads, the explainer, and the alignments."""
        sides = {"explainer": _EXPLAINER, "alignment": _ALIGNMENT}
        found: dict[str, list[nn.Parameter]] = {"driver": [], **{side: [] for side in sides}}
        for name, parameter in self.named_parameters():
            found[next((side for side, prefix in sides.items() if name.startswith(prefix)), "driver")].append(parameter)
        return found

    def saved_state(self) -> dict[str, Tensor]:
        """All entries but those of the frozen language model."""
        own = {name: value for name, value in self.state_dict().items() if not name.startswith(_EXPLAINER)}
        return own | {_EXPLAINER + name: value for name, value in self.explainer.trained_state_dict().items()}

    def load_saved_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes entries of `saved_state`.

        Raises:
            CheckpointError: for entries of another module.
        """
        others = {name: value for name, value in state.items() if not name.startswith(_EXPLAINER)}
        found = self.load_state_dict(others, strict=False)
        missing = [name for name in found.missing_keys if not name.startswith(_EXPLAINER)]
        if missing or found.unexpected_keys:
            raise CheckpointError(
                f"the checkpoint is of another module: {', '.join([*missing, *found.unexpected_keys])}"
            )
        of_explainer = {k.removeprefix(_EXPLAINER): v for k, v in state.items() if k.startswith(_EXPLAINER)}
        self.explainer.load_trained(of_explainer)


def _all_processes(flag: bool, device: torch.device) -> bool:
    """Whether there are several processes and all of them say so. All must ask together."""
    if not several_processes():
        return False
    least = torch.tensor([float(flag)], device=device)
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    return bool(least.item() > 0)


def _flags(values: Sequence[bool]) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)
