"""The replay node's parameters: one field each. config/replay.yaml repeats them for people to edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aln_p3_core.errors import ConfigError
from aln_p3_ros.parameters import check_choices, setting
from aln_p3_ros.replay.clock import MAX_RATE, MIN_RATE
from aln_p3_ros.replay.nuscenes_timeline import COMMAND_CHOICES, NuScenesTimeline, ReplayContent

if TYPE_CHECKING:
    from aln_p3_ros.replay.timeline import Timeline


@dataclass(frozen=True)
class ReplaySettings:
    """Settings of `replay_node`; the text of each field is its parameter's description."""

    # What is replayed: a data set or a bag.
    root: str = setting("", "nuScenes-schema data set: the folder that holds v1.0-*/ and samples/.")
    bag: str = setting("", "ROS 2 bag to play instead of a data set: a folder, an .mcap or a .db3 file.")
    version: str = setting("", "Version of the data set, such as v1.0-mini. Empty: the only one there.")
    scene: str = setting("", "Name of the scene. Empty: the first.")
    bag_topics: tuple[str, ...] = setting((), "Topics of the bag to play. Empty: all.")
    bag_exclude: tuple[str, ...] = setting((), "Topics of the bag not to play, where it has them.")

    # What a scene is turned into.
    image_transport: str = setting(
        "compressed", "The files' own JPEG bytes, or decoded images.", choices=("compressed", "raw")
    )
    sweeps: bool = setting(True, "All sensor data; false: the annotated key frames only.")
    lidar: bool = setting(True, "Publish the LiDAR's points.")
    ground_truth: bool = setting(False, "Publish the annotated objects.")
    command: str = setting(
        "none", "Route command at every key frame. ground_truth peeks at the future.", choices=COMMAND_CHOICES
    )
    language: tuple[str, ...] = setting(
        (), "Language annotations to publish: files, and 'scene' for the scene's description."
    )

    # How it is played.
    rate: float = setting(1.0, "Recorded seconds per second.", minimum=MIN_RATE, maximum=MAX_RATE, live=True)
    loop: bool = setting(False, "Start over at the end. The stamps jump back.")
    loop_gap_s: float = setting(
        0.5, "Recorded time between the last message and starting over, s.", minimum=0.0, maximum=60.0
    )
    start_offset_s: float = setting(
        0.0, "Where to start, and to start over, s after the first message.", minimum=0.0, maximum=1.0e6
    )
    start_paused: bool = setting(False, "Wait for the service ~/control before playing.")
    at_end: str = setting("exit", "What to do after the last message.", choices=("exit", "idle"))
    linger_s: float = setting(
        0.5, "Stay this long after the last message before the end, s.", minimum=0.0, maximum=3600.0
    )
    clock: str = setting(
        "auto",
        "What goes to /clock: the player's time, or nothing. auto: the bag's own /clock where it has one, else the "
        "player's time.",
        choices=("auto", "player", "off"),
    )
    clock_rate_hz: float = setting(100.0, "Rate of /clock between messages, Hz.", minimum=50.0, maximum=1000.0)
    wait_for_subscribers_s: float = setting(
        5.0, "Wait this long for a subscriber on every image topic before playing, s.", minimum=0.0, maximum=3600.0
    )
    wait_for_nodes: tuple[str, ...] = setting((), "Wait instead until the nodes of these names subscribe to images.")

    def __post_init__(self) -> None:
        check_choices(self, ConfigError)
        if bool(self.root) == bool(self.bag):
            both = "both are given" if self.root else "neither is given"
            raise ConfigError(f"give either root (a nuScenes-schema data set) or bag (a ROS 2 bag): {both}")

    def timeline(self) -> Timeline:
        """Opens what is to be replayed.

        Raises:
            DataError: when it is missing or broken. ConfigError: when a setting does not fit it.
        """
        if self.bag:
            from aln_p3_ros.bags.reader import BagTimeline
            from aln_p3_ros.topics import TOPICS

            exclude = self.bag_exclude if self.clock == "auto" else (*self.bag_exclude, TOPICS["clock"].name)
            return BagTimeline(Path(self.bag).expanduser(), self.bag_topics, exclude)
        content = ReplayContent(
            raw_images=self.image_transport == "raw",
            sweeps=self.sweeps,
            lidar=self.lidar,
            ground_truth=self.ground_truth,
            command=self.command,
            language=self.language,
        )
        return NuScenesTimeline(Path(self.root).expanduser(), self.scene, self.version or None, content)
