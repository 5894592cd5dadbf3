"""A causal language model of transformers, frozen, with its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from aln_p3_core.device import precision_name, resolve_precision
from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.language_files import language_folder, model_identity
from aln_p3_core.explainer.settings import LanguageModelSettings
from aln_p3_core.pretrained_folder import require_packages

# What some models do to logits after their last layer; the explainer reads hidden states and would miss it.
_UNSUPPORTED = ("final_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass(slots=True)
class LanguageModel:
    """What the explainer needs of a language model. E = width.

    Attributes:
        model: of transformers, all weights frozen.
        tokenizer: its own.
        source: as in the settings.
        identity: sha256 that tells it apart (`language_files.model_identity`).
        start_id: token that stands before everything, or None where the tokenizer has none.
        end_id: token that ends an answer.
    """

    model: Any
    tokenizer: Any
    source: str
    identity: str
    start_id: int | None
    end_id: int

    @property
    def width(self) -> int:
        """E."""
        return self.embedding.weight.shape[1]

    @property
    def embedding(self) -> nn.Embedding:
        return cast(nn.Embedding, self.model.get_input_embeddings())

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.weight.dtype

    def last_states(self, embedded_XLE: Tensor) -> Tensor:
        """[X, L, E] hidden states behind the last norm, of embedded tokens without padding before them."""
        # Padding behind a text is never read: attention is causal, so no mask is needed.
        return self.model.base_model(inputs_embeds=embedded_XLE, use_cache=False).last_hidden_state

    def logits(self, states_NE: Tensor) -> Tensor:
        """[N, vocabulary] of last states."""
        return self.model.get_output_embeddings()(states_NE)

    @contextmanager
    def without_gradients(self) -> Iterator[None]:
        """The attention that is fastest while nothing learns: a token of sixteen texts in 80 ms on a CPU, not 115."""
        learning = self.model.config._attn_implementation
        if self.model._supports_sdpa:
            self.model.set_attn_implementation("sdpa")
        try:
            yield
        finally:
            self.model.set_attn_implementation(learning)


def load_language_model(settings: LanguageModelSettings, *, device: torch.device | str = "cpu") -> LanguageModel:
    """Loads a model and freezes it.

    Args:
        settings: of the recipe.
        device: where it will run; decides what "auto" precision is.

    Raises:
        ConfigError: when it is not there, or is of a kind that the explainer cannot read.
    """
    require_packages("transformers")
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    # A bar over the second that loading takes would stand in every log.
    disable_progress_bar()
    source = settings.source
    folder = language_folder(source)
    dtype = resolve_precision(settings.precision, torch.device(device))
    # On a CPU the fused attention's backward pass costs as much as all else of a step: sequences are short here.
    attention = "eager" if torch.device(device).type == "cpu" else "sdpa"
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, attn_implementation=attention, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} holds no causal language model that transformers can read: {error}") from error
    _require_plain_head(model.config, source)
    end = _end_token(model.config, tokenizer)
    if end is None:
        raise ConfigError(f"the language model in {folder} has no end token, which ends every answer")
    _keep_layers(model, settings.layers)
    model.requires_grad_(False)
    # Greedy is greedy: a model's folder may ask for sampling, or for penalties on words that came before.
    model.generation_config = GenerationConfig()
    model.to(device)
    # The last states of a batch of texts lie scattered, and a CPU multiplies scattered bfloat16 rows with the
    # vocabulary four hundred times as slowly: 3.4 s for sixteen texts, not 8 ms.
    model.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
    return LanguageModel(
        model,
        tokenizer,
        source,
        model_identity(source, folder),
        tokenizer.bos_token_id,
        end,
    )


def language_skeleton(settings: LanguageModelSettings) -> tuple[Any, bool]:
    """The model on the meta device, for counts and shapes of models that are too large to load, and whether its
    own configuration was found: else it has the sizes of Llama-2-7B.
    """
    require_packages("transformers")
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    try:
        config, found = AutoConfig.from_pretrained(str(language_folder(settings.source)), local_files_only=True), True
    except ConfigError:
        config, found = LlamaConfig(), False
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    _keep_layers(model, settings.layers)
    return model.requires_grad_(False), found


def describe_language_model(language: LanguageModel) -> str:
    """ "smollm2-135m, 30 layers of 576, fp32" """
    layers = language.model.config.num_hidden_layers
    return f"{language.source}, {layers} layers of {language.width}, {precision_name(language.dtype)}"


def decoder_layers(model: Any) -> nn.ModuleList:
    """The decoder layers of a Llama-like model.

    Raises:
        ConfigError: for another architecture.
    """
    layers = getattr(model.base_model, "layers", None)
    projections = ("q_proj", "k_proj", "v_proj", "o_proj")
    attentions = [getattr(layer, "self_attn", None) for layer in layers] if layers is not None else [None]
    if any(not isinstance(getattr(a, name, None), nn.Linear) for a in attentions for name in projections):
        raise ConfigError(
            f"{type(model).__name__} has no Llama-like layers (self_attn with {', '.join(projections)}): "
            "use adapter.kind lora, and language_model.layers 0"
        )
    return cast(nn.ModuleList, layers)


def _keep_layers(model: Any, count: int) -> None:
    if not count:
        return
    layers = decoder_layers(model)
    if count > len(layers):
        raise ConfigError(f"language_model.layers is {count}, but the model has {len(layers)}")
    del layers[count:]
    model.config.num_hidden_layers = count


def _end_token(config: Any, tokenizer: Any) -> int | None:
    """The model's own end token. What a converted tokenizer calls its end differs between releases of transformers
    (SmolLM2's was `<|im_start|>` in 5.17), and an explainer would go on where it once learnt to stop.
    """
    of_model = getattr(config, "eos_token_id", None)
    end = of_model[0] if isinstance(of_model, list) and of_model else of_model
    if isinstance(end, int) and 0 <= end < len(tokenizer):
        return end
    of_tokenizer: int | None = tokenizer.eos_token_id
    return of_tokenizer


def _require_plain_head(config: Any, source: str) -> None:
    changed = [name for name in _UNSUPPORTED if getattr(config, name, None) not in (None, 1, 1.0)]
    if changed:
        raise ConfigError(
            f"language model {source!r} changes its logits ({', '.join(changed)}), which is not supported"
        )
