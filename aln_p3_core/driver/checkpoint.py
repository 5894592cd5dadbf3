"""Checkpoint files: weights, recipe, class names, normalisation and origin in one safetensors file.

Whatever is needed to drive with the weights lies in the file itself; nothing is guessed at loading.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig, from_dict, to_dict
from aln_p3_core.driver.fit import require_fit
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.weights import resolve_checkpoint
from aln_p3_core.whole_files import written_whole

FORMAT = "aln_p3.driver"
FORMAT_VERSION = "1"
_IMPORT_HINT = "; for a released VAD checkpoint use: aln-p3 import-vad"


def checkpoint_hash(state_dict: Mapping[str, Tensor]) -> str:
    """sha256 (hex) over names, types, shapes and bytes of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(
    path: Path, network: nn.Module, config: DriverConfig, extra: Mapping[str, str] | None = None
) -> str:
    """Writes a checkpoint; the file appears only when it is complete.

    Args:
        path: target, usually `*.safetensors`.
        network: a `DriverNetwork` of `config`, not fused for inference.
        config: its recipe.
        extra: further metadata, such as {"provenance": "...", "steps": "1000"}.

    Returns:
        The checkpoint's hash.

    Raises:
        CheckpointError: when the network's entries are not the recipe's.
    """
    return save_state(path, network.state_dict(), config, extra)


def save_state(
    path: Path, state_dict: Mapping[str, Tensor], config: DriverConfig, extra: Mapping[str, str] | None = None
) -> str:
    """Like `save_checkpoint`, from a network's entries. They are stored in the types that they have: those in half
    precision load as the recipe's own types, and the hash is that of what is stored.

    Raises:
        CheckpointError: when the entries are not the recipe's.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    require_fit(state, expected_state(config), "the network does not have the recipe's entries")
    digest = checkpoint_hash(state)
    metadata = dict(extra or {}) | recipe_metadata(config) | {"sha256": digest}
    with written_whole(path) as temporary:
        save_file(state, temporary, metadata)
    return digest


def in_types_of(path: str | Path, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's entries in the types that the checkpoint `path` stores them in, if they still have its values: saved
    like that they have its hash, and what was made for it fits. As they are where any value differs."""
    stored, _ = read_tensors(resolve_checkpoint(path), "driver checkpoint", FORMAT, FORMAT_VERSION)
    own = {name: tensor.detach().cpu() for name, tensor in state_dict.items()}
    same = stored.keys() == own.keys() and all(
        value.shape == own[name].shape and torch.equal(value.to(own[name].dtype), own[name])
        for name, value in stored.items()
    )
    return stored if same else dict(state_dict)


def load_checkpoint(
    path: str | Path, expected_recipe: str | None = None
) -> tuple[DriverConfig, dict[str, Tensor], dict[str, str]]:
    """Reads a checkpoint: recipe, state dict (on the CPU, in the recipe's types) and metadata.

    Args:
        path: a file written by `save_checkpoint` or `save_state`, or the name of a driver that ships with the package.
        expected_recipe: when given, the name of the recipe that the file must be of.

    Raises:
        CheckpointError: when the file is missing, damaged, half written, of another format, or when its
            tensors are not those of its recipe (listing what differs).
    """
    path = resolve_checkpoint(path)
    state, metadata = read_tensors(path, "driver checkpoint", FORMAT, FORMAT_VERSION, _IMPORT_HINT)
    try:
        config = from_dict(json.loads(metadata["recipe"]))
    except (KeyError, json.JSONDecodeError, ConfigError, TypeError) as error:
        raise CheckpointError(f"the recipe in {path} cannot be read: {error}") from error
    if expected_recipe not in (None, config.name):
        raise CheckpointError(f"{path} is of the recipe {config.name!r}, not {expected_recipe!r}")
    for key, value in recipe_metadata(config).items():
        # A recipe of an earlier release may lack settings that have come since: their defaults are what it was.
        if key != "recipe" and metadata.get(key) != value:
            raise CheckpointError(f"{path} contradicts itself: {key} is {metadata.get(key)}, its recipe says {value}")
    expected = expected_state(config)
    require_fit(state, expected, f"{path} does not hold the tensors of its recipe")
    if checkpoint_hash(state) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its tensors do not have the sha256 that was stored with them")
    return config, {name: tensor.to(expected[name].dtype) for name, tensor in state.items()}, metadata


def read_tensors(
    path: Path, kind: str, file_format: str, version: str, hint: str = ""
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file, of whatever recipe.

    Args:
        path: of the file.
        kind: "driver checkpoint", for the errors.
        file_format, version: what the metadata must say.
        hint: ends the error about another format.

    Raises:
        CheckpointError: when the file is missing, damaged, half written, or of another format.
    """
    state = _read(path, kind, lambda file, name: file.get_tensor(name))
    return _of_format(path, kind, state, file_format, version, hint)


def read_header(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Entries of a driver's checkpoint as tensors without data, and its metadata: the head of the file alone is read.

    Args:
        path: as in `load_checkpoint`.

    Raises:
        CheckpointError: when the file is missing, has no whole header, or is of another format.
    """
    path, kind = resolve_checkpoint(path), "driver checkpoint"
    state = _read(path, kind, lambda file, name: torch.empty(file.get_slice(name).get_shape(), device="meta"))
    return _of_format(path, kind, state, FORMAT, FORMAT_VERSION, _IMPORT_HINT)


_State = tuple[dict[str, Tensor], dict[str, str]]


def _read(path: Path, kind: str, value_of: Callable[[Any, str], Tensor]) -> _State:
    """Entries of a file, as `value_of` takes them from it, and its metadata."""
    if not path.is_file():
        raise CheckpointError(f"no {kind} at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: value_of(file, name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no dict)
    except Exception as error:  # safetensors raises several unrelated types
        raise CheckpointError(f"{path} is damaged or only half written: {error}. Copy or make it again") from error


def _of_format(path: Path, kind: str, read: _State, file_format: str, version: str, hint: str) -> _State:
    """What was read. Raises CheckpointError when its metadata say another format."""
    metadata = read[1]
    if metadata.get("format") != file_format:
        raise CheckpointError(f"{path} is no {kind} of this project (format {metadata.get('format')!r}){hint}")
    if metadata.get("format_version") != version:
        raise CheckpointError(
            f"{path} has format version {metadata.get('format_version')!r}, this release reads {version!r}"
        )
    return read


def load_network(path: str | Path) -> tuple[DriverNetwork, dict[str, str]]:
    """The network of a checkpoint, in evaluation mode, and the file's metadata. Raises like `load_checkpoint`."""
    config, state, metadata = load_checkpoint(path)
    network = DriverNetwork(config, load_pretrained=False)
    network.load_state_dict(state)
    return network.eval(), metadata


def expected_state(config: DriverConfig) -> dict[str, Tensor]:
    """The recipe's entries as tensors without data: names, shapes and types."""
    with torch.device("meta"):
        return DriverNetwork(config, load_pretrained=False).state_dict()


def parameter_count(config: DriverConfig) -> int:
    """Number of parameters of a recipe."""
    with torch.device("meta"):
        return sum(p.numel() for p in DriverNetwork(config, load_pretrained=False).parameters())


def recipe_metadata(config: DriverConfig) -> dict[str, str]:
    """What every file with weights tells of its recipe: format, recipe, class names and normalisation."""
    image = dataclasses.asdict(config.image)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": json.dumps(to_dict(config), sort_keys=True),
        "class_names": json.dumps({"agents": config.agents.classes, "map": config.map.classes}),
        "normalisation": json.dumps({key: image[key] for key in ("mean", "std", "color")}),
    }
