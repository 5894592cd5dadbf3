"""ROS 2 parameters from a frozen dataclass: type, range, choices and description live in one place.

A node describes its parameters as the fields of a dataclass made with `setting`. `declare_settings` declares
them, `read_settings` gives the dataclass back, `check_changes` is the on-set callback's judgement, `changed_settings`
what comes of it.
An empty string array cannot be written in a parameter file, so `[""]` stands for it and empty strings are
dropped when an array is read.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from aln_p3_core.errors import ConfigError

if TYPE_CHECKING:
    from rclpy.node import Node

SettingsT = TypeVar("SettingsT")

#: Names that are as alike as this are one, misspelt.
_LIKE = 0.8

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple: Parameter.Type.STRING_ARRAY,
}


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What a parameter means and may be.

    Attributes:
        description: one or two plain sentences, with the unit.
        minimum, maximum: of a number, both inclusive; None where there is no bound.
        choices: of a string; empty where any will do.
        live: may change while the node runs; the others are read when the node is configured.
        read_only: may only be given at start.
    """

    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    read_only: bool = False


def setting(default: Any, description: str, **kwargs: Any) -> Any:
    """A dataclass field that becomes a parameter; the keywords are those of `SettingInfo`."""
    return dataclasses.field(default=default, metadata={"info": SettingInfo(description, **kwargs)})


def setting_infos(settings_type: type) -> dict[str, tuple[Any, SettingInfo]]:
    """Default and description of every parameter of a settings dataclass, by name."""
    return {f.name: (f.default, f.metadata["info"]) for f in dataclasses.fields(settings_type)}


def declare_settings(node: Node, settings_type: type) -> None:
    """Declares every field as a parameter of the node, with descriptor and default.

    Raises:
        rclpy.exceptions.InvalidParameterTypeException, InvalidParameterValueException: an override from the command
            line or a file has the wrong type, or lies outside its range.
        ConfigError: an override is no parameter, and its name is nearly that of one.
    """
    infos = setting_infos(settings_type)
    _check_names(node, infos)
    for name, (default, info) in infos.items():
        value = (list(default) or [""]) if isinstance(default, tuple) else default
        node.declare_parameter(name, value, _descriptor(default, info))


def read_settings(node: Node, settings_type: type[SettingsT]) -> SettingsT:
    """The node's parameters now, as the dataclass (whose own checks may raise)."""
    values = {}
    for name, (default, _) in setting_infos(settings_type).items():
        values[name] = _field_value(node.get_parameter(name).value, default)
    return settings_type(**values)


def check_changes(
    node: Node, settings_type: type, changes: Iterable[Parameter], *, configured: bool
) -> SetParametersResult:
    """Judges a request to set parameters; the reason of a refusal says what would be right.

    Args:
        configured: whether the node has read its settings already, so that only live ones may change.
    """
    infos = setting_infos(settings_type)
    values = dataclasses.asdict(read_settings(node, settings_type))
    for parameter in changes:
        if parameter.name not in infos:
            continue
        default, info = infos[parameter.name]
        if configured and not info.live:
            return SetParametersResult(
                successful=False,
                reason=f"{parameter.name} is read when the node is configured: deactivate and clean up the node first",
            )
        problem = _problem(parameter, default, info)
        if problem:
            return SetParametersResult(successful=False, reason=f"{parameter.name} {problem}")
        values[parameter.name] = _field_value(parameter.value, default)
    try:
        settings_type(**values)
    except ValueError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def changed_settings(settings: SettingsT, changes: Iterable[Parameter]) -> SettingsT:
    """The settings with those changes that are fields of theirs (whose own checks may raise)."""
    infos = setting_infos(type(settings))
    values = {c.name: _field_value(c.value, infos[c.name][0]) for c in changes if c.name in infos}
    changed: SettingsT = dataclasses.replace(settings, **values)  # type: ignore[type-var]
    return changed


def check_choices(settings: Any, error_type: Callable[[str], Exception]) -> None:
    """Checks the strings of a settings dataclass against their choices; for its `__post_init__`."""
    for name, (_, info) in setting_infos(type(settings)).items():
        value = getattr(settings, name)
        if info.choices and value not in info.choices:
            raise error_type(f"{name} must be one of {', '.join(info.choices)}, got {value!r}")


def _check_names(node: Node, known: Iterable[str]) -> None:
    """Looks at the names of what was given at start: a misspelt one would be left out without a word.

    One that is like none is said and left out: a file of one's own may serve several nodes.
    """
    known = list(known)
    for name in node._parameter_overrides:
        if name in known or node.has_parameter(name) or name.startswith("qos_overrides."):
            continue
        if near := difflib.get_close_matches(name, known, n=1, cutoff=_LIKE):
            raise ConfigError(f"there is no parameter {name!r}; did you mean {near[0]}?")
        node.get_logger().warning(f"there is no parameter {name!r} here: it is left out")


def _field_value(value: Any, default: Any) -> Any:
    return tuple(entry for entry in value if entry) if isinstance(default, tuple) else value


def _problem(parameter: Parameter, default: Any, info: SettingInfo) -> str | None:
    expected = _TYPES[type(default)]
    if parameter.type_ != expected:
        return f"must be of type {expected.name}, got {parameter.type_.name}"
    if info.choices and parameter.value not in info.choices:
        return f"must be one of {', '.join(info.choices)}, got {parameter.value!r}"
    if info.minimum is not None and parameter.value < info.minimum:
        return f"must be at least {info.minimum:g}, got {parameter.value:g}"
    if info.maximum is not None and parameter.value > info.maximum:
        return f"must be at most {info.maximum:g}, got {parameter.value:g}"
    return None


def _descriptor(default: Any, info: SettingInfo) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=info.description,
        read_only=info.read_only,
        additional_constraints=f"one of: {', '.join(info.choices)}" if info.choices else "",
    )
    if info.minimum is None and info.maximum is None:
        return descriptor
    if isinstance(default, float):
        low = -1.0e308 if info.minimum is None else float(info.minimum)
        high = 1.0e308 if info.maximum is None else float(info.maximum)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    else:
        low_int = -(2**62) if info.minimum is None else int(info.minimum)
        high_int = 2**62 if info.maximum is None else int(info.maximum)
        descriptor.integer_range = [IntegerRange(from_value=low_int, to_value=high_int)]
    return descriptor
