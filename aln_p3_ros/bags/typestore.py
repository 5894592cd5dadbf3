"""Message types for reading and writing CDR without a ROS installation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from aln_p3_ros.resources import interface_files


@cache
def typestore() -> Typestore:
    """The Jazzy message types, and this package's own from its .msg files."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in interface_files():
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"aln_p3/msg/{path.stem}"))
    store.register(types)
    return store


def know_type(typename: str) -> bool:
    """Makes the type store know a type that is installed as a ROS package, with all that it contains.

    Args:
        typename: "package/msg/Name".

    Returns:
        False when no installed package defines it.
    """
    store = typestore()
    wanted: Sequence[str] = [typename]
    found: dict[str, Any] = {}
    while wanted:
        missing = [name for name in wanted if name not in store.fielddefs and name not in found]
        wanted = []
        for name in missing:
            path = _definition_file(name)
            if path is None:
                return False
            types = get_types_from_msg(path.read_text(encoding="utf-8"), name)
            found.update(types)
            wanted += [used for _, fields in types.values() for _, field in fields for used in _used_types(field)]
    if found:
        store.register(found)
    return True


def _definition_file(typename: str) -> Path | None:
    package, _, name = typename.partition("/msg/")
    for share in (_ament_share(package), Path(sys.prefix) / "share" / package):
        if share and name and (share / "msg" / f"{name}.msg").is_file():
            return share / "msg" / f"{name}.msg"
    return None


def _ament_share(package: str) -> Path | None:
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory(package))
    except (ImportError, LookupError, ValueError, OSError):  # no ament, no such package, no AMENT_PREFIX_PATH
        return None


def _used_types(field: Any) -> list[str]:
    """Names of the messages in a field description of the type store: (kind, description)."""
    from rosbags.interfaces import Nodetype

    kind, description = field
    if kind == Nodetype.NAME:
        return [description]
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return _used_types(description[0])
    return []
