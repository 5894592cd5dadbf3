"""simulator_node: the embedded world as ROS 2 topics, driven by whoever publishes trajectories."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aln_p3.srv import Reset
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from aln_p3_core.calibration import load_calibration
from aln_p3_core.errors import AlnP3Error, ConfigError
from aln_p3_core.whole_files import write_json
from aln_p3_core.world.closed_loop.drives import Drive, name_drive
from aln_p3_core.world.closed_loop.route_task import PROTOCOL
from aln_p3_core.world.closed_loop.runner import RouteResult
from aln_p3_core.world.planners.registry import make_planner
from aln_p3_core.world.rig import world_rig
from aln_p3_ros.driving.diagnostics import ERROR, OK, WARN, diagnostics_message, status
from aln_p3_ros.parameters import check_changes, declare_settings, read_settings
from aln_p3_ros.qos import latched_qos, reliable_qos
from aln_p3_ros.simulator.drives import drives_of
from aln_p3_ros.simulator.ros_drive import Pacing
from aln_p3_ros.simulator.simulator_settings import SimulatorSettings
from aln_p3_ros.simulator.world_topics import WorldTopics
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS

_STALE_PLAN_S = 2.0
_WALL_PARTS = ("setup_s", "simulation_s", "rendering_s", "measures_s", "publishing_s", "planner_s")


class SimulatorNode(Node):
    """Drives its list of drives, and offers the service `~/reset` (aln_p3/srv/Reset): the next drive, at once.

    Attributes:
        finished: set when the node has nothing more to do.
        failure: why it ended early, or None.
        results: of the drives that have ended.

    Raises:
        AlnP3Error: when a parameter does not fit, or the cameras cannot be rendered here.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("simulator_node", **kwargs)
        declare_settings(self, SimulatorSettings)
        try:
            self._settings = read_settings(self, SimulatorSettings)
            _require_rendering()
            self._drives = drives_of(self._settings)
            self._rig = (
                load_calibration(Path(self._settings.calibration_file).expanduser())
                if self._settings.calibration_file
                else world_rig(*self._settings.image_size)
            )
            self._planner = make_planner(self._settings.autopilot) if self._settings.autopilot else None
        except AlnP3Error:
            super().destroy_node()
            raise
        self.finished, self._closing, self._next = threading.Event(), threading.Event(), threading.Event()
        self.failure: AlnP3Error | None = None
        self.results: list[RouteResult] = []
        settings = self._settings
        self._world = WorldTopics(
            self, self._rig, settings.image_transport, planner=self._planner, ground_truth=settings.ground_truth
        )
        self._results = self.create_publisher(String, TOPICS["drive_result"].name, latched_qos(depth=100))
        self._diagnostics = self.create_publisher(DiagnosticArray, TOPICS["diagnostics"].name, reliable_qos())
        # In steady time: diagnostics must come when simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / settings.diagnostics_rate_hz, self._say_health, clock=steady)
        self.create_service(Reset, "~/reset", self._on_reset)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def start(self) -> None:
        """Drives, once the wait for listeners is over."""
        self._thread.start()

    def destroy_node(self) -> None:
        """Ends the drive and waits for its thread, then destroys the node."""
        self._closing.set()
        self._next.set()
        self._world.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._world.close()
        super().destroy_node()

    def _run(self) -> None:
        try:
            self._drive_all()
        except AlnP3Error as error:
            self._fail(error)
        except Exception as error:
            # Whatever goes wrong in this thread must end the node, instead of leaving it silent.
            self.get_logger().error(traceback.format_exc())
            self._fail(AlnP3Error(f"the simulation failed: {type(error).__name__}: {error}"))

    def _fail(self, error: AlnP3Error) -> None:
        if not self._closing.is_set():
            self.get_logger().fatal(str(error))
            self.failure = error
        self.finished.set()

    def _drive_all(self) -> None:
        settings = self._settings
        self._world.await_listeners(settings.wait_for_nodes, settings.wait_for_subscribers_s, self._closing)
        while not self._closing.is_set():
            for drive in self._drives:
                if self._closing.is_set():
                    return
                self._drive_one(drive)
            if settings.at_end == "loop":
                continue
            self._world.drain()
            self._closing.wait(settings.linger_s)
            if settings.at_end == "exit":
                self.get_logger().info("all drives are over")
                self.finished.set()
                return
            self._next.clear()
            if not self._closing.is_set():
                self._next.wait()

    def _drive_one(self, drive: Drive) -> None:
        settings = self._settings
        self._next.clear()
        if self._closing.is_set():  # set just before the other was cleared
            return
        self.get_logger().info(f"driving {name_drive(drive)['name']}")
        result = self._world.drive(
            drive,
            settings.drive_settings(),
            _pacing(settings),
            planner_name=settings.autopilot or "ros",
            closing=self._next,
        )
        self._finish(result)

    def _finish(self, result: RouteResult) -> None:
        self.results.append(result)
        content, name = result.to_json(), str(result.identity["name"])
        if self.context.ok():
            self._results.publish(String(data=json.dumps(content)))
        measures, timing = content["measures"], content["timing"]
        self.get_logger().info(
            f"{name}: {measures['status'].replace('_', ' ')}, driving score {measures['driving_score']:.1f}, route "
            f"{measures['route_completion']:.0f} %, {len(measures['infractions'])} infractions; "
            f"{timing['episode_s']:.1f} s in {sum(v for k, v in timing.items() if k in _WALL_PARTS):.1f} s of work"
        )
        if not self._settings.report:
            return
        folder = Path(self._settings.report).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        if result.trace is not None:
            result.trace.save(folder / f"{name}.npz")
        # As `aln-p3 world drive` writes it; which weights made the plans is known to who made them.
        report = {"protocol": PROTOCOL, "planner_name": result.planner, "checkpoint_hash": "", "threads": 1}
        write_json(folder / f"{name}.json", report | content)

    def _say_health(self) -> None:
        drive = self._world.current
        level, message = OK, "between two drives"
        values: dict[str, object] = {}
        if drive is not None:
            values = {
                "drive": self._world.name,
                "time_s": drive.time_s,
                "plans_followed": drive.followed,
                "plans_refused": drive.refused,
                "last_refusal": drive.refusal,
            }
            last = drive.last_plan_stamp_s
            if last is None:
                level, message = WARN, "no trajectory has come; the vehicle is held"
            elif drive.time_s - last > _STALE_PLAN_S:
                level, message = ERROR, f"the last trajectory is {drive.time_s - last:.1f} s old"
            else:
                message = "driving"
        entry = status(f"{self.get_name()}: drive", level, message, values, "simulator")
        self._diagnostics.publish(diagnostics_message([entry], self.get_clock().now().to_msg()))

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        response.success = True
        response.message = f"{self._world.name} ends here" if self._world.current else "the next drive begins"
        self.get_logger().info(f"reset asked for: {request.reason or 'no reason given'}")
        self._next.set()
        return response

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        return check_changes(self, SimulatorSettings, changes, configured=True)


def _pacing(settings: SimulatorSettings) -> Pacing:
    rate = settings.rate if settings.time_mode == "real_time" else None
    return Pacing(settings.time_mode == "lockstep", rate, settings.plan_timeout_s)


def _require_rendering() -> None:
    from aln_p3_core.world.render.available import rendering_problem

    problem = rendering_problem()
    if problem:
        raise ConfigError(f"the world's cameras cannot be rendered here: {problem}")


def main(args: list[str] | None = None, parameters: Mapping[str, Any] | None = None) -> None:
    """Entry point of the executable; ends with 1 when a drive cannot be run.

    Args:
        args: command line; None: the process's own.
        parameters: values that stand where the command line gives none.
    """

    def started(**kwargs: Any) -> SimulatorNode:
        node = SimulatorNode(**kwargs)
        node.start()
        return node

    node = spin_node("simulator_node", started, args, parameters=parameters, until=lambda node: node.finished.is_set())
    sys.exit(1 if node.failure else 0)


if __name__ == "__main__":
    main()
