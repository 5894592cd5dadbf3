"""The arguments of every graph, as `aln-p3 up NAME key:=value` and the launch files take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_ros.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a graph, given as `name:=value`.

    Attributes:
        name: as it is typed.
        default: text; "" means not set.
        about: one line for people.
        kind: str, bool, int or float: what the text stands for.
        choices: what it may be; empty where anything fits.
    """

    name: str
    default: str
    about: str
    kind: type = str
    choices: tuple[str, ...] = ()

    def value(self, text: str) -> Any:
        """The typed value of a text. Raises ConfigError."""
        if self.choices and text not in self.choices:
            raise ConfigError(f"{self.name} must be one of {', '.join(self.choices)}, got {text!r}")
        if self.kind is bool:
            words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if text.lower() not in words:
                raise ConfigError(f"{self.name} must be true or false, got {text!r}")
            return words[text.lower()]
        if self.kind in (int, float):
            try:
                return self.kind(text)
            except ValueError as error:
                number = "a whole number" if self.kind is int else "a number"
                raise ConfigError(f"{self.name} must be {number}, got {text!r}") from error
        return text


SHARED = (
    Argument("topics", "nuscenes_replay", "Topic set: a name in config/topics/, or the path of a YAML file."),
    Argument("log_level", "info", "Least severe log messages shown.", choices=("debug", "info", "warn", "error")),
    *(
        Argument(f"{key}_topic", "", f"Topic name of {key} ({topic.about}) instead of the topic set's.")
        for key, topic in TOPICS.items()
    ),
)
SIM_TIME = Argument("use_sim_time", "false", "Nodes follow /clock (a replay or simulator).", bool)
TRANSPORT = Argument("image_transport", "", "compressed or raw; empty: as the topic set says.")
DRIVER = (
    Argument("driver_params", "", "YAML file with parameters of driver_node, over config/driver.yaml."),
    Argument("checkpoint", "", "The driver: nano, which ships, or a checkpoint's or exported file; empty: nano."),
    Argument("recipe", "", "Run this recipe untrained instead: nano, tiny or base."),
    Argument("device", "", "auto, cpu, cuda or cuda:N."),
    Argument("precision", "", "auto, fp32, bf16 or fp16."),
)
#: Of the graphs with a driver or a view.
CALIBRATION = Argument("calibration_file", "", "Calibration of the rig instead of CameraInfo and /tf_static.")
_EXPLAINER_PARAMS = Argument("explainer_params", "", "YAML file with parameters of explainer_node.")
#: Of the graphs that start the explainer on request.
WITH_EXPLAINER = (
    Argument("explainer", "", "Also start the explainer: nano, where it ships, or an explainer's file; empty: none."),
    _EXPLAINER_PARAMS,
)
EXPLAINER = (
    Argument("explainer", "", "The explainer: nano, where it ships, or an explainer's file; empty: nano."),
    Argument("explainer_device", "", "Where it runs: auto, cpu, cuda or cuda:N; empty: as explainer_params says."),
    _EXPLAINER_PARAMS,
)
VIEW = (
    Argument("view_params", "", "YAML file with parameters of view_node."),
    Argument("view_folder", "", "Folder in which the view writes its pictures as files."),
    Argument(
        "rerun",
        "",
        "Rerun viewer: off, record (a .rrd file) or serve (a page); empty: as view_params says.",
        choices=("", "off", "record", "serve"),
    ),
    Argument("rviz", "false", "Also start RViz with rviz/aln_p3.rviz, in the frames of the topic set.", bool),
)
REPLAY = (
    Argument("root", "", "nuScenes-schema data set to replay; either this or bag."),
    Argument("bag", "", "ROS 2 bag to play; either this or root."),
    Argument("scene", "", "Name of the scene; empty: the first."),
    Argument("version", "", "Version of the data set, such as v1.0-mini; empty: detected."),
    Argument("rate", "1.0", "Recorded seconds per second.", float),
    Argument("loop", "false", "Start over at the end.", bool),
    Argument("start_offset", "0.0", "Start this far into the recording, s.", float),
    Argument("paused", "false", "Wait for the service /replay_node/control.", bool),
    Argument("at_end", "exit", "After the last message.", choices=("exit", "idle")),
    Argument("ground_truth", "false", "Publish the annotated objects.", bool),
    Argument("command", "none", "Route command: none, right, left, straight or ground_truth."),
    Argument("wait_for_subscribers", "", "Longest wait for image subscribers, s; empty: 5, with driver or view 300."),
    Argument("replay_params", "", "YAML file with parameters of replay_node, over config/replay.yaml."),
    Argument("driver", "false", "Also start the driver.", bool),
    Argument("view", "false", "Also start the view.", bool),
)
SIMULATE = (
    Argument("routes", "", "Set of routes to drive, such as quick or all."),
    Argument("log", "", "Recorded log (.npz) to drive in."),
    Argument("log_mode", "replay", "Others of a log move as recorded, or react.", choices=("replay", "react")),
    Argument("scenario", "free_driving", "Scenario, when neither routes nor log is given."),
    Argument("city", "", "City of the scenario; empty: the first of the split."),
    Argument("split", "val", "Cities and seeds: train, val, heldout or mini."),
    Argument("seed", "0", "Seed of everything that is drawn by lot.", int),
    Argument(
        "condition",
        "",
        "Light and weather; empty: by lot, day for a log.",
        choices=("", "day", "dusk", "night", "rain"),
    ),
    Argument("duration", "0.0", "A drive ends after this long, s; 0: as its scenario or log says.", float),
    Argument("time_mode", "real_time", "How time passes.", choices=("real_time", "fast", "lockstep")),
    Argument("rate", "1.0", "Simulated seconds per second, in real_time.", float),
    Argument("camera_rate", "10", "Sets of images a second: 1, 2, 4, 5, 10 or 20.", int),
    Argument("size", "400x225", "Size of the images: 400x225, 800x450 or 1600x900."),
    Argument("ground_truth", "false", "Publish everybody around.", bool),
    Argument("autopilot", "", "Planner that drives from inside, such as expert; the driver then only watches."),
    Argument("at_end", "exit", "After the last drive.", choices=("exit", "loop", "idle")),
    Argument("report", "", "Folder for results and traces of the drives."),
    Argument("wait_for_subscribers", "", "Longest wait for image subscribers, s; empty: 5, with driver or view 300."),
    Argument("simulator_params", "", "YAML file with parameters of simulator_node, over config/simulator.yaml."),
    Argument("driver", "false", "Also start the driver.", bool),
    Argument("view", "false", "Also start the view.", bool),
)
ADAPTER = (
    Argument("outputs", "", "What to publish: trajectory, ackermann, or both with a comma; empty: both."),
    Argument("trajectory_output", "", "Topic of Autoware's trajectory; empty: as adapter_params says."),
    Argument("ackermann_output", "", "Topic of the Ackermann command; empty: as adapter_params says."),
    Argument(
        "ackermann_stamped",
        "",
        "Publish AckermannDriveStamped; empty: as adapter_params says.",
        choices=("", "true", "false"),
    ),
    Argument(
        "ackermann_acceleration",
        "",
        "magnitude, as the message is defined, or signed, as CARLA reads it; empty: as the topic set or adapter_params "
        "says.",
        choices=("", "magnitude", "signed"),
    ),
    Argument("adapter_params", "", "YAML file with parameters of adapter_node, over config/adapter.yaml."),
)
