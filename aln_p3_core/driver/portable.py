"""A switch for export: while it is on, the network computes in forms that every runtime has.

    with portable():
        torch.export.export(network, ...)

Off (always, when driving and training), the forms that are fastest in torch are used. Both compute the same sums.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A plain global and not a context variable: torch.compile traces through the one, and breaks at the other.
_owner: int | None = None


def is_portable() -> bool:
    """Whether this thread asked for portable forms."""
    return _owner is not None and _owner == threading.get_ident()


@contextmanager
def portable() -> Iterator[None]:
    """Portable forms for all of the code that runs inside, in this thread. One at a time.

    Raises:
        RuntimeError: when the switch is on already.
    """
    global _owner
    if _owner is not None:
        raise RuntimeError("the switch is on already")
    _owner = threading.get_ident()
    try:
        yield
    finally:
        _owner = None
