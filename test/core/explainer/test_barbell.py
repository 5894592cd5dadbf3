from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.barbell import Barbell, barbell_layers
from aln_p3_core.explainer.language_model import LanguageModel, load_language_model
from aln_p3_core.explainer.settings import AdapterSettings, LanguageModelSettings

_SETTINGS = AdapterSettings(kind="barbell", prefix_tokens=2, front_fraction=0.34, back_fraction=0.34)
_IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]])


def _language(folder: Path) -> LanguageModel:
    return load_language_model(LanguageModelSettings(source=str(folder), precision="fp32"))


def _context(language: LanguageModel) -> Tensor:
    return torch.randn(2, 3, language.width, generator=torch.Generator().manual_seed(0))


def test_layers_of_the_released_fractions() -> None:
    assert barbell_layers(AdapterSettings(), 32) == (range(1, 9), range(20, 32))
    assert barbell_layers(AdapterSettings(), 30) == (range(1, 9), range(19, 30))
    # However few there are: the first layer is the context's, and none has two prefixes.
    for layers in range(1, 8):
        front, back = barbell_layers(AdapterSettings(front_fraction=0.5, back_fraction=0.5), layers)
        assert [0, *front, *back] == sorted({0, *front, *back}) and max((0, *front, *back)) < layers


def test_untrained_it_leaves_the_model_as_it_is(tiny_language: Path) -> None:
    plain, language = _language(tiny_language), _language(tiny_language)
    barbell = Barbell(_SETTINGS, language)
    with barbell.reading(_context(language)):
        adapted = language.last_states(language.embedding(_IDS))
    assert torch.equal(adapted, plain.last_states(plain.embedding(_IDS)))


def test_prefixes_act_as_keys_of_their_own_softmax(tiny_language: Path) -> None:
    """Layer 0 against the formula, written out for one text, one place and one head after another."""
    language = _language(tiny_language)
    barbell = Barbell(_SETTINGS, language)
    gates = torch.tensor([0.5, -0.3, 0.1, 2.0])
    with torch.no_grad():
        barbell.context_gate.copy_(gates)
    layer, context = language.model.model.layers[0], _context(language)
    seen: dict[str, Tensor] = {}
    layer.self_attn.q_proj.register_forward_hook(lambda m, i, o: seen.update(query=o))
    layer.self_attn.register_forward_hook(lambda m, i, o: seen.update(out=o[0]))
    with barbell.reading(context), torch.no_grad():
        language.last_states(language.embedding(_IDS))
    with_context = seen["out"]
    with torch.no_grad():
        barbell.context_gate.zero_()
        with barbell.reading(context):
            language.last_states(language.embedding(_IDS))
    added = with_context - seen["out"]

    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    attention, text, place, channels = layer.self_attn, 1, 3, 8
    prefix = layer.input_layernorm(context[text])
    cos, sin = language.model.model.rotary_emb(prefix, torch.tensor([[place]]))
    query = seen["query"][text, place].view(1, 4, 1, channels)
    query = apply_rotary_pos_emb(query, query, cos, sin)[0][0, :, 0]
    keys, values = (p(prefix).view(3, 2, channels) for p in (attention.k_proj, attention.v_proj))
    heads = [
        torch.tanh(gates[h]) * (keys[:, h // 2] @ query[h] / channels**0.5).softmax(0) @ values[:, h // 2]
        for h in range(4)
    ]
    torch.testing.assert_close(added[text, place], attention.o_proj(torch.cat(heads)), rtol=1e-3, atol=1e-5)


def test_gradients_reach_context_prefixes_and_gates_only(tiny_language: Path) -> None:
    language = _language(tiny_language)
    barbell = Barbell(_SETTINGS, language)
    context = _context(language).requires_grad_()
    for value, reached in ((0.0, False), (0.7, True)):
        with torch.no_grad():
            for gate in (barbell.context_gate, *barbell.gates.values()):
                gate.fill_(value)
        with barbell.reading(context):
            language.last_states(language.embedding(_IDS))[..., 0].square().sum().backward()
        assert context.grad is not None and bool(context.grad.any()) is reached
        assert all(gate.grad is not None and bool(gate.grad.any()) for gate in barbell.gates.values())
        assert barbell.context_gate.grad is not None and bool(barbell.context_gate.grad.any())
    assert all(p.grad is not None and bool(p.grad.any()) for p in barbell.prefixes.values())
    assert all(p.grad is None for p in language.model.parameters())


def test_it_adds_nothing_to_the_language_models_weights(tiny_language: Path) -> None:
    language = _language(tiny_language)
    names = set(language.model.state_dict())
    Barbell(_SETTINGS, language)
    assert set(language.model.state_dict()) == names


def test_a_model_without_a_context_is_refused(tiny_language: Path) -> None:
    language = _language(tiny_language)
    barbell = Barbell(_SETTINGS, language)
    with pytest.raises(ConfigError, match="without a context"):
        language.last_states(language.embedding(_IDS))
    with barbell.reading(_context(language)):
        language.last_states(language.embedding(_IDS))


def test_attention_that_does_more_than_llamas_is_refused() -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM, StableLmConfig, StableLmForCausalLM

    sizes = {
        "vocab_size": 20, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }  # fmt: skip
    normed: nn.Module = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=8))
    partial: nn.Module = StableLmForCausalLM(StableLmConfig(**sizes, partial_rotary_factor=0.25))
    for model, part in ((normed, "q_norm, k_norm"), (partial, "partial_rotary_factor")):
        with pytest.raises(ConfigError, match=rf"has {part}, which a barbell does not follow: use adapter.kind lora"):
            Barbell(_SETTINGS, LanguageModel(model, None, "x", "", None, 0))


def test_another_architecture_is_refused() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model: nn.Module = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2))
    with pytest.raises(ConfigError, match=r"no Llama-like layers .* adapter.kind lora"):
        Barbell(_SETTINGS, LanguageModel(model, None, "gpt2", "", None, 0))
