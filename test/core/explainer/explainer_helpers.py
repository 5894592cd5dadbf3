"""A tiny Llama with SmolLM2's real tokenizer, made-up scenes, and explainers of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from aln_p3_core.explainer.explainer import Explainer
from aln_p3_core.explainer.language_files import SMOLLM2, language_folder
from aln_p3_core.explainer.scene_context import BOX_WIDTH, SceneContext
from aln_p3_core.explainer.settings import (
    AdapterKind,
    AdapterSettings,
    ExplainerConfig,
    LanguageModelSettings,
    TokenMixerSettings,
)

WIDTH, MODES, STEPS, BEV_SHAPE = 16, 3, 6, (20, 12)
TINY_MIXER = TokenMixerSettings(
    width=32, instance_width=16, heads=4, mlp_ratio=2, bev_channels=16, bev_blocks=1, instance_tokens=2,
    instance_blocks=1,
)  # fmt: skip


def write_tiny_language_model(folder: Path, seed: int = 0) -> Path:
    """A random Llama of 3 layers and 32 channels, in the layout of transformers."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(str(language_folder(SMOLLM2)), local_files_only=True)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=1, eos_token_id=2, tie_word_embeddings=True,
        initializer_range=0.1,
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    with torch.no_grad():
        # Logits are products with these, of states of unit size: larger ones make the model able to be sure.
        model.model.embed_tokens.weight.mul_(6)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_config(source: Path, kind: AdapterKind = "lora", **mixer: object) -> ExplainerConfig:
    """A recipe around a folder; `mixer` changes the mixer's settings."""
    return ExplainerConfig(
        name="tiny",
        mixer=replace(TINY_MIXER, **mixer),  # type: ignore[arg-type]
        language_model=LanguageModelSettings(source=str(source), precision="fp32"),
        adapter=AdapterSettings(kind=kind, rank=4, prefix_tokens=2),
        max_agents=5,
    )


def tiny_explainer(source: Path, kind: AdapterKind = "lora", *, seed: int = 0, **mixer: object) -> Explainer:
    torch.manual_seed(seed)
    config = tiny_config(source, kind, **mixer)
    return Explainer(config, driver_width=WIDTH, modes=MODES, steps=STEPS, bev_shape=BEV_SHAPE)


def open_gates(explainer: Explainer, value: float = 1.0) -> None:
    """Lets an untrained barbell's prefixes through."""
    assert explainer.barbell is not None
    with torch.no_grad():
        for gate in (explainer.barbell.context_gate, *explainer.barbell.gates.values()):
            gate.fill_(value)


def made_up_context(scenes: int = 2, agents: int = 4, seed: int = 0, *, with_map: bool = False) -> SceneContext:
    """Random scenes; the last agent of each but the first is padding. All tensors of numbers take gradients."""
    random = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).requires_grad_()

    valid = torch.ones(scenes, agents, dtype=torch.bool)
    valid[1:, agents - 1 :] = False
    return SceneContext(
        bev_BRSD=numbers(scenes, *BEV_SHAPE, WIDTH),
        agents_BAD=numbers(scenes, agents, WIDTH),
        motion_BAM2D=numbers(scenes, agents, MODES, 2 * WIDTH),
        agent_boxes_BA10=numbers(scenes, agents, BOX_WIDTH),
        agent_valid_BA=valid,
        ego_B2D=numbers(scenes, 2 * WIDTH),
        plan_BT2=numbers(scenes, STEPS, 2),
        map_BVD=numbers(scenes, 3, WIDTH) if with_map else None,
    )
