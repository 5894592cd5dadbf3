"""The adapter node's parameters: one field each. config/adapter.yaml repeats them for people to edit."""

from __future__ import annotations

from dataclasses import dataclass

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.ego import MAX_ACCELERATION, MAX_BRAKING, MAX_STEERING_RAD, WHEELBASE_M
from aln_p3_ros.parameters import check_choices, setting

#: Output -> package that holds its message.
OUTPUT_PACKAGES = {"trajectory": "autoware_planning_msgs", "ackermann": "ackermann_msgs"}


@dataclass(frozen=True)
class AdapterSettings:
    """Settings of `adapter_node`; the text of each field is its parameter's description."""

    # What is published. An output whose message package is not installed is left out with a warning.
    outputs: tuple[str, ...] = setting(
        ("trajectory", "ackermann"), "What to publish: trajectory (Autoware's), ackermann, or both."
    )
    trajectory_output: str = setting(
        "/planning/scenario_planning/trajectory", "Topic of autoware_planning_msgs/Trajectory."
    )
    ackermann_output: str = setting("/carla/ego_vehicle/ackermann_cmd", "Topic of the Ackermann command.")
    ackermann_stamped: bool = setting(
        False, "Publish ackermann_msgs/AckermannDriveStamped instead of AckermannDrive (which CARLA's bridge takes)."
    )
    ackermann_acceleration: str = setting(
        "magnitude",
        "How the command's acceleration is written: magnitude, never negative, as the message is defined; or signed, "
        "negative when braking, as CARLA's carla_ackermann_control reads it.",
        choices=("magnitude", "signed"),
    )
    rate_hz: float = setting(20.0, "Rate of the Ackermann command, Hz (wall clock).", minimum=1.0, maximum=100.0)

    # Frames.
    base_frame: str = setting("base_link", "Frame of the vehicle in the plan: rear axle on the ground.")
    map_frame: str = setting(
        "", "Frame that the trajectory is published in. Empty: that of the odometry, which it must be equal to."
    )

    # The vehicle.
    wheelbase_m: float = setting(
        WHEELBASE_M, "Wheelbase, m: turns curvature into a wheel angle.", minimum=0.5, maximum=20.0
    )
    max_steering_rad: float = setting(MAX_STEERING_RAD, "Largest wheel angle, rad.", minimum=0.05, maximum=1.5)
    max_acceleration_mps2: float = setting(
        MAX_ACCELERATION, "Most that is asked for to go faster, m/s^2.", minimum=0.1, maximum=10.0
    )
    max_braking_mps2: float = setting(
        MAX_BRAKING, "Most that is asked for to go slower, while a plan is followed, m/s^2.", minimum=0.5, maximum=12.0
    )

    # When to stop. Times are in the node's clock.
    plan_timeout_s: float = setting(1.0, "A plan older than this gives a declared stop, s.", minimum=0.1, maximum=10.0)
    odometry_timeout_s: float = setting(
        0.5, "Odometry older than this gives a declared stop, s.", minimum=0.02, maximum=5.0
    )
    stop_deceleration_mps2: float = setting(3.0, "Braking of a declared stop, m/s^2.", minimum=0.1, maximum=10.0)
    stop_rate_hz: float = setting(
        5.0, "Rate of stop trajectories while there is no plan to publish, Hz (wall clock).", minimum=0.5, maximum=50.0
    )
    diagnostics_rate_hz: float = setting(2.0, "Rate of /diagnostics, Hz.", minimum=0.5, maximum=50.0)

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        strangers = [name for name in self.outputs if name not in OUTPUT_PACKAGES]
        if strangers or not self.outputs:
            raise ConfigError(f"outputs must name some of {', '.join(OUTPUT_PACKAGES)}, got {list(self.outputs)}")
