"""A recorder of intermediate tensors, for parity checks and for looking inside.

    with recording() as taps:
        network(inputs)
    taps["bev_encoder.layer0.temporal"]

Off, a `tap` costs one look at a global.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# A plain global and not a context variable: torch.compile traces through the one, and breaks at the other.
_taps: dict[str, torch.Tensor] | None = None
_owner: int | None = None


def tap(name: str, value: torch.Tensor | Callable[[], torch.Tensor]) -> None:
    """Records a copy of a tensor under `name` while a recording is on in this thread.

    A callable is called only then: for what the network itself has no need to compute.
    """
    if _taps is not None and _owner == threading.get_ident():
        tensor = value() if callable(value) else value
        _taps[name] = tensor.detach().clone()


def is_recording() -> bool:
    """Whether taps are wanted: code that would skip work it has done before does it again then."""
    return _taps is not None and _owner == threading.get_ident()


@contextmanager
def recording() -> Iterator[dict[str, torch.Tensor]]:
    """Collects every tap of the code that runs inside, by name. One at a time.

    Raises:
        RuntimeError: when a recording is on already.
    """
    global _taps, _owner
    if _taps is not None:
        raise RuntimeError("taps are being recorded already")
    _taps, _owner = {}, threading.get_ident()
    try:
        yield _taps
    finally:
        _taps = _owner = None
