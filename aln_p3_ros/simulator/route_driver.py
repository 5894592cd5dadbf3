"""`aln-p3 world drive --ros`: routes driven over real topics in lock-step, to the same result as without ROS."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from aln_p3_core.device import precision_name, resolve_device, resolve_precision
from aln_p3_core.errors import AlnP3Error, ConfigError
from aln_p3_core.world.closed_loop.drives import Drive
from aln_p3_core.world.closed_loop.runner import RouteResult
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.registry import PLANNERS, UNGUARDED, UNTRAINED, find_checkpoint, make_planner
from aln_p3_core.world.rig import world_rig
from aln_p3_ros.bringup.graph import GraphPlan, NodeSpec, graph, lockstep_parameters
from aln_p3_ros.bringup.up import RunningGraph, describe_exit
from aln_p3_ros.environment import use_dds_profile
from aln_p3_ros.simulator.ros_drive import Pacing, PlannerTimeoutError
from aln_p3_ros.simulator.world_topics import WorldTopics

#: Loading and warming up a model, and one plan of it, may take this long on a busy machine, s of wall clock.
_LOAD_S, _PLAN_S = 300.0, 300.0
_KEPT_LINES = 30


class RosRouteDriver:
    """Drives routes one after the other (`closed_loop.route_task.RouteDriver`).

    The world speaks on the topics of a simulator_node. A planner of the core answers on `/planning/trajectory`; a
    driver (a checkpoint, or an untrained recipe) runs in a driver_node of its own, which stays for the next route.
    """

    def __init__(self) -> None:
        self._session: _Session | None = None

    def __call__(
        self, what: Drive, planner: str, settings: DriveSettings, threads: int = 1, precision: str = "auto"
    ) -> RouteResult:
        """Drives a route.

        Args:
            what: the drive. planner: its name or checkpoint. settings: how.
            threads: CPU threads of a driver's network: results depend on it in their last digits.
            precision: of that network.

        Raises:
            AlnP3Error: when the driver ends, or gives no plan.
        """
        wanted = (planner, settings.size, threads, precision)
        if self._session is None or self._session.key != wanted:
            self.close()
            self._session = _Session(*wanted)
        try:
            return self._session.drive(what, settings)
        except BaseException:
            # Whatever went wrong, the next route begins with nodes that are sound.
            self.close()
            raise

    def close(self) -> None:
        """Ends all nodes."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


class _Session:
    """Nodes of one planner."""

    def __init__(self, planner: str, size: tuple[int, int], threads: int, precision: str) -> None:
        self.key = (planner, size, threads, precision)
        inside = planner in PLANNERS
        self._planner = make_planner(planner) if inside else None
        self._precision = "" if inside else _resolved(planner, precision)
        plan = None if inside else _driver_plan(planner, threads, self._precision)
        self._name = planner if inside or planner.startswith(UNTRAINED) else Path(planner).stem
        self._closing = threading.Event()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._ended = ""
        self._waits_for: tuple[str, ...] = ()
        _keep_to_this_machine()
        use_dds_profile()
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("simulator_node", context=self._context)
        self._world = WorldTopics(self._node, world_rig(*size), "raw", planner=self._planner)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._spinner = threading.Thread(target=self._spin, name="topics", daemon=True)
        self._spinner.start()
        self._running: RunningGraph | None = None
        self._watcher: threading.Thread | None = None
        if plan is not None:
            self._running = RunningGraph(plan, self._lines.append)
            self._watcher = threading.Thread(target=self._watch, name="driver", daemon=True)
            self._watcher.start()
            self._waits_for = ("driver_node",)

    def drive(self, what: Drive, settings: DriveSettings) -> RouteResult:
        """Drives a route."""
        looks = self._planner is None or self._planner.needs_images
        images = looks if settings.images is None else settings.images
        if self._waits_for:
            self._world.await_listeners(self._waits_for, _LOAD_S, self._closing)
            self._waits_for = ()
        result = None
        if not self._closing.is_set():
            try:
                result = self._world.drive(
                    what,
                    settings,
                    Pacing(lockstep=True, plan_timeout_s=_PLAN_S),
                    images=images,
                    planner_name=self._name if self._planner is None else self._planner.name,
                    closing=self._closing,
                )
            except PlannerTimeoutError as error:
                raise PlannerTimeoutError(f"{error}{self._last_words()}") from error
        if result is None or self._ended:
            raise AlnP3Error(f"{self._ended}{self._last_words()}")
        return replace(result, precision=self._precision)

    def _last_words(self) -> str:
        """Of the driver's log; a planner of the core has none."""
        return "; its last words:\n" + "\n".join(self._lines) if self._lines else ""

    def close(self) -> None:
        """Ends the driver, then this side."""
        self._closing.set()
        self._world.wake()
        if self._watcher is not None:
            self._watcher.join()
        if self._running is not None:
            self._running.stop()
        self._executor.shutdown()
        self._spinner.join()
        self._world.close()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        try:
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            self._closing.set()

    def _watch(self) -> None:
        assert self._running is not None
        ended = self._running.wait(self._closing.is_set)
        if ended is not None:
            spec, code = ended
            self._ended = f"{spec.name} ended ({describe_exit(code)})"
            self._closing.set()


def _resolved(planner: str, precision: str) -> str:
    """The precision that a driver on this machine takes, so that the node and the report speak of the same one."""
    if precision != "auto":
        return precision
    if not planner.startswith(UNTRAINED) and find_checkpoint(planner).suffix in (".onnx", ".pt2"):
        return "fp32"
    return precision_name(resolve_precision(precision, resolve_device()))


def _driver_plan(planner: str, threads: int, precision: str) -> GraphPlan:
    """The driver's graph for lock-step: raw images, none lost, no plan too late."""
    if planner.startswith(UNGUARDED):
        raise ConfigError(f"{planner}: driver_node always has its guard; drive without --ros")
    texts = {"use_sim_time": "true", "image_transport": "raw", "precision": precision}
    if planner.startswith(UNTRAINED):
        texts["recipe"] = planner.removeprefix(UNTRAINED)
    else:
        texts["checkpoint"] = str(find_checkpoint(planner))
    plan = graph("driver").plan(texts)
    patience = lockstep_parameters("raw")

    def patient(spec: NodeSpec) -> NodeSpec:
        return replace(spec, parameters={**spec.parameters, **patience}) if spec.name == "driver_node" else spec

    environment: Mapping[str, Any] = {**plan.environment, "OMP_NUM_THREADS": str(threads)}
    return replace(plan, nodes=tuple(map(patient, plan.nodes)), environment=environment, log_level="info")


def _keep_to_this_machine() -> None:
    """A domain of this process's own, unless the user has chosen one: nobody else's plans may come in."""
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
