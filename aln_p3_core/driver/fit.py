"""Whether the entries of a state dict are those that a network has."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from aln_p3_core.errors import CheckpointError


def require_fit(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Checks names and shapes.

    Raises:
        CheckpointError: `what`, then every missing, unexpected and wrongly shaped entry.
    """
    lines = [f"missing: {name}" for name in sorted(set(expected) - set(given))]
    lines += [f"unexpected: {name}" for name in sorted(set(given) - set(expected))]
    lines += [
        f"wrong shape: {name} is {tuple(given[name].shape)}, must be {tuple(expected[name].shape)}"
        for name in sorted(set(given) & set(expected))
        if given[name].shape != expected[name].shape
    ]
    if lines:
        raise CheckpointError("\n  ".join([f"{what}:", *lines]))
