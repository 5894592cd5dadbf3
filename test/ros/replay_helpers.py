"""What the tests of replay, bags and graph share: a small drive, and nodes on a domain of their own."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

#: Longest wait for anything that should happen at once, seconds: a bound that only a broken program reaches.
WAIT_S = 120.0

#: Domains whose ports every system leaves free.
DOMAINS = range(1, 101)


@pytest.fixture(scope="session")
def track_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up drive of 1.1 s in the nuScenes schema: sweeps at 10 Hz, three key frames."""
    from aln_p3_core.synthetic.root import write_root

    root = tmp_path_factory.mktemp("track") / "root"
    write_root(root, seconds=1.1, size=(160, 90))
    return root


def own_domains(process: int, environment: Mapping[str, str]) -> Sequence[int]:
    """The domains of a process. Those that share a run's tests (pytest-xdist) have none in common.

    Args:
        process: its number, which says where it begins, so that runs at the same time seldom meet.
        environment: its variables.
    """
    workers = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(environment.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = DOMAINS[number % workers :: workers]
    begin = process * 13 % len(share)
    return [*share[begin:], *share[:begin]]


_DOMAINS = itertools.cycle(own_domains(os.getpid(), os.environ))


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain of this test's own, on this machine only; also for child processes.

    Not one for all tests of a process: what a test that has just ended leaves behind for a moment would be
    discovered by the next one, half of a service among it, and that service would then never count as ready.
    """
    domain = next(_DOMAINS)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return domain


class Nodes:
    """Nodes of a test in one context, spun by a thread."""

    def __init__(self, domain: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from aln_p3_ros.environment import use_dds_profile

        use_dds_profile()
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._nodes: list[Any] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def add(self, node: Any) -> Any:
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def node(self, name: str) -> Any:
        import rclpy

        return self.add(rclpy.create_node(name, context=self.context))

    def close(self) -> None:
        self._ending.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        self.context.try_shutdown()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)


@pytest.fixture
def nodes(ros_domain: int) -> Iterator[Nodes]:
    """Nodes of a test; destroyed at its end."""
    running = Nodes(ros_domain)
    yield running
    running.close()


def wait_until(condition: Callable[[], Any], what: str, limit_s: float = WAIT_S) -> Any:
    """Waits, within bounds, until something has happened, and returns what the condition gave."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit_s:g} s in vain for {what}"
        time.sleep(0.005)
    return value
