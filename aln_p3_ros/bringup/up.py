"""Runs a graph as child processes: what launch files do, where `launch_ros` is not installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.interruption import noted_signals
from aln_p3_ros.bringup.graph import GraphPlan, NodeSpec

#: How long a node may take to end after an interrupt, and again after a termination signal.
_GRACE_S = (10.0, 3.0)


class RunningGraph:
    """The processes of a plan.

    Args:
        plan: what to start.
        show: takes each line of output, prefixed with the node's name. Called from several threads.

    Raises:
        ConfigError: when a program of another package (RViz) is not installed; nothing is started then.
    """

    def __init__(self, plan: GraphPlan, show: Callable[[str], None] = print) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="aln_p3_up_")
        self._children: list[tuple[NodeSpec, subprocess.Popen[str]]] = []
        self._readers: list[threading.Thread] = []
        self.start(plan)

    def start(self, plan: GraphPlan) -> None:
        """Starts further nodes. Raises ConfigError, as the constructor."""
        commands = [(spec, self._command(spec, plan.log_level)) for spec in plan.nodes]
        environment = {**os.environ, **plan.environment, "PYTHONUNBUFFERED": "1"}
        try:
            for spec, command in commands:
                self._start(spec, command, environment)
        except BaseException:
            # Whoever is interrupted here has nothing yet to stop them with.
            self.stop()
            raise

    def wait(self, until: Callable[[], bool], poll_s: float = 0.1) -> tuple[NodeSpec, int] | None:
        """Waits until a required node ends, or `until` says so.

        Returns:
            The node that ended and its exit code, or None.
        """
        ended: set[str] = set()
        while not until():
            for spec, child in self._children:
                code = child.poll()
                if code is None or spec.name in ended:
                    continue
                if spec.required:
                    return spec, code
                ended.add(spec.name)
                self._say("up", f"{spec.name} has ended ({describe_exit(code)}); the others go on")
            time.sleep(poll_s)
        return None

    def stop(self) -> None:
        """Interrupts all nodes, last started first, and waits; those that do not end are terminated, then killed.

        None of them outlives the call, should that be interrupted too.
        """
        try:
            self._ask_to_end()
        finally:
            for spec, child in self._children:
                if child.poll() is None:
                    self._say("up", f"{spec.name} did not end and is killed")
                    child.kill()
                child.wait()
        for reader in self._readers:
            reader.join(timeout=2.0)
        self._folder.cleanup()

    def _ask_to_end(self) -> None:
        for sign, grace_s in zip((signal.SIGINT, signal.SIGTERM), _GRACE_S, strict=True):
            for _, child in reversed(self._children):
                if child.poll() is None:
                    child.send_signal(sign)
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline and any(child.poll() is None for _, child in self._children):
                time.sleep(0.05)

    def _start(self, spec: NodeSpec, command: list[str], environment: dict[str, str]) -> None:
        try:
            child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                # A Ctrl-C at the terminal reaches this process only, which then ends the nodes in order.
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(f"{spec.name} cannot be started: {error}") from error
        self._children.append((spec, child))
        reader = threading.Thread(target=self._read, args=(spec.name, child.stdout), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._say(name, line.rstrip("\n"))

    def _say(self, name: str, line: str) -> None:
        with self._lock:
            self._show(f"[{name}] {line}")

    def _command(self, spec: NodeSpec, log_level: str) -> list[str]:
        if spec.module:
            command = [sys.executable, "-m", spec.module]
        else:
            program = shutil.which(spec.executable)
            if program is None:
                raise ConfigError(f"{spec.executable} is not installed (or its ROS distribution is not sourced)")
            command = [program]
        command += [*spec.arguments, "--ros-args", "-r", f"__node:={spec.name}", "--log-level", log_level]
        chosen = self._parameter_file(f"{spec.name}_defaults", spec.defaults)
        last = self._parameter_file(spec.name, spec.parameters)
        for path in (*spec.parameter_files, chosen, *spec.user_files, last):
            command += ["--params-file", str(path)]
        for default, name in spec.remappings:
            command += ["-r", f"{default}:={name}"]
        return command

    def _parameter_file(self, name: str, parameters: Mapping[str, Any]) -> Path:
        import yaml

        path = Path(self._folder.name) / f"{name}.yaml"
        tree: dict[str, Any] = {"/**": {"ros__parameters": dict(parameters)}}
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return path


def run_graph(plan: GraphPlan, seconds: float | None = None, show: Callable[[str], None] = print) -> int:
    """Runs a plan until a required node ends, a signal comes, or the time is over.

    Args:
        plan: what to run.
        seconds: end after this long; None: no limit.
        show: takes each line of output.

    Returns:
        The exit code: 0 when the time is over, the code of the required node that ended (1 when a signal killed
        it), 130 after an interrupt, 143 after a termination signal.

    Raises:
        ConfigError: when a program is not installed.
    """
    with noted_signals() as received:
        running = RunningGraph(plan, show)
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            end = running.wait(lambda: bool(received) or (deadline is not None and time.monotonic() >= deadline))
        finally:
            running.stop()
    if end is not None:
        spec, code = end
        show(f"[up] {spec.name} has ended ({describe_exit(code)}); so has everything else")
        return code if code >= 0 else 1
    return 128 + received[0] if received else 0


def describe_exit(code: int) -> str:
    """An exit code for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
