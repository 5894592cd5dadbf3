"""`aln-p3 up`: starts the graph without `launch_ros`."""

from __future__ import annotations

import sys

import click

from aln_p3_core.commands.options import NumberRange


@click.command("up")
@click.argument("graph_name", metavar="{driver|replay|simulate|explainer|adapter|view}", default="")
@click.argument("assignments", nargs=-1, metavar="[NAME:=VALUE]...")
@click.option(
    "--view",
    type=click.Choice(["pictures", "rviz", "rerun"]),
    help="Also start the view: pictures on topics, RViz, or a Rerun page in the browser.",
)
@click.option(
    "--for",
    "seconds",
    default=None,
    type=NumberRange(min=0.0),
    metavar="S",
    help="End everything after S seconds.",
)
@click.option("--show-args", is_flag=True, help="List the graph's arguments and end.")
def command(
    graph_name: str, assignments: tuple[str, ...], view: str | None, seconds: float | None, show_args: bool
) -> None:
    """Starts a graph of nodes: the same one that `ros2 launch aln_p3 NAME.launch.py` starts.

    Output is prefixed with each node's name. Everything ends when a required node does, with its exit code, or at
    Ctrl-C.

    \b
    aln-p3 up replay root:=FOLDER driver:=true view:=true
    aln-p3 up replay root:=FOLDER driver:=true --view rerun
    aln-p3 up simulate driver:=true view:=true
    aln-p3 up simulate autopilot:=expert routes:=quick --view rerun
    aln-p3 up simulate driver:=true explainer:=nano view:=true
    aln-p3 up driver topics:=carla_ros_bridge checkpoint:=FILE
    aln-p3 up explainer explainer:=FILE use_sim_time:=true
    aln-p3 up adapter topics:=carla_ros_bridge outputs:=ackermann use_sim_time:=true
    """
    from aln_p3_core.errors import ConfigError
    from aln_p3_ros.bringup.graph import GRAPHS, graph
    from aln_p3_ros.bringup.up import run_graph

    if not graph_name:
        raise click.UsageError("which graph? " + "; ".join(f"{g.name}: {g.about}" for g in GRAPHS.values()))
    chosen = graph(graph_name)
    if show_args:
        for argument in chosen.arguments:
            default = f" [{argument.default}]" if argument.default else ""
            click.echo(f"{argument.name}{default}\n    {argument.about}")
        return
    texts: dict[str, str] = view_arguments(graph_name, view)
    for assignment in assignments:
        name, separator, value = assignment.partition(":=")
        if not separator:
            raise ConfigError(f"arguments are written NAME:=VALUE, got {assignment!r}")
        texts[name] = value
    sys.exit(run_graph(chosen.plan(texts), seconds, show=lambda line: click.echo(line)))


def view_arguments(graph_name: str, view: str | None) -> dict[str, str]:
    """What `--view` stands for. The driver's graph has no view: start the view's own beside it."""
    if view is None:
        return {}
    if graph_name in ("driver", "explainer", "adapter"):
        raise click.UsageError(
            f"--view goes with replay, simulate and view; start it beside: aln-p3 up view --view {view}"
        )
    own = {} if graph_name == "view" else {"view": "true"}
    return {**own, **{"pictures": {}, "rviz": {"rviz": "true"}, "rerun": {"rerun": "serve"}}[view]}
