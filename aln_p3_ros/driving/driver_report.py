"""/diagnostics of the driver node: what is published, from whatever parts exist at the moment."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from aln_p3_core.frame import CommandProvenance
from aln_p3_ros.driving import diagnostics
from aln_p3_ros.driving.driver_inputs import DriverInputs
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.planning_loop import PlanningLoop, PlanningModel
from aln_p3_ros.managed_node import HealthReport


class DriverReport(HealthReport[DriverSettings]):
    """The driver node's health.

    Attributes:
        model, inputs, loop: parts that exist at the moment, else None.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.model: PlanningModel | None = None
        self.inputs: DriverInputs | None = None
        self.loop: PlanningLoop | None = None

    def _statuses(self, settings: DriverSettings | None, now_ns: int) -> list[DiagnosticStatus]:
        statuses = [self._model_status()]
        inputs, loop = self.inputs, self.loop
        if inputs is not None and settings is not None and loop is not None:
            statuses += [
                self._planning_status(loop, inputs, now_ns),
                *self._camera_statuses(inputs, now_ns),
                self._odometry_status(inputs, now_ns, settings.camera_timeout_s),
                self._command_status(inputs, now_ns),
                self._memory_status(loop),
                self._guard_status(loop),
                self._latency_status(loop, inputs),
            ]
        return statuses

    def _model_status(self) -> DiagnosticStatus:
        model = self.model
        if self.failure:
            return self._status("model", diagnostics.ERROR, self.failure, {})
        if model is None:
            return self._status("model", diagnostics.STALE, self.doing or "not configured", {})
        values: dict[str, object] = {"recipe": model.config.name, "checkpoint": model.checkpoint_hash}
        for name in ("device", "precision"):
            if hasattr(model, name):
                values[name] = getattr(model, name)
        return self._status("model", diagnostics.OK, f"{self.doing}: {model.description}", values)

    def _planning_status(self, loop: PlanningLoop, inputs: DriverInputs, now_ns: int) -> DiagnosticStatus:
        state = loop.state
        values = {
            "plan_id": state.plan_id,
            "plans": loop.latency.count,
            "camera_sets_dropped": loop.worker.dropped + inputs.passed_over,
            "discarded": state.discarded,
            "busy_s": loop.worker.busy_s,
        }
        if now_ns == 0:
            message = "no plan: the clock has not begun; use_sim_time is set, and nobody publishes /clock"
            return self._status("planning", diagnostics.ERROR, message, values)
        return diagnostics.planning_status(f"{self._name}: planning", state.degradation, values, self._hardware_id)

    def _camera_statuses(self, inputs: DriverInputs, now_ns: int) -> list[DiagnosticStatus]:
        return [
            diagnostics.camera_status(
                f"{self._name}: camera {name}",
                inputs.sync.states[name],
                inputs.camera_fault(name),
                inputs.rig.warning(name),
                now_ns,
                self._hardware_id,
            )
            for name in inputs.cameras
        ]

    def _odometry_status(self, inputs: DriverInputs, now_ns: int, limit_s: float) -> DiagnosticStatus:
        newest = inputs.odometry.newest_stamp_ns
        speed = inputs.speed  # read once: another thread may forget it meanwhile
        values: dict[str, object] = {"speed_mps": "unknown" if speed is None else speed}
        problem = inputs.odometry_problem or ("no odometry has come" if newest is None else "")
        if newest is not None:
            age_s = (now_ns - newest) * 1e-9
            values["age_s"] = age_s
            if age_s > limit_s:
                problem = f"the newest odometry is {age_s:.1f} s old"
        return self._status("odometry", diagnostics.WARN if problem else diagnostics.OK, problem or "well", values)

    def _command_status(self, inputs: DriverInputs, now_ns: int) -> DiagnosticStatus:
        command = inputs.command(now_ns)
        default = command.provenance is CommandProvenance.DEFAULT
        message = f"{command.command.name.lower()} ({command.provenance.value})"
        return self._status("command", diagnostics.OK, message, {"default": default})

    def _memory_status(self, loop: PlanningLoop) -> DiagnosticStatus:
        state = loop.state
        age_s = state.history_age_s  # read once: the planning thread may set it meanwhile
        age = "none" if age_s is None else f"{age_s:.3f}"
        message = "starting afresh" if age_s is None else f"{age} s old"
        values = {"history_age_s": age, "resets": state.memory_resets, "last_reset": state.last_reset}
        return self._status("memory", diagnostics.OK, message, values)

    def _guard_status(self, loop: PlanningLoop) -> DiagnosticStatus:
        message = loop.state.guard or "the plan is the network's own"
        return self._status("guard", diagnostics.OK, message, {"guarded_plans": loop.state.guarded})

    def _latency_status(self, loop: PlanningLoop, inputs: DriverInputs) -> DiagnosticStatus:
        values = {"plans": loop.latency.count}
        return diagnostics.latency_status(f"{self._name}: latency", loop.latency, values, self._hardware_id)
