"""Drivers and explainers that ship with the package, by name. scripts/ship_driver.py writes a driver's file from a
training run.

>>> driver = Driver.from_checkpoint("nano")
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from aln_p3_core.errors import CheckpointError

#: Names that stand for a file wherever a checkpoint is named. A file of the same name is written "./nano".
SHIPPED: tuple[str, ...] = ("nano",)


def shipped_checkpoint(name: str = SHIPPED[0]) -> Path:
    """The file of a driver that ships with the package; its model card lies beside it (`nano.md`).

    Raises:
        CheckpointError: for a name that no driver has, and when the file was not installed.
    """
    if name not in SHIPPED:
        raise CheckpointError(f"no driver {name!r} ships with the package; there is {', '.join(SHIPPED)}")
    folder = Path(str(resources.files(__package__)))
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in folder.glob("*.safetensors"))) or "none"
        raise CheckpointError(
            f"the driver {name!r} is not installed: {path} is missing (weights that are there: {there}). "
            "Install the package again, or name the file of a checkpoint"
        )
    return path


def resolve_checkpoint(name_or_path: str | Path) -> Path:
    """The file that a text stands for: a shipped driver's name, or a path, which need not exist.

    A `Path` is always a path, never a name.

    Raises:
        CheckpointError: when the shipped driver of that name is not installed.
    """
    if isinstance(name_or_path, str) and name_or_path in SHIPPED:
        return shipped_checkpoint(name_or_path)
    return Path(name_or_path)


def name_of(path: str | Path) -> str:
    """What stands for a file on a command line: the name of a shipped driver or explainer, else its path."""
    folder = Path(str(resources.files(__package__)))
    for name in SHIPPED:
        if path in (name, folder / f"{name}.safetensors", folder / f"{name}_explainer.safetensors"):
            return name
    return f"./{path}" if str(path) in SHIPPED else str(path)


def shipped_explainer(name: str = SHIPPED[0]) -> Path:
    """The file of the explainer that ships for a driver of that name.

    Raises:
        CheckpointError: when there is none.
    """
    path = Path(str(resources.files(__package__))) / f"{name}_explainer.safetensors"
    if name not in SHIPPED or not path.is_file():
        raise CheckpointError(
            f"no explainer {name!r} ships with this release ({path.name} is not installed): name the file of one, or "
            "train it (aln-p3 train nano_speak)"
        )
    return path


def resolve_explainer(name_or_path: str | Path) -> Path:
    """As `resolve_checkpoint`, for explainers."""
    if isinstance(name_or_path, str) and name_or_path in SHIPPED:
        return shipped_explainer(name_or_path)
    return Path(name_or_path)
