"""The rows of a batch that have a partner."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aln_p3_core.alignment.io import AlignmentInputs
from aln_p3_core.errors import DataError


@dataclass(slots=True)
class Rows:
    """Rows of `inputs` where `valid` is true; none where `valid` is None, such as in a batch without texts.

    Without rows everything is computed as usual, over lists of length zero: the loss is zero, and every parameter gets
    a gradient of zeros, as DDP needs it.
    """

    inputs: AlignmentInputs
    index: Tensor | None
    device: torch.device

    @staticmethod
    def of(inputs: AlignmentInputs, valid: Tensor | None, device: torch.device) -> Rows:
        return Rows(inputs, None if valid is None else valid.nonzero().squeeze(-1), device)

    def take(self, name: str, *shape: int) -> Tensor:
        """Float32 [N, *shape] of the field `name`; -1 in `shape` stands for any number.

        Raises:
            DataError: when the field is missing, has other rows than the mask, or another shape.
        """
        if self.index is None:
            return torch.zeros(0, *(max(size, 1) for size in shape), device=self.device)
        return self._selected(name, shape).float()

    def frames(self, name: str | None) -> Tensor:
        """int64 [N]: the field `name`; None: the rows' own numbers."""
        if self.index is None:
            return torch.zeros(0, dtype=torch.int64, device=self.device)
        return self.index if name is None else self._selected(name, ())

    def _selected(self, name: str, shape: tuple[int, ...]) -> Tensor:
        assert self.index is not None
        value: Tensor | None = getattr(self.inputs, name)
        if value is None:
            raise DataError(f"alignment needs {name} wherever the mask of its term is given; or give no mask")
        if value.dim() != 1 + len(shape) or any(a not in (-1, b) for a, b in zip(shape, value.shape[1:], strict=True)):
            wanted = ", ".join(str(size) if size >= 0 else "any" for size in shape)
            raise DataError(f"alignment was built for {name} of [rows, {wanted}], got {list(value.shape)}")
        return value[self.index]
