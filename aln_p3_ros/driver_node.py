"""driver_node: six cameras in, a trajectory out. A managed (lifecycle) node.

- configure loads the model and checks settings and calibration; a failed load fails the transition, is logged and
  stays in /diagnostics, and the node is unconfigured as before;
- activate listens to the cameras and plans, in a thread of its own, on the newest camera set;
- a watchdog publishes a declared stop when there is nothing to drive on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from aln_p3.srv import Reset
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from aln_p3_core.runtime.allocator import keep_freed_memory
from aln_p3_ros.driving.driver_inputs import DriverInputs
from aln_p3_ros.driving.driver_outputs import DriverOutputs
from aln_p3_ros.driving.driver_report import DriverReport
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.faults import failed_node, no_input, quiet_seconds, slow_model
from aln_p3_ros.driving.model_loading import load_driver
from aln_p3_ros.driving.planning_loop import PlanningLoop, PlanningModel
from aln_p3_ros.managed_node import ManagedNode
from aln_p3_ros.spin import spin_node

_WATCHDOG_PERIOD_S = 0.02


class DriverNode(ManagedNode[DriverSettings, DriverReport]):
    """The driver as a managed node; topics as in `topics.TOPICS`, parameters as in `DriverSettings`.

    Args:
        driver_factory: makes the model from the settings; the real one by default.
        **kwargs: as for `rclpy.node.Node`.
    """

    def __init__(self, driver_factory: Callable[[DriverSettings], PlanningModel] = load_driver, **kwargs: Any) -> None:
        super().__init__("driver_node", DriverSettings, DriverReport, "model", **kwargs)
        self._driver_factory = driver_factory
        self._run_id = f"{time.time_ns():x}"
        self._model: PlanningModel | None = None
        self._inputs: DriverInputs | None = None
        self._outputs: DriverOutputs | None = None
        self._loop: PlanningLoop | None = None
        self._activated_ns = 0
        self._last_stop = -math.inf
        # A timer of the steady clock: a simulation that stands still must not silence the watchdog. What it compares
        # is the node's clock, so that time-outs follow simulated time; but a computation hangs in real time.
        self.create_timer(_WATCHDOG_PERIOD_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_service(Reset, "~/reset", self._on_reset)

    def _start_work(self) -> None:
        """Begins to listen to the cameras and to plan."""
        assert self._settings and self._model and self._inputs and self._outputs
        self._loop = PlanningLoop(
            self._model,
            self._inputs,
            self._outputs,
            self._settings,
            drive_id=f"{self._run_id} {time.time_ns():x}",
            now_ns=self._now_ns,
            log_error=lambda text: self.get_logger().error(text, throttle_duration_sec=2.0),
        )
        self._activated_ns, self._last_stop = self._now_ns(), -math.inf
        self._report.loop = self._loop
        self._loop.worker.start()
        self._inputs.start()

    def declare_stop(self, error: Exception) -> None:
        """The last words of a node that ends because of an error."""
        loop, outputs = self._loop, self._outputs
        if loop is not None and outputs is not None:
            loop.stop_now(failed_node(error))
            outputs.await_delivery()

    def _load(self, settings: DriverSettings) -> str:
        self._model = self._driver_factory(settings)
        if settings.warm_up_frames:
            self._report.doing = "warming up"
            self._model.warm_up(settings.warm_up_frames)
        self._inputs = DriverInputs(
            self, settings, tuple(self._model.config.cameras), self._on_camera_set, self._on_jump
        )
        self._outputs = DriverOutputs(self, settings, self._run_id, self._model.checkpoint_hash)
        self._report.model = self._model
        self._report.inputs = self._inputs
        return f"{self._model.description} ({self._model.checkpoint_hash})"

    def _stop_work(self, wait_s: float) -> None:
        loop, self._loop = self._loop, None
        if self._inputs is not None:
            self._inputs.stop()
        if loop is not None and not loop.worker.stop(wait_s):
            self.get_logger().error(f"the model is still busy after {wait_s:g} s; its result will be discarded")
            self._left_behind = loop.worker
        self._report.loop = None

    def _drop(self) -> None:
        self._report.inputs = self._report.model = None
        if self._inputs is not None:
            self._inputs.destroy()
        if self._outputs is not None:
            self._outputs.destroy()
        self._inputs = self._outputs = self._model = None

    def _apply(self, settings: DriverSettings) -> None:
        assert self._inputs and self._outputs
        self._inputs.update_settings(settings)
        self._outputs.update_settings(settings)
        loop = self._loop
        if loop is not None:
            loop.settings = settings

    def _on_camera_set(self, camera_set: Any) -> None:
        loop = self._loop
        if loop is not None:
            loop.submit(camera_set)

    def _on_jump(self, reason: str) -> None:
        loop = self._loop
        if loop is not None:
            self.get_logger().warning(f"{reason}: the memory is dropped")
            loop.start_over(reason)
            self._activated_ns = self._now_ns()

    def _watch(self) -> None:
        """Hands out camera sets that waited, notices time jumps, and stops the car when nothing comes."""
        loop, inputs, settings = self._loop, self._inputs, self._settings
        if loop is None or inputs is None or settings is None:
            return
        inputs.poll()
        # After the poll: a set that it handed out must not seem to lie in the future.
        now_ns = self._now_ns()
        if self._activated_ns == 0:
            # Simulated time begins after the node. Until it does, it stands, and so does what is compared with it.
            self._activated_ns = now_ns
        quiet_s = quiet_seconds(now_ns, self._activated_ns, loop.state.last_set_ns)
        busy_s = loop.worker.busy_s
        if quiet_s > settings.input_timeout_s:
            faults = {name: fault for name in inputs.cameras if (fault := inputs.camera_fault(name)) is not None}
            verdict = no_input(quiet_s, settings.input_timeout_s, faults)
        elif busy_s > settings.inference_timeout_s:
            verdict = slow_model(busy_s, settings.inference_timeout_s)
        else:
            return
        steady = time.monotonic()
        if steady - self._last_stop >= 1.0 / settings.stop_rate_hz:
            self._last_stop = steady
            loop.stop_now(verdict)

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        loop = self._loop
        reason = request.reason or "asked for"
        response.success = loop is not None
        if loop is None:
            response.message = "the node is not active: there is no memory to drop"
        else:
            loop.request_reset(reason)
            response.message = f"the memory is dropped before the next plan: {reason}"
        return response


def main(args: list[str] | None = None) -> None:
    """Entry point of the executable `driver_node`."""
    keep_freed_memory()
    spin_node("driver_node", DriverNode, args, on_failure=DriverNode.declare_stop)


if __name__ == "__main__":
    main()
