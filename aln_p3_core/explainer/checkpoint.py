"""An explainer's file: mixer and adapter in one safetensors file, with all that is needed to speak with them.

The frozen language model is not in it: the file names it, with its fingerprint. It also names the driver whose tokens
it was trained on, by the hash of that driver's weights; another driver's tokens would mean something else to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from aln_p3_core.driver.checkpoint import checkpoint_hash, read_tensors
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.explainer.explainer import Explainer
from aln_p3_core.explainer.settings import ExplainerConfig, explainer_from_dict, explainer_to_dict
from aln_p3_core.weights import resolve_explainer
from aln_p3_core.whole_files import written_whole

FORMAT = "aln_p3.explainer"
FORMAT_VERSION = "1"


@dataclass(frozen=True, slots=True)
class ExplainerFile:
    """What a file holds.

    Attributes:
        path: of the file.
        config: recipe.
        state: parameters of mixer and adapter, float32.
        driver_shape: keyword arguments of `Explainer` that come from the driver.
        driver_hash: of the weights of the driver whose tokens it reads.
        language_identity: fingerprint of the language model.
        sha256: of the tensors, as stored.
        metadata: everything that was written beside them.
    """

    path: Path
    config: ExplainerConfig
    state: dict[str, Tensor]
    driver_shape: dict[str, int]
    driver_hash: str
    language_identity: str
    sha256: str
    metadata: dict[str, str]


def save_explainer(
    path: Path, explainer: Explainer, *, driver_hash: str, extra: Mapping[str, str] | None = None
) -> str:
    """Writes a file, which appears only when it is complete; matrices are stored in half precision.

    Args:
        path: target, usually `*.safetensors`.
        explainer: whose mixer and adapter are written.
        driver_hash: sha256 of the driver's weights (`DriverNetwork`'s checkpoint).
        extra: further metadata, such as {"provenance": "..."}.

    Returns:
        The file's hash.
    """
    state = {
        name: tensor.detach().cpu().to(torch.float16 if tensor.ndim > 1 else torch.float32).contiguous()
        for name, tensor in explainer.trained_state_dict().items()
    }
    digest = checkpoint_hash(state)
    metadata = dict(extra or {}) | {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": json.dumps(explainer_to_dict(explainer.config), sort_keys=True),
        "driver_shape": json.dumps(explainer.driver_shape),
        "driver_hash": driver_hash,
        "language_model": explainer.description,
        "language_identity": explainer.language.identity,
        "sha256": digest,
    }
    with written_whole(path) as temporary:
        save_file(state, temporary, metadata)
    return digest


def read_file(path: str | Path) -> ExplainerFile:
    """Reads a file whole, or an explainer's that ships with the package by its name.

    Raises:
        CheckpointError: when it is missing, damaged, half written, or of another kind.
    """
    path = resolve_explainer(path)
    state, metadata = read_tensors(path, "explainer", FORMAT, FORMAT_VERSION)
    if checkpoint_hash(state) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its tensors do not have the sha256 that was stored with them")
    try:
        return ExplainerFile(
            path=path,
            config=explainer_from_dict(json.loads(metadata["recipe"])),
            state={name: tensor.float() for name, tensor in state.items()},
            driver_shape={name: int(value) for name, value in json.loads(metadata["driver_shape"]).items()},
            driver_hash=metadata["driver_hash"],
            language_identity=metadata["language_identity"],
            sha256=metadata["sha256"],
            metadata=metadata,
        )
    except (KeyError, json.JSONDecodeError, ConfigError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"what is written beside the tensors of {path} cannot be read: {error}") from error


def read_explainer(path: str | Path, config: ExplainerConfig) -> dict[str, Tensor]:
    """The parameters of a file for a training of the recipe `config`, whatever driver they were trained with.

    Raises:
        CheckpointError: as `read_file`, and for weights of another mixer, adapter or language model.
    """
    found = read_file(path)
    for part in ("mixer", "adapter"):
        if getattr(found.config, part) != getattr(config, part):
            raise CheckpointError(f"{found.path} has another {part} than the recipe: {getattr(found.config, part)}")
    own, given = config.language_model, found.config.language_model
    if (own.source, own.layers) != (given.source, given.layers):
        raise CheckpointError(
            f"{found.path} adapts {given.source} ({given.layers or 'all'} layers), the recipe {own.source} "
            f"({own.layers or 'all'} layers)"
        )
    return found.state


def load_explainer(
    name_or_path: str | Path = "nano",
    *,
    driver_hash: str | None = None,
    language_source: str | None = None,
    device: torch.device | str = "cpu",
) -> Explainer:
    """An explainer that is ready to speak.

    Args:
        name_or_path: name of one that ships with the package, or a file.
        driver_hash: of the driver whose tokens it will read; not checked when None.
        language_source: where its language model lies, if elsewhere than in training
            (`LanguageModelSettings.source`).
        device: where it runs.

    Raises:
        CheckpointError: as `read_file`; for another language model than it was trained with, or another driver.
        ConfigError: when the language model is not there.
    """
    found = read_file(name_or_path)
    if driver_hash is not None and driver_hash != found.driver_hash:
        raise CheckpointError(
            f"{found.path} reads the tokens of the driver {found.driver_hash[:12]}, not of {driver_hash[:12]}: use the "
            "driver that it was trained with, or train an explainer for this one (aln-p3 train nano_speak)"
        )
    if language_source is not None:
        settings = replace(found.config.language_model, source=language_source)
        found = replace(found, config=replace(found.config, language_model=settings))
    explainer = explainer_of(found, device=device)
    if explainer.language.identity != found.language_identity:
        raise CheckpointError(
            f"{found.path} was trained with another language model than {found.config.language_model.source} is here: "
            "its words would be wrong. Name the one that it was trained with"
        )
    return explainer


def explainer_of(found: ExplainerFile, *, device: torch.device | str = "cpu", **options: Any) -> Explainer:
    """The explainer of a file, in evaluation mode; `options` as those of `Explainer`."""
    shape = found.driver_shape
    explainer = Explainer(
        found.config,
        driver_width=shape["driver_width"],
        modes=shape["modes"],
        steps=shape["steps"],
        bev_shape=(shape["bev_rows"], shape["bev_columns"]),
        device=device,
        **options,
    )
    explainer.load_trained(found.state)
    return explainer.eval()
