"""The simulator node's parameters: one field each. config/simulator.yaml repeats them for people to edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.settings import RATES_HZ, DriveSettings
from aln_p3_core.world.rig import SIZES
from aln_p3_core.world.weather import Condition
from aln_p3_ros.parameters import check_choices, setting

_SIZE_NAMES = tuple(f"{width}x{height}" for width, height in SIZES)
CITY_SPLITS = ("train", "val", "heldout", "mini")


@dataclass(frozen=True)
class SimulatorSettings:
    """Settings of `simulator_node`; the text of each field is its parameter's description."""

    # What is driven: a set of routes, a recorded log, or one scenario.
    routes: str = setting("", "Set of routes to drive one after the other, such as quick or all.")
    log: str = setting("", "Recorded log (.npz) to drive in instead.")
    log_mode: str = setting(
        "replay", "Others of a log move as recorded, or react once the ego departs.", choices=("replay", "react")
    )
    scenario: str = setting("free_driving", "Scenario, when neither routes nor log is given.")
    city: str = setting("", "City of the scenario. Empty: the first of the split.")
    split: str = setting("val", "Split whose cities and seeds are used.", choices=CITY_SPLITS)
    seed: int = setting(0, "Seed of everything that is drawn by lot.", minimum=0, maximum=2**31 - 1)
    condition: str = setting(
        "",
        "Light and weather of the scenario or log. Empty: drawn from the seed, day for a log.",
        choices=("", *(condition.value for condition in Condition)),
    )
    duration_s: float = setting(
        0.0, "A drive ends after this long, s. 0: as its scenario or recording says.", minimum=0.0, maximum=3600.0
    )
    blocked_after_s: float = setting(
        30.0, "A drive without progress ends after so long, s.", minimum=1.0, maximum=3600.0
    )
    at_end: str = setting(
        "exit",
        "After the last drive: end the node, start over, or stand and wait for ~/reset.",
        choices=("exit", "loop", "idle"),
    )

    # Time.
    time_mode: str = setting(
        "real_time",
        "real_time keeps to the wall clock (times `rate`), fast does not wait at all, lockstep waits after every "
        "set of images for the plan of just that set: the same result every time.",
        choices=("real_time", "fast", "lockstep"),
    )
    rate: float = setting(1.0, "Simulated seconds per second in real_time.", minimum=0.01, maximum=100.0)
    plan_timeout_s: float = setting(
        30.0,
        "In lockstep, wait this long (wall clock) for a plan; then the drive ends as failed.",
        minimum=0.1,
        maximum=3600.0,
    )

    # Cameras.
    camera_rate_hz: int = setting(10, f"Sets of images a second; one of {RATES_HZ}.", minimum=1, maximum=20)
    size: str = setting("400x225", "Size of the images.", choices=_SIZE_NAMES)
    image_transport: str = setting("compressed", "JPEG, or raw images.", choices=("compressed", "raw"))
    calibration_file: str = setting("", "Cameras of another rig (JSON or YAML). Empty: the world's own.")
    ground_truth: bool = setting(False, "Publish everybody around with every set of images.")

    # Who drives.
    autopilot: str = setting(
        "", "Planner that publishes the trajectory from inside, such as expert. Empty: somebody else does."
    )
    wait_for_nodes: tuple[str, ...] = setting((), "Wait until the nodes of these names subscribe to images.")
    wait_for_subscribers_s: float = setting(
        5.0, "Wait this long for a subscriber on every image topic before driving, s.", minimum=0.0, maximum=3600.0
    )
    linger_s: float = setting(0.5, "Stay this long after the last drive before the end, s.", minimum=0.0, maximum=60.0)

    # What is left behind.
    report: str = setting("", "Folder for results and traces of the drives. Empty: none.")
    diagnostics_rate_hz: float = setting(2.0, "Rate of /diagnostics, Hz.", minimum=0.5, maximum=50.0)

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        if self.routes and self.log:
            raise ConfigError("give either routes or log, not both")
        self.drive_settings()
        if self.log and not Path(self.log).expanduser().is_file():
            raise ConfigError(f"there is no recorded log {self.log}")

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the images, pixels."""
        width, _, height = self.size.partition("x")
        return int(width), int(height)

    def drive_settings(self) -> DriveSettings:
        """How drives are run and measured. Raises ConfigError for a rate that does not fit."""
        limit = self.duration_s or None
        return DriveSettings(
            rate_hz=self.camera_rate_hz,
            size=self.image_size,
            images=True,
            time_limit_s=limit,
            blocked_after_s=self.blocked_after_s,
        )
