"""Changing and listing settings by dotted names: `optimizer.learning_rate`, `stages.0.steps`, `driver.bev.rows`.

Works on any tree of frozen dataclasses and tuples of them. What a setting means stands once, in its class's docstring.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

from aln_p3_core.errors import ConfigError

Tree = TypeVar("Tree")


def flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted name, value and doc line of every setting, in order."""
    docs = doc_lines(type(tree))
    for field in dataclasses.fields(tree):
        value, name = getattr(tree, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from flatten(value, f"{name}.")
        elif isinstance(value, tuple) and value and all(dataclasses.is_dataclass(v) for v in value):
            for index, entry in enumerate(value):
                yield from flatten(entry, f"{name}.{index}.")
        else:
            yield name, value, docs.get(field.name, "")


def doc_lines(cls: type) -> dict[str, str]:
    """Setting -> what it means, from lines `name: ...` (or `name, other: ...`) of a class's docstring."""
    found: dict[str, str] = {}
    names: list[str] = []
    fields = {field.name for field in dataclasses.fields(cls)}
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        start = re.match(r"(\w+(?:, \w+)*): (.*)", line.strip())
        if start and fields.issuperset(start[1].split(", ")):
            names = start[1].split(", ")
            found |= dict.fromkeys(names, start[2])
        elif line.startswith((" ", "\t")) and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def with_settings(tree: Tree, changes: Mapping[str, Any]) -> Tree:
    """A copy with dotted settings changed.

    Raises:
        ConfigError: for a name that does not exist (with the nearest that do), or a value of the wrong kind.
    """
    for name, value in changes.items():
        known = [name for name, _, _ in flatten(tree)]
        if name not in known and not _may_be_left_out(tree, name):
            near = difflib.get_close_matches(name, known, n=3)
            told = f"did you mean {' or '.join(near)}?" if near else "`aln-p3 train RECIPE --settings` lists them"
            raise ConfigError(f"unknown setting {name!r}; {told}")
        tree = _changed(tree, name.split("."), value, name)
    return tree


def _may_be_left_out(tree: Any, name: str) -> bool:
    """Whether it is a group of settings that may be null."""
    hint = typing.get_type_hints(type(tree)).get(name)
    return typing.get_origin(hint) is types.UnionType and types.NoneType in typing.get_args(hint)


def _changed(node: Any, path: list[str], value: Any, name: str) -> Any:
    if isinstance(node, tuple):
        index = int(path[0])
        return (*node[:index], _changed(node[index], path[1:], value, name), *node[index + 1 :])
    if len(path) > 1:
        value = _changed(getattr(node, path[0]), path[1:], value, name)
    else:
        value = _checked(value, typing.get_type_hints(type(node))[path[0]], name)
    return dataclasses.replace(node, **{path[0]: value})


def _checked(value: Any, hint: Any, name: str) -> Any:
    """The value as the hint wants it: whole numbers become floats, lists tuples. Raises ConfigError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType and types.NoneType in arguments:
        if value is not None:
            raise ConfigError(f"{name} is a group of settings: change single ones of it, or null leaves it out")
        return None
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{name} must be {' or '.join(map(repr, arguments))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{name} must be a list, such as [{arguments[0].__name__}, ...], got {value!r}")
        return tuple(_checked(entry, arguments[0], name) for entry in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{name} must be a {hint.__name__}, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {value!r}")
    return value
