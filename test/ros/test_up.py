"""`aln-p3 up`: real graphs as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from replay_helpers import wait_until

from aln_p3_core.errors import ConfigError
from aln_p3_ros.bringup import up
from aln_p3_ros.bringup.graph import GRAPHS, GraphPlan, NodeSpec, graph
from aln_p3_ros.bringup.up import RunningGraph, run_graph
from aln_p3_ros.commands.up import command, view_arguments
from aln_p3_ros.resources import share_path

pytestmark = pytest.mark.usefixtures("ros_domain")


def replay_plan(root: Path, **texts: str) -> GraphPlan:
    return graph("replay").plan({"root": str(root), "wait_for_subscribers": "0.1", "rate": "5", **texts})


def program(name: str, code: str, *, required: bool = True) -> NodeSpec:
    """A Python program in the place of a node: it ends as the code says."""
    return NodeSpec(name, sys.executable, "", arguments=("-c", code), required=required)


def test_a_replay_ends_by_itself_and_its_output_bears_its_name(track_root):
    lines: list[str] = []
    assert run_graph(replay_plan(track_root), show=lines.append) == 0
    assert any(line.startswith("[replay_node]") and "the replay is over" in line for line in lines)
    assert lines[-1].startswith("[up] replay_node has ended (exit code 0)")


def test_time_ends_a_graph_that_would_go_on(track_root):
    assert run_graph(replay_plan(track_root, loop="true"), seconds=3.0, show=lambda line: None) == 0


def test_data_that_is_not_there_ends_everything_with_the_reason(tmp_path):
    lines: list[str] = []
    assert run_graph(replay_plan(tmp_path / "gone", view="true"), show=lines.append) == 1
    assert any("gone" in line for line in lines)


def test_the_code_of_the_required_node_is_returned_and_the_others_end():
    stays = program("stays", "import time; time.sleep(600)")
    fails = program("fails", "import sys; print('no model'); sys.exit(7)")
    lines: list[str] = []
    assert run_graph(GraphPlan((stays, fails), {}, "info"), show=lines.append) == 7
    assert "[fails] no model" in lines


def test_an_optional_node_may_end():
    lines: list[str] = []
    plan = GraphPlan((program("extra", "pass", required=False), program("main", "input()")), {}, "info")
    code = run_graph(plan, show=lines.append)
    assert code == 1  # input() without a terminal: the required one ended
    stays = program("main", "import time; time.sleep(600)")
    plan = GraphPlan((program("extra", "pass", required=False), stays), {}, "info")
    assert run_graph(plan, seconds=2.0, show=lines.append) == 0
    assert "[up] extra has ended (exit code 0); the others go on" in lines


def test_parameters_and_names_reach_the_node(tmp_path):
    code = (
        "import rclpy, sys; from rclpy.node import Node; rclpy.init(args=sys.argv)\n"
        "node = Node('x', automatically_declare_parameters_from_overrides=True)\n"
        "print({name: p.value for name, p in node._parameters.items() if name != 'use_sim_time'}, sys.argv)"
    )
    files = [tmp_path / f"{name}.yaml" for name in ("own", "users")]
    for file, size in zip(files, (1, 3), strict=True):
        file.write_text(f"/**: {{ros__parameters: {{size: {size}, rate: 9.0, old: {size}, kept: {size}}}}}")
    files[1].write_text(files[1].read_text().replace("kept: 3", "new: 3"))
    spec = NodeSpec(
        "odd_name", sys.executable, "", parameters={"rate": 2.0, "scene": "1", "names": ["a"]},
        parameter_files=(files[0],), defaults={"size": 2, "chosen": 2, "old": 2}, user_files=(files[1],),
        remappings=(("/a", "/b"),), arguments=("-c", code),
    )  # fmt: skip
    lines: list[str] = []
    run_graph(GraphPlan((spec,), {}, "debug"), show=lines.append)
    text = "\n".join(lines)
    assert "'rate': 2.0" in text
    assert "'scene': '1'" in text  # stays a string
    # The package's file, what the graph chose, the user's file, what was asked for: the later stands above.
    for part in ("'size': 3", "'chosen': 2", "'old': 3", "'kept': 1", "'new': 3"):
        assert part in text, text
    for part in ("__node:=odd_name", "/a:=/b", "debug"):
        assert part in text


def test_a_program_that_is_not_installed_stops_before_anything_starts():
    started: list[str] = []
    missing = NodeSpec("x", "no-such-program", "", package="x")
    plan = GraphPlan((program("first", "print('started')"), missing), {}, "info")
    with pytest.raises(ConfigError, match="no-such-program is not installed"):
        RunningGraph(plan, started.append)
    assert started == []


@pytest.mark.parametrize("when", ["while they start", "while they end"])
def test_no_node_outlives_an_interrupt(monkeypatch: pytest.MonkeyPatch, when: str):
    """Neither one that comes before anybody could stop them, nor a second one, while they are waited for."""
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); "
    sleep = "import time; time.sleep(600)"
    started: list[subprocess.Popen[str]] = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Popen)
    lines: list[str] = []
    if when == "while they start":
        monkeypatch.setattr(threading, "Thread", interrupt)
        with pytest.raises(KeyboardInterrupt):
            RunningGraph(GraphPlan((program("stays", sleep),), {}, "info"), lines.append)
    else:
        running = RunningGraph(GraphPlan((program("stays", ignore + sleep),), {}, "info"), lines.append)
        wait_until(lambda: "[stays] ready" in lines, "the program")
        monkeypatch.setattr(up.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            running.stop()
    (child,) = started
    assert child.poll() is not None


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_and_its_nodes(track_root, tmp_path, sign, code):
    log = tmp_path / "log"
    arguments = ["replay", f"root:={track_root}", "loop:=true", "wait_for_subscribers:=0.1"]
    with log.open("w") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "aln_p3_ros", "up", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )
        try:
            wait_until(lambda: "looping" in log.read_text(), "the replay")
            processes = children_of(child.pid)
            assert len(processes) == 1
            child.send_signal(sign)
            assert child.wait(60) == code, log.read_text()
        finally:
            child.kill()
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.slow
def test_the_whole_graph_publishes_every_topic_of_the_rviz_file(nodes, track_root):
    from test_graph import rviz_topics

    plan = replay_plan(track_root, driver="true", view="true", ground_truth="true", loop="true")
    lines: list[str] = []
    node = nodes.node("observer")
    running = RunningGraph(plan, lines.append)
    try:
        published = {topic: lambda t=topic: bool(node.get_publishers_info_by_topic(t)) for topic in rviz_topics()}
        wait_until(
            lambda: all(check() for check in published.values()),
            f"publishers of {[topic for topic, check in published.items() if not check()]}",
        )
    finally:
        running.stop()
    assert share_path("rviz", "aln_p3.rviz").is_file()


@pytest.mark.parametrize(
    ("graph_name", "view", "expected"),
    [
        ("replay", None, {}),
        ("replay", "pictures", {"view": "true"}),
        ("replay", "rerun", {"view": "true", "rerun": "serve"}),
        ("view", "rviz", {"rviz": "true"}),
    ],
)
def test_the_view_option_is_short_for_arguments(graph_name, view, expected):
    arguments = view_arguments(graph_name, view)
    assert arguments == expected
    known = {argument.name for argument in GRAPHS[graph_name].arguments}
    assert set(arguments) <= known


def test_the_driver_alone_has_no_view():
    result = CliRunner().invoke(command, ["driver", "--view", "rerun"])
    assert result.exit_code == 2
    assert "aln-p3 up view" in result.output
