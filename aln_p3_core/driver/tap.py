"""A recorder of intermediate tensors, for parity checks and for looking inside.

    with recording() as taps:
        network(inputs)
    taps["bev_encoder.layer0.temporal"]

Off, a `tap` costs one look at a context variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_taps: ContextVar[dict[str, torch.Tensor] | None] = ContextVar("taps", default=None)


def tap(name: str, value: torch.Tensor | Callable[[], torch.Tensor]) -> None:
    """Records a copy of a tensor under `name` while a recording is on.

    A callable is called only then: for what the network itself has no need to compute.
    """
    taps = _taps.get()
    if taps is not None:
        tensor = value() if callable(value) else value
        taps[name] = tensor.detach().clone()


def is_recording() -> bool:
    """Whether taps are wanted: code that would skip work it has done before does it again then."""
    return _taps.get() is not None


@contextmanager
def recording() -> Iterator[dict[str, torch.Tensor]]:
    """Collects every tap of the code that runs inside, by name."""
    taps: dict[str, torch.Tensor] = {}
    token = _taps.set(taps)
    try:
        yield taps
    finally:
        _taps.reset(token)
