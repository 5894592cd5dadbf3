"""Parameters from a dataclass: declared, read, judged."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from aln_p3_core.errors import ConfigError
from aln_p3_ros.parameters import check_changes, check_choices, declare_settings, read_settings, setting


@dataclass(frozen=True)
class Settings:
    name: str = setting("car", "A name.", choices=("car", "bus"))
    rate: float = setting(2.0, "A rate, Hz.", minimum=1.0, maximum=5.0, live=True)
    count: int = setting(3, "A number.", minimum=0)
    wheels: tuple[str, ...] = setting((), "Names.", live=True)
    fast: bool = setting(False, "Whether.", read_only=True)

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        if len(self.wheels) > 4:
            raise ConfigError("no more than four wheels")


def make_node(context: Context, **overrides: object) -> Node:
    node = rclpy.create_node(
        "settings_node",
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
    )
    declare_settings(node, Settings)
    return node


def test_defaults_and_overrides(ros_context: Context) -> None:
    node = make_node(ros_context, rate=4.0, wheels=["left", "right"])
    assert read_settings(node, Settings) == Settings(rate=4.0, wheels=("left", "right"))
    node.destroy_node()


def test_an_empty_string_array_is_written_with_an_empty_string(ros_context: Context) -> None:
    node = make_node(ros_context, wheels=[""])
    assert read_settings(node, Settings).wheels == ()
    node.destroy_node()


def test_descriptors_tell_type_range_and_choices(ros_context: Context) -> None:
    node = make_node(ros_context)
    rate, count, name, fast = (node.describe_parameter(key) for key in ("rate", "count", "name", "fast"))
    assert rate.description == "A rate, Hz."
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (1.0, 5.0)
    assert count.integer_range[0].from_value == 0
    assert name.additional_constraints == "one of: car, bus"
    assert fast.read_only and not rate.read_only
    node.destroy_node()


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ({"rate": 9.0}, InvalidParameterValueException),
        ({"rate": "high"}, InvalidParameterTypeException),
        ({"rates": 2.0}, ConfigError),
        ({"wheel": ["left"]}, ConfigError),
    ],
)
def test_bad_overrides_are_refused_at_start(ros_context: Context, override: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        make_node(ros_context, **override)


def test_a_misspelt_name_is_told_and_one_of_another_node_left_out(
    ros_context: Context, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="no parameter 'cuont'; did you mean count"):
        make_node(ros_context, cuont=4)
    node = make_node(ros_context, use_sim_time=True, horsepower=90)
    assert read_settings(node, Settings) == Settings()
    node.destroy_node()
    said = capfd.readouterr().err
    assert "no parameter 'horsepower' here" in said and "use_sim_time" not in said


@pytest.mark.parametrize(
    ("name", "value", "configured", "words"),
    [
        ("rate", 3.0, True, ""),
        ("rate", 9.0, False, "rate must be at most 5, got 9"),
        ("rate", 0.5, False, "rate must be at least 1, got 0.5"),
        ("rate", 3, False, "rate must be of type DOUBLE, got INTEGER"),
        ("count", 4, False, ""),
        ("count", 4, True, "clean up the node first"),
        ("name", "tram", False, "name must be one of car, bus, got 'tram'"),
        ("wheels", ["a", "b"], True, ""),
        ("wheels", ["a", "b", "c", "d", "e"], True, "no more than four wheels"),
        ("unknown", 1, True, ""),
    ],
)
def test_changes_are_judged(ros_context: Context, name: str, value: object, configured: bool, words: str) -> None:
    node = make_node(ros_context)
    result = check_changes(node, Settings, [Parameter(name, value=value)], configured=configured)
    assert result.successful == (words == "") and words in result.reason
    node.destroy_node()
