"""Barbell adaptation: gated prefixes in the first, front and back layers of a Llama-like model (Hint-AD, after
LLaMA-Adapter).

An adapted layer's queries also attend to prefix tokens: keys and values come from the layer's own frozen projections,
without rotary embedding, the scores have a softmax of their own, and the result is weighted by tanh(gate), a number a
head that starts at zero: an untrained adapter leaves the model's output as it is, bit by bit. Layer 0's prefix is the
context of the scene; the front and back layers have learned ones.

Unlike the released code, prefix tokens pass the layer's input norm first, as its own tokens do, so that keys and
values have the size that the layer is used to.

Suffixes: X texts, L tokens, K prefix tokens, E width, H heads, G heads of keys and values, C channels of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.language_model import LanguageModel, decoder_layers
from aln_p3_core.explainer.settings import AdapterSettings


class Barbell(nn.Module):
    """Gates and learned prefixes; it acts on the language model by hooks, and adds nothing to its weights."""

    def __init__(self, settings: AdapterSettings, language: LanguageModel) -> None:
        """
        Raises:
            ConfigError: for a language model that is not Llama-like.
        """
        super().__init__()
        layers = decoder_layers(language.model)
        _require_plain_attention(language)
        front, back = barbell_layers(settings, len(layers))
        heads = language.model.config.num_attention_heads
        self.context_gate = nn.Parameter(torch.zeros(heads))
        self.gates = nn.ParameterDict({str(index): nn.Parameter(torch.zeros(heads)) for index in (*front, *back)})
        scale = float(language.embedding.weight.float().std()) if not language.embedding.weight.is_meta else 1.0
        self.prefixes = nn.ParameterDict(
            {
                str(index): nn.Parameter(scale * torch.randn(settings.prefix_tokens, language.width))
                for index in (*front, *back)
            }
        )
        self._context_XKE: Tensor | None = None
        self._queries: dict[int, Tensor] = {}
        for index in (0, *front, *back):
            attention = cast(Any, layers[index]).self_attn
            attention.q_proj.register_forward_hook(self._query_hook(index))
            attention.register_forward_hook(self._attention_hook(index, layers[index]), with_kwargs=True)

    @contextmanager
    def reading(self, context_XKE: Tensor) -> Iterator[None]:
        """Within the block the language model reads this context, one row for each text of its batch."""
        self._context_XKE = context_XKE
        try:
            yield
        finally:
            self._context_XKE = None
            self._queries.clear()

    def _query_hook(self, index: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._queries[index] = output

        return keep

    def _attention_hook(self, index: int, layer: Any) -> Any:
        def add(module: Any, inputs: Any, options: dict[str, Any], output: Any) -> Any:
            prefix_XKE, gate_H = self._prefix(index)
            query_XLE = self._queries.pop(index)
            prefix_XKE = layer.input_layernorm(prefix_XKE.to(query_XLE.dtype))
            added = self._attend(module, query_XLE, prefix_XKE, gate_H, options["position_embeddings"])
            return (output[0] + added, *output[1:])

        return add

    def _prefix(self, index: int) -> tuple[Tensor, Tensor]:
        if index:
            return self.prefixes[str(index)][None], self.gates[str(index)]
        if self._context_XKE is None:
            raise ConfigError("the language model runs without a context: use Explainer.forward or Explainer.generate")
        return self._context_XKE, self.context_gate

    @staticmethod
    def _attend(
        attention: Any, query_XLE: Tensor, prefix_XKE: Tensor, gate_H: Tensor, positions: tuple[Tensor, Tensor]
    ) -> Tensor:
        from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

        texts, length, channels = *query_XLE.shape[:2], attention.head_dim
        query_XHLC = query_XLE.view(texts, length, -1, channels).transpose(1, 2)
        query_XHLC, _ = apply_rotary_pos_emb(query_XHLC, query_XHLC[:, :1], *positions)
        shape = (*prefix_XKE.shape[:2], -1, channels)
        key_XGKC = attention.k_proj(prefix_XKE).view(shape).transpose(1, 2)
        value_XGKC = attention.v_proj(prefix_XKE).view(shape).transpose(1, 2)
        read_XHLC = F.scaled_dot_product_attention(
            query_XHLC,
            key_XGKC.expand(texts, -1, -1, -1),
            value_XGKC.expand(texts, -1, -1, -1),
            scale=attention.scaling,
            enable_gqa=True,
        )
        gated_XHLC = read_XHLC * gate_H.tanh().to(read_XHLC.dtype)[:, None, None]
        # Without the bias, which the layer's own output has already.
        return F.linear(gated_XHLC.transpose(1, 2).flatten(2), attention.o_proj.weight)


def barbell_layers(settings: AdapterSettings, layers: int) -> tuple[range, range]:
    """Front and back layers with a learned prefix: of 32, with the released fractions, 1 to 8 and 20 to 31."""
    front = range(1, 1 + min(round(settings.front_fraction * layers), layers - 1))
    back = range(max(layers - round(settings.back_fraction * layers), front.stop), layers)
    return front, back


def _require_plain_attention(language: LanguageModel) -> None:
    """The prefixes are attended to by projections and rotation alone, as in Llama."""
    config, attention = language.model.config, cast(Any, decoder_layers(language.model)[0]).self_attn
    rotary = getattr(config, "partial_rotary_factor", None) or (getattr(config, "rope_parameters", None) or {}).get(
        "partial_rotary_factor"
    )
    found = [name for name in ("q_norm", "k_norm", "q_layernorm", "k_layernorm") if getattr(attention, name, None)]
    found += ["partial_rotary_factor"] if rotary not in (None, 1, 1.0) else []
    if found:
        raise ConfigError(
            f"the attention of {language.source!r} has {', '.join(found)}, which a barbell does not follow: use "
            "adapter.kind lora"
        )
