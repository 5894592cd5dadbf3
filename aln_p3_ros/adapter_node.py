"""adapter_node: our plan for other stacks: Autoware's trajectory, and Ackermann commands (CARLA and others)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aln_p3.msg import PlannedTrajectory
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from aln_p3_core.errors import ConfigError
from aln_p3_core.geometry import FloatArray
from aln_p3_ros.adapter.adapter_settings import OUTPUT_PACKAGES, AdapterSettings
from aln_p3_ros.adapter.foreign_messages import ackermann_drive, autoware_trajectory
from aln_p3_ros.adapter.tracker import DriveCommand, PlanTracker
from aln_p3_ros.driving.diagnostics import ERROR, OK, WARN, diagnostics_message, status
from aln_p3_ros.driving.odometry import OdometrySample
from aln_p3_ros.messages.conversions import trajectory_points
from aln_p3_ros.messages.interfaces import message_class
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.parameters import check_changes, declare_settings, read_settings
from aln_p3_ros.qos import overridable, reliable_qos
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS


class AdapterNode(Node):
    """Publishes the plan as other packages' messages, each where its package is installed.

    Raises:
        ConfigError: when a parameter does not fit, or no package of the outputs asked for is installed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("adapter_node", **kwargs)
        declare_settings(self, AdapterSettings)
        try:
            self._settings = read_settings(self, AdapterSettings)
            self._classes = self._find_messages()
        except ConfigError:
            super().destroy_node()
            raise
        settings = self._settings
        self._tracker = PlanTracker(settings)
        self._last = DriveCommand(0.0, 0.0, 0.0, "nothing has come yet")
        self._refusal = ""
        self._trajectories = self._ackermann = None
        # Timers of the steady clock: a simulation that stands still must not silence the commands.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if "trajectory" in self._classes:
            kind = self._classes["trajectory"][0]
            self._trajectories = self._publisher(kind, settings.trajectory_output)
            self.create_timer(1.0 / settings.stop_rate_hz, self._publish_stop, clock=steady)
        if "ackermann" in self._classes:
            stamped, plain = self._classes["ackermann"]
            self._ackermann = self._publisher(
                stamped if settings.ackermann_stamped else plain, settings.ackermann_output
            )
        self.create_timer(1.0 / settings.rate_hz, self._control, clock=steady)
        self.create_timer(1.0 / settings.diagnostics_rate_hz, self._say_health, clock=steady)
        self._diagnostics = self.create_publisher(DiagnosticArray, TOPICS["diagnostics"].name, reliable_qos())
        qos = {"qos_overriding_options": overridable()}
        self.create_subscription(Odometry, TOPICS["odometry"].name, self._on_odometry, reliable_qos(50), **qos)
        self.create_subscription(PlannedTrajectory, TOPICS["trajectory"].name, self._on_plan, reliable_qos(), **qos)
        self.add_on_set_parameters_callback(self._on_parameters)

    def _publisher(self, kind: Any, topic: str) -> Any:
        return self.create_publisher(kind, topic, reliable_qos(1), qos_overriding_options=overridable())

    def _find_messages(self) -> dict[str, tuple[Any, Any]]:
        """The classes of the outputs that can be published."""
        names = {
            "trajectory": ("Trajectory", "TrajectoryPoint"),
            "ackermann": ("AckermannDriveStamped", "AckermannDrive"),
        }
        found: dict[str, tuple[Any, Any]] = {}
        missing: list[str] = []
        debian: list[str] = []
        for output in self._settings.outputs:
            package = OUTPUT_PACKAGES[output]
            first, second = (message_class(f"{package}/msg/{name}") for name in names[output])
            if first is None or second is None:
                missing.append(f"{output} needs the ROS package {package}, which is not installed here")
                debian.append(f"ros-$ROS_DISTRO-{package.replace('_', '-')}")
            else:
                found[output] = (first, second)
        how = f"apt-get install {' '.join(debian)}, or build it in your workspace"
        if not found:
            raise ConfigError(f"{'; '.join(missing)}: {how}")
        if missing:
            self.get_logger().warning(f"{'; '.join(missing)}, and is left out: {how}")
        return found

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_odometry(self, message: Odometry) -> None:
        try:
            sample = OdometrySample.from_message(message, self._settings.base_frame)
        except ValueError as error:
            self._refusal = f"odometry refused: {error}"
            return
        problem = self._tracker.add_odometry(sample, message.header.frame_id.lstrip("/"))
        wanted = self._settings.map_frame
        if wanted and wanted != self._tracker.frame:
            problem = f"odometry is in {self._tracker.frame!r}, not in map_frame {wanted!r}: trajectories are held back"
        self._refusal = problem or self._refusal

    def _on_plan(self, message: PlannedTrajectory) -> None:
        self._refusal = self._tracker.follow(message)
        if self._refusal:
            self.get_logger().warning(f"a plan is not followed: {self._refusal}", throttle_duration_sec=5.0)
            return
        stamp_ns = to_ns(message.header.stamp)
        ground = self._tracker.ground_at(stamp_ns)
        if ground is not None:
            self._publish_trajectory(message.points, stamp_ns, ground, self._tracker.speed)

    def _publish_stop(self) -> None:
        """While the plan is missing or stale: a declared stop from where the vehicle is."""
        now_ns = self._now_ns()
        if not self._tracker.trouble(now_ns):
            return
        stop = self._tracker.stop(now_ns)
        if stop is not None:
            self._publish_trajectory(trajectory_points(stop.trajectory), stop.stamp_ns, stop.ground, stop.speed)

    def _publish_trajectory(self, points: Any, stamp_ns: int, ground: FloatArray, speed: float) -> None:
        frame, wanted = self._tracker.frame, self._settings.map_frame
        if self._trajectories is None or (wanted and wanted != frame):
            return
        self._trajectories.publish(
            autoware_trajectory(
                *self._classes["trajectory"],
                points,
                stamp=to_time(stamp_ns),
                frame_id=frame,
                T_map_base=ground,
                speed=speed,
                wheelbase_m=self._settings.wheelbase_m,
            )
        )

    def _control(self) -> None:
        now_ns = self._now_ns()
        self._last = command = self._tracker.command(now_ns)
        if self._ackermann is None:
            return
        stamped_class, drive_class = self._classes["ackermann"]
        message = ackermann_drive(drive_class, command, signed=self._settings.ackermann_acceleration == "signed")
        if self._settings.ackermann_stamped:
            header = Header(stamp=to_time(now_ns), frame_id=self._settings.base_frame)
            message = stamped_class(header=header, drive=message)
        self._ackermann.publish(message)

    def _say_health(self) -> None:
        last, age_s = self._last, self._tracker.plan_age_s(self._now_ns())
        values: dict[str, object] = {
            "outputs": ", ".join(self._classes),
            "plan_age_s": age_s if age_s is not None else "",
            "speed_mps": last.speed,
            "acceleration_mps2": last.acceleration,
            "steering_rad": last.steering,
            "last_refusal": self._refusal,
        }
        if last.stopping:
            level, text = ERROR, f"stopping: {last.stopping}"
        else:
            level, text = (WARN, self._refusal) if self._refusal else (OK, "following the plan")
        entry = status(f"{self.get_name()}: tracking", level, text, values, "adapter")
        self._diagnostics.publish(diagnostics_message([entry], self.get_clock().now().to_msg()))

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        return check_changes(self, AdapterSettings, changes, configured=True)


def main(args: list[str] | None = None, parameters: Mapping[str, Any] | None = None) -> None:
    """Entry point of the executable; ends with 1 when the node cannot be made.

    Args:
        args: command line; None: the process's own.
        parameters: values that stand where the command line gives none.
    """
    spin_node("adapter_node", AdapterNode, args, parameters=parameters)


if __name__ == "__main__":
    main()
