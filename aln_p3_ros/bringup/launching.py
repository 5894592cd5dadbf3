"""Launch descriptions from the graph, for the files in launch/. Needs `launch` and `launch_ros`."""

from __future__ import annotations

import sys
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from aln_p3_ros.bringup.graph import Graph, NodeSpec, graph
from aln_p3_ros.resources import is_installed


def launch_description(name: str) -> LaunchDescription:
    """The launch description of a graph: its arguments, declared, and its nodes."""
    chosen = graph(name)
    declarations = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.about,
            **({"choices": list(argument.choices)} if argument.choices else {}),
        )
        for argument in chosen.arguments
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=_start, args=[chosen])])


def _start(context: LaunchContext, chosen: Graph) -> list[Any]:
    texts = {a.name: LaunchConfiguration(a.name).perform(context) for a in chosen.arguments}
    # `ros2 launch` does not tell what was given; what is as it would be without counts as not given.
    plan = chosen.plan({a.name: texts[a.name] for a in chosen.arguments if texts[a.name] != a.default})
    environment = [SetEnvironmentVariable(name, value) for name, value in plan.environment.items()]
    return [*environment, *(_node(spec, plan.log_level) for spec in plan.nodes)]


def _node(spec: NodeSpec, log_level: str) -> Node:
    if spec.module and not is_installed(spec.package, spec.executable):
        # The package's Python runs from its source tree: the module does what the executable would.
        program: dict[str, Any] = {"executable": sys.executable}
        first = ["-m", spec.module]
    else:
        program = {"package": spec.package, "executable": spec.executable}
        first = []
    return Node(
        **program,
        name=spec.name,
        exec_name=spec.name,
        parameters=[
            *map(str, spec.parameter_files),
            *([dict(spec.defaults)] if spec.defaults else []),
            *map(str, spec.user_files),
            dict(spec.parameters),
        ],
        remappings=list(spec.remappings),
        arguments=[*first, *spec.arguments],
        ros_arguments=["--log-level", log_level],
        output="screen",
        on_exit=[Shutdown(reason=f"{spec.name} has ended")] if spec.required else None,
    )
