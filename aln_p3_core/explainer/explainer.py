"""The explainer: driving scenes and prompts in, words out (ALN-P3's slow system, arXiv 2505.15158; after Hint-AD).

A mixer turns the driver's tokens into soft tokens that a frozen causal language model with a small trained adapter
reads. What a text's tokens look like to the language model:

    lora:     start, context (K soft tokens), prompt, answer, end
    barbell:  start, prompt, answer, end; the context is the gated prefix of the first layer

Suffixes: B scenes, X texts, L text tokens, K context tokens, E language model width, N answer tokens of all texts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.explainer.barbell import Barbell
from aln_p3_core.explainer.language_model import LanguageModel, describe_language_model, load_language_model
from aln_p3_core.explainer.length_groups import length_groups
from aln_p3_core.explainer.prompts import wrapped
from aln_p3_core.explainer.scene_context import SceneContext
from aln_p3_core.explainer.settings import AdapterSettings, ExplainerConfig
from aln_p3_core.explainer.tasks import Answer, Prompt, TextSample
from aln_p3_core.explainer.token_mixer import HolisticTokenMixer, MixedTokens
from aln_p3_core.pretrained_folder import require_packages


@dataclass(slots=True)
class TextBatch:
    """Texts as token ids, padded on the right.

    Attributes:
        ids_XL: long.
        valid_XL: bool, False for padding.
        answer_XL: bool, the tokens to be learned: answer and end token.
        told_XL: bool, those of them that the alignments read (`TextSample.part`).
        scene_X, focus_X: long, as in `TextSample`.
    """

    ids_XL: Tensor
    valid_XL: Tensor
    answer_XL: Tensor
    told_XL: Tensor
    scene_X: Tensor
    focus_X: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        """A copy on another device."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(slots=True)
class ExplainerOutputs:
    """What training reads.

    Attributes:
        loss: mean cross-entropy of the answer tokens.
        loss_by_text_X: mean over each text's own answer tokens.
        mixed: what the token mixer made (P1A aligns its instances).
        answer_states_XE: mean of the last hidden states from which the answer's tokens are told, or those of its
            `part`; with gradient (P2A, P3A). As in all training, what was told before is the true text.
    """

    loss: Tensor
    loss_by_text_X: Tensor
    mixed: MixedTokens
    answer_states_XE: Tensor


class Explainer(nn.Module):
    """Mixer, frozen language model and adapter.

    Attributes:
        config: its recipe.
        mixer: from the driver's tokens to the context.
        language: the language model, whose weights are frozen; `language_model` is its module.
        description: of the language model, for people.
    """

    def __init__(
        self,
        config: ExplainerConfig,
        *,
        driver_width: int,
        modes: int,
        steps: int,
        bev_shape: tuple[int, int],
        language: LanguageModel | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """
        Args:
            config: recipe.
            driver_width, modes, steps, bev_shape: of the driver whose tokens are read: D, M, T, and BEV cells.
            language: a loaded language model, which this explainer takes over; loaded by the recipe when None.
            device: where it runs.

        Raises:
            ConfigError: for a language model that is not there or does not take the adapter.
        """
        super().__init__()
        self.config = config
        self.driver_shape = {
            "driver_width": driver_width, "modes": modes, "steps": steps, "bev_rows": bev_shape[0],
            "bev_columns": bev_shape[1],
        }  # fmt: skip
        self.language = language or load_language_model(config.language_model, device=device)
        self.description = describe_language_model(self.language)
        self.language_model: nn.Module = self.language.model
        weights = self.language.embedding.weight
        self.mixer = HolisticTokenMixer(
            config.mixer,
            driver_width=driver_width,
            steps=steps,
            bev_shape=bev_shape,
            language_width=self.language.width,
            token_scale=1.0 if weights.is_meta else float(weights.detach().float().std()),
        )
        self.barbell: Barbell | None = None
        if config.adapter.kind == "barbell":
            self.barbell = Barbell(config.adapter, self.language)
        else:
            _add_lora(self.language.model, config.adapter)
        self._trained = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        kept = self.state_dict().keys()
        self._trained += [name for name, _ in self.named_buffers() if name.startswith("mixer.") and name in kept]
        self.to(device)

    @property
    def language_width(self) -> int:
        """E."""
        return self.language.width

    @property
    def device(self) -> torch.device:
        return self.language.embedding.weight.device

    def encode(self, samples: Sequence[TextSample]) -> TextBatch:
        """Token ids of prompts and answers, on this module's device. What exceeds `max_tokens` is cut off.

        Raises:
            ConfigError: for no samples.
        """
        if not samples:
            raise ConfigError("no texts to encode")
        limit = self.config.language_model.max_tokens
        rows = []
        for sample in samples:
            prompt = self._prompt_tokens(sample.prompt)
            answer = [*self._tokens(sample.answer), self.language.end_id]
            first, last = (len(prompt) + place for place in self._part(sample, len(answer)))
            told = (first, last) if last <= limit else (len(prompt), limit)
            rows.append(((prompt + answer)[:limit], min(len(prompt), limit), told))
        length = max(len(ids) for ids, _, _ in rows)
        ids_XL = torch.full((len(rows), length), self.language.end_id)
        valid_XL = torch.zeros(len(rows), length, dtype=torch.bool)
        answer_XL, told_XL = torch.zeros_like(valid_XL), torch.zeros_like(valid_XL)
        for row, (ids, begin, (first, last)) in enumerate(rows):
            ids_XL[row, : len(ids)] = torch.tensor(ids)
            valid_XL[row, : len(ids)] = True
            answer_XL[row, begin : len(ids)] = True
            told_XL[row, first:last] = True
        scene_X = torch.tensor([sample.scene for sample in samples])
        focus_X = torch.tensor([sample.focus for sample in samples])
        return TextBatch(ids_XL, valid_XL, answer_XL, told_XL, scene_X, focus_X).to(self.device)

    def forward(self, context: SceneContext, batch: TextBatch) -> ExplainerOutputs:
        """Loss and states of texts about scenes; gradients reach mixer, adapter and the context."""
        mixed = self.mixer(context, batch.scene_X, batch.focus_X)
        embedded_XLE = self._before(mixed.context_XKE, self.language.embedding(batch.ids_XL))
        before = embedded_XLE.shape[1] - batch.ids_XL.shape[1]
        states_XLE = self._last_states(embedded_XLE, mixed.context_XKE, batch.valid_XL.sum(dim=1) + before)
        text_N, place_N = batch.answer_XL.nonzero(as_tuple=True)
        # A token is told by the state before it; the vocabulary is large, so only answers get their logits.
        states_NE = states_XLE[text_N, before + place_N - 1]
        logits_NV = self.language.logits(states_NE).float()
        losses_N = F.cross_entropy(logits_NV, batch.ids_XL[text_N, place_N], reduction="none")
        count_X = batch.answer_XL.sum(dim=1).clamp_min(1)
        loss_by_text_X = losses_N.new_zeros(len(count_X)).index_add(0, text_N, losses_N) / count_X
        told_N1 = batch.told_XL[text_N, place_N, None]
        told_XE = losses_N.new_zeros(len(count_X), states_NE.shape[1]).index_add(0, text_N, states_NE.float() * told_N1)
        told_X1 = batch.told_XL.sum(dim=1, keepdim=True).clamp_min(1)
        return ExplainerOutputs(losses_N.mean(), loss_by_text_X, mixed, told_XE / told_X1)

    @torch.no_grad()
    def generate(
        self,
        context: SceneContext,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        stop: Callable[[], bool] | None = None,
    ) -> list[Answer]:
        """Greedy answers to all prompts as one batch, which gives each the answer that it gets alone.

        Args:
            context: of the scenes, on any device.
            prompts: what is asked; `scene` is a row of the context.
            max_new_tokens: longer answers are cut off, and marked as truncated.
            stop: asked after every token; True cuts all answers off.
        """
        from transformers import GenerationConfig, StoppingCriteriaList

        if not prompts:
            return []
        device = self.device
        scene_X = torch.tensor([prompt.scene for prompt in prompts], device=device)
        focus_X = torch.tensor([prompt.focus for prompt in prompts], device=device)
        context_XKE = self.mixer(context.to(device), scene_X, focus_X).context_XKE
        rows = [torch.tensor(self._prompt_tokens(prompt.prompt), device=device) for prompt in prompts]
        embedded = [
            self._before(context_XKE[x : x + 1], self.language.embedding(row[None]))[0] for x, row in enumerate(rows)
        ]
        length = max(len(row) for row in embedded)
        inputs_XLE = torch.stack([F.pad(row, (0, 0, length - len(row), 0)) for row in embedded])
        seen_XL = torch.stack([F.pad(row.new_ones(len(row)), (length - len(row), 0)) for row in embedded]).long()
        end = self.language.end_id
        config = GenerationConfig(max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=end, pad_token_id=end)
        stopping = StoppingCriteriaList()
        if stop is not None:
            stopping.append(lambda ids, scores, **_: torch.full((len(ids),), stop(), device=ids.device))
        with self._reading(context_XKE), self.language.without_gradients():
            ids_XL = self.language.model.generate(
                inputs_embeds=inputs_XLE, attention_mask=seen_XL, generation_config=config, stopping_criteria=stopping
            )
        return [self._answer(row) for row in ids_XL.tolist()]

    def trained_state_dict(self) -> dict[str, Tensor]:
        """Parameters of mixer and adapter and the mixer's statistics by name; nothing of the language model."""
        state = self.state_dict()
        return {name: state[name] for name in self._trained}

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Takes what `trained_state_dict` gave.

        Raises:
            CheckpointError: for missing, unknown or misshapen entries, by name.
        """
        own = self.trained_state_dict()
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        misshapen = sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
        if missing or unknown or misshapen:
            raise CheckpointError(
                f"these weights are of another explainer: missing {missing[:3]}, unknown {unknown[:3]}, of other "
                f"shapes {misshapen[:3]}"
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])

    def _prompt_tokens(self, prompt: str) -> list[int]:
        ids = self._tokens(wrapped(prompt, self.config.language_model.prompt_style, self.language.tokenizer))
        # A chat template brings its own start token, which stands before the context here.
        return ids[1:] if ids and ids[0] == self.language.start_id else ids

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.language.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _part(self, sample: TextSample, length: int) -> tuple[int, int]:
        """First token of the sample's part, and the one behind its last, in an answer of `length` tokens."""
        start = sample.answer.find(sample.part) if sample.part else -1
        if start < 0:
            return 0, length
        # A blank belongs to the word behind it.
        first = len(self._tokens(sample.answer[:start].rstrip()))
        return first, max(first + 1, len(self._tokens(sample.answer[: start + len(sample.part)])))

    def _before(self, context_XKE: Tensor, text_XLE: Tensor) -> Tensor:
        """Embedded texts with what stands before them: the start token and, with LoRA, the context."""
        parts = [text_XLE]
        if self.barbell is None:
            parts.insert(0, context_XKE.to(text_XLE.dtype))
        if self.language.start_id is not None:
            start = torch.full((len(text_XLE), 1), self.language.start_id, device=text_XLE.device)
            parts.insert(0, self.language.embedding(start))
        return torch.cat(parts, dim=1)

    def _last_states(self, embedded_XLE: Tensor, context_XKE: Tensor, lengths_X: Tensor) -> Tensor:
        """States of texts of these lengths; on a CPU zeros behind the end of the longest text of a group."""
        if self.device.type != "cpu":  # faster with one large batch
            with self._reading(context_XKE):
                return self.language.last_states(embedded_XLE)
        lengths = lengths_X.tolist()
        groups = length_groups(lengths)
        parts = []
        for group in groups:
            longest = max(lengths[row] for row in group)
            with self._reading(context_XKE[group]):
                states = self.language.last_states(embedded_XLE[group, :longest])
            parts.append(F.pad(states, (0, 0, 0, embedded_XLE.shape[1] - longest)))
        places = torch.tensor([row for group in groups for row in group]).argsort()
        return torch.cat(parts)[places]

    def _reading(self, context_XKE: Tensor) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.barbell is None else self.barbell.reading(context_XKE)

    def _answer(self, ids: list[int]) -> Answer:
        ended = self.language.end_id in ids
        kept = ids[: ids.index(self.language.end_id)] if ended else ids
        return Answer(str(self.language.tokenizer.decode(kept, skip_special_tokens=True)).strip(), not ended)


def _add_lora(model: Any, settings: AdapterSettings) -> None:
    """Low-rank updates beside the frozen weights; they are kept and trained in float32."""
    require_packages("peft")
    from peft import LoraConfig, inject_adapter_in_model

    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # a scale, and any number
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        bias="none",
    )
    try:
        inject_adapter_in_model(lora, model)
    except ValueError as error:
        raise ConfigError(f"adapter.targets {list(settings.targets)} are no parts of this model: {error}") from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()
