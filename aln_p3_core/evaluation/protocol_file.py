"""Reading the file of a protocol: by title from the tree, or from a path."""

from __future__ import annotations

from collections.abc import Mapping, Set
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from aln_p3_core.errors import ConfigError


def read_settings(
    name: str | Path, known: Mapping[str, str], settings: Set[str], what: str
) -> tuple[Mapping[str, Any], str]:
    """The settings of a protocol file, and its name for messages.

    Args:
        name: title of a protocol of the tree, or path of a file.
        known: title -> file name in the tree.
        settings: names that the file must have, no more and no less.
        what: kind of protocol, for messages.

    Raises:
        ConfigError: for an unknown name, a file that cannot be read, and unknown or missing settings.
    """
    source = known.get(str(name), str(name))
    try:
        if str(name) in known:
            text = (files("aln_p3_core.evaluation") / "protocols" / source).read_text(encoding="utf-8")
        else:
            text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"no {what} {source!r}: it is none of {', '.join(known)}, nor a file") from error
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is no YAML file: {error}") from error
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{source} must hold a mapping of settings")
    if set(tree) != settings:
        unknown, missing = sorted(map(str, set(tree) - settings)), sorted(settings - set(tree))
        raise ConfigError(f"{source}: unknown settings {unknown}, missing settings {missing}")
    return tree, source
