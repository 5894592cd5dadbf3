"""Message classes by name."""

from __future__ import annotations

import importlib
from typing import Any


def message_class(typename: str) -> Any | None:
    """The Python class of "package/msg/Name", or None where that package is not installed."""
    package, kind, name = typename.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError):
        return None
