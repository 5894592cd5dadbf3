"""The one description of the graph: which nodes run, with which parameters, names and environment.

The launch files and `aln-p3 up` both read it, so they start the same nodes. A graph has arguments (all optional
unless they say so) and turns their values into a plan: a list of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.weights import SHIPPED
from aln_p3_ros.bringup.arguments import (
    ADAPTER,
    CALIBRATION,
    DRIVER,
    EXPLAINER,
    REPLAY,
    SHARED,
    SIM_TIME,
    SIMULATE,
    TRANSPORT,
    VIEW,
    WITH_EXPLAINER,
    Argument,
)
from aln_p3_ros.bringup.rviz import rviz_file
from aln_p3_ros.environment import dds_environment
from aln_p3_ros.resources import config_directory
from aln_p3_ros.topics import TOPICS, Role, TopicSet, load_topic_set, suggest


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph.

    Attributes:
        name: node name.
        package, executable: as `ros2 run` finds it.
        module: Python module that does the same; "" for programs of other packages.
        parameter_files: YAML files of the package, later ones win.
        defaults: typed values over those: what the graph chooses where nobody says otherwise.
        user_files: YAML files of the user, over these.
        parameters: typed values over all of them: what an argument says, and what holds the graph together.
        remappings: (name in the node, name in the graph).
        arguments: further command line arguments.
        lifecycle: whether it must be brought to active.
        required: whether everything ends when it ends.
    """

    name: str
    executable: str
    module: str
    package: str = "aln_p3"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_files: tuple[Path, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    user_files: tuple[Path, ...] = ()
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    lifecycle: bool = False
    required: bool = True


@dataclass(frozen=True)
class GraphPlan:
    """What to start: nodes in order, and environment variables for all of them."""

    nodes: tuple[NodeSpec, ...]
    environment: Mapping[str, str]
    log_level: str


@dataclass(frozen=True)
class Graph:
    """A named graph: what it is for, its arguments, and how they become nodes."""

    name: str
    about: str
    arguments: tuple[Argument, ...]
    nodes: Callable[[Mapping[str, Any], TopicSet], list[NodeSpec]]

    def plan(self, texts: Mapping[str, str]) -> GraphPlan:
        """The plan for arguments given as text. They stand above the user's parameter files; the defaults of those that
        are not given stand below.

        Raises:
            ConfigError: for an unknown argument, a value that does not fit, or a bad topic set.
        """
        known = {argument.name: argument for argument in self.arguments}
        for name in texts:
            if name not in known:
                raise ConfigError(f"{self.name} has no argument {name!r}; {suggest(name, known)}")
        values = {name: argument.value(texts.get(name, argument.default)) for name, argument in known.items()}
        values[_GIVEN] = frozenset(texts)
        names = {key: values[f"{key}_topic"] for key in TOPICS if values[f"{key}_topic"]}
        topics = load_topic_set(values["topics"]).with_names(names)
        return GraphPlan(tuple(self.nodes(values, topics)), dds_environment(), values["log_level"])


#: Under which the values tell which of them were given.
_GIVEN = "given arguments"
#: In lock-step a plan may take this long, s of wall clock.
_LOCKSTEP_PATIENCE_S = 300.0


def _own_files(name: str) -> tuple[Path, ...]:
    own = config_directory() / f"{name}.yaml"
    return (own,) if own.is_file() else ()


def _user_files(text: str) -> tuple[Path, ...]:
    path = Path(text).expanduser().absolute()
    if text and not path.is_file():
        raise ConfigError(f"there is no parameter file {text}")
    return (path,) if text else ()


def _split(values: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters whose argument was given, and those with its default.

    Args:
        values: of the arguments.
        names: argument by parameter.
    """
    given = {key: values[name] for key, name in names.items() if name in values[_GIVEN]}
    defaults = {key: values[name] for key, name in names.items() if key not in given and values[name] != ""}
    return given, defaults


def _transport(values: Mapping[str, Any], topics: TopicSet) -> str:
    transport = values["image_transport"] or topics.transport
    if transport not in ("compressed", "raw"):
        raise ConfigError(f"image_transport must be compressed or raw, got {transport!r}")
    return transport


def _common(values: Mapping[str, Any], topics: TopicSet) -> dict[str, Any]:
    """Parameters that driver and view share."""
    rig = {} if tuple(topics.cameras) == NUSCENES_CAMERAS else {"cameras": list(topics.cameras)}
    transport = _transport(values, topics)
    return {**topics.parameters, **rig, "image_transport": transport, "use_sim_time": values["use_sim_time"]}


def _driver_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    given = {
        key: values[key] for key in ("recipe", "checkpoint", "device", "precision", "calibration_file") if values[key]
    }
    if given.get("checkpoint") in SHIPPED and "recipe" in given:
        raise ConfigError(
            f"checkpoint:={given['checkpoint']} is the trained driver that ships, recipe:={given['recipe']} untrained: "
            "name one of them"
        )
    if given.get("checkpoint", SHIPPED[0]) not in SHIPPED:
        given["checkpoint"] = str(Path(given["checkpoint"]).expanduser().absolute())
    if "calibration_file" in given:
        given["calibration_file"] = str(Path(given["calibration_file"]).expanduser().absolute())
    driver = NodeSpec(
        "driver_node",
        "driver_node",
        "aln_p3_ros.driver_node",
        parameters={**_common(values, topics), **given},
        parameter_files=_own_files("driver"),
        user_files=_user_files(values["driver_params"]),
        remappings=tuple(topics.remappings()),
        lifecycle=True,
    )
    manager = NodeSpec(
        "lifecycle_manager",
        "lifecycle_manager",
        "aln_p3_ros.lifecycle_manager",
        parameters={"nodes": [driver.name]},
    )
    return [driver, manager]


def _driver_graph_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    return [*_driver_nodes(values, topics), *_explainer_on_request(values, topics)]


def _explainer_nodes(values: Mapping[str, Any], topics: TopicSet, *, required: bool = True) -> list[NodeSpec]:
    """The explainer and a manager of its own: when it fails, whoever drives goes on.

    Args:
        required: whether the graph ends with it.
    """
    given: dict[str, Any] = {"use_sim_time": values["use_sim_time"]}
    name = values["explainer"]
    if name:
        given["explainer"] = name if name in SHIPPED else str(Path(name).expanduser().absolute())
    if values.get("explainer_device"):
        given["device"] = values["explainer_device"]
    explainer = NodeSpec(
        "explainer_node",
        "explainer_node",
        "aln_p3_ros.explainer_node",
        parameters=given,
        parameter_files=_own_files("explainer"),
        user_files=_user_files(values["explainer_params"]),
        remappings=tuple(topics.remappings()),
        lifecycle=True,
        required=required,
    )
    manager = NodeSpec(
        "explainer_manager",
        "lifecycle_manager",
        "aln_p3_ros.lifecycle_manager",
        parameters={"nodes": [explainer.name]},
        required=required,
    )
    return [explainer, manager]


def _explainer_on_request(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    return _explainer_nodes(values, topics, required=False) if values["explainer"] else []


def _view_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    given = {"rerun": values["rerun"]} if values["rerun"] else {}
    if values["view_folder"]:
        given["folder"] = str(Path(values["view_folder"]).expanduser().absolute())
    if values["calibration_file"]:
        given["calibration_file"] = str(Path(values["calibration_file"]).expanduser().absolute())
    view = NodeSpec(
        "view_node",
        "view_node",
        "aln_p3_ros.view_node",
        parameters={**_common(values, topics), **given},
        parameter_files=_own_files("view"),
        user_files=_user_files(values["view_params"]),
        remappings=tuple(topics.remappings()),
    )
    if not values["rviz"]:
        return [view]
    frames = {key: str(topics.parameters[key]) for key in ("odom_frame", "base_frame") if key in topics.parameters}
    rviz = NodeSpec(
        "rviz2",
        "rviz2",
        "",
        package="rviz2",
        parameters={"use_sim_time": values["use_sim_time"]},
        remappings=tuple(topics.remappings()),
        arguments=("-d", str(rviz_file(**frames))),
        required=False,
    )
    return [view, rviz]


def _replay_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    if bool(values["root"]) == bool(values["bag"]):
        raise ConfigError("replay needs either root:=FOLDER (nuScenes-schema data) or bag:=FOLDER (a ROS 2 bag)")
    on_replay = {**values, "use_sim_time": True}
    nodes = _driver_nodes(on_replay, topics) if values["driver"] else []
    nodes += _view_nodes(on_replay, topics) if values["view"] or values["rviz"] else []
    # Nobody misses the first frame: the driver subscribes when its model is loaded and warm.
    followers = [node for node in nodes if node.name in ("driver_node", "view_node")]
    # Nobody waits for the explainer.
    nodes += _explainer_on_request(on_replay, topics)
    wait = values["wait_for_subscribers"]
    parameters: dict[str, Any] = {
        key: str(Path(values[key]).expanduser().absolute()) for key in ("root", "bag") if values[key]
    }
    parameters |= {key: values[key] for key in ("scene", "version") if values[key]}
    names = {"start_offset_s": "start_offset", "start_paused": "paused"}
    names |= {key: key for key in ("rate", "loop", "at_end", "ground_truth", "command")}
    given, defaults = _split(values, names)
    parameters |= {**given, "image_transport": _transport(values, topics), **_waiting(wait)}
    defaults |= {
        "wait_for_subscribers_s": 300.0 if followers else 5.0,
        # The plan for the last frame is made after it has been sent.
        "linger_s": 5.0 if followers else 0.5,
    }
    if followers:  # an empty list is no parameter value
        parameters["wait_for_nodes"] = [node.name for node in followers]
        if values["bag"]:
            parameters["bag_exclude"] = _published_by(nodes, topics)
    replay = NodeSpec(
        "replay_node",
        "replay_node",
        "aln_p3_ros.replay_node",
        parameters=parameters,
        defaults=defaults,
        parameter_files=_own_files("replay"),
        user_files=_user_files(values["replay_params"]),
        remappings=tuple(topics.remappings()),
    )
    return [*nodes, replay]


def _simulate_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    in_world = {**values, "use_sim_time": True}
    nodes = _driver_nodes(in_world, topics) if values["driver"] else []
    nodes += _view_nodes(in_world, topics) if values["view"] or values["rviz"] else []
    followers = [node for node in nodes if node.name in ("driver_node", "view_node")]
    nodes += _explainer_on_request(in_world, topics)
    if values["autopilot"]:
        # Two planners on one topic: the driver's plans go beside, so that they can be looked at, and explained.
        beside = ("driver_node", "explainer_node")
        nodes = [replace(n, remappings=_aside(n.remappings)) if n.name in beside else n for n in nodes]
    if values["camera_rate"] < 1:
        raise ConfigError(f"camera_rate must be 1 or more, got {values['camera_rate']}")
    period_s = 1.0 / values["camera_rate"]
    patience: dict[str, Any] = {
        "camera_timeout_s": max(0.5, 2.5 * period_s),
        "input_timeout_s": max(1.0, 4.0 * period_s),
    }
    if values["time_mode"] == "lockstep":
        patience |= lockstep_parameters(_transport(values, topics), topics)
    nodes = [replace(n, defaults={**n.defaults, **patience}) if n.name == "driver_node" else n for n in nodes]
    wait = values["wait_for_subscribers"]
    parameters: dict[str, Any] = {
        key: str(Path(values[key]).expanduser().absolute()) for key in ("log", "report") if values[key]
    }
    same = ("routes", "log_mode", "scenario", "city", "split", "seed", "condition", "time_mode", "rate", "size",
            "ground_truth", "autopilot", "at_end")  # fmt: skip
    names = {"duration_s": "duration", "camera_rate_hz": "camera_rate", **{key: key for key in same}}
    given, defaults = _split(values, names)
    parameters |= {**given, "image_transport": _transport(values, topics), **_waiting(wait)}
    defaults |= {"wait_for_subscribers_s": 300.0 if followers else 5.0, "linger_s": 3.0 if followers else 0.5}
    if values["time_mode"] == "lockstep" and not values["autopilot"]:
        defaults["plan_timeout_s"] = _LOCKSTEP_PATIENCE_S
    if values["calibration_file"]:
        parameters["calibration_file"] = str(Path(values["calibration_file"]).expanduser().absolute())
    if followers:
        parameters["wait_for_nodes"] = [node.name for node in followers]
    simulator = NodeSpec(
        "simulator_node",
        "simulator_node",
        "aln_p3_ros.simulator_node",
        parameters=parameters,
        defaults=defaults,
        parameter_files=_own_files("simulator"),
        user_files=_user_files(values["simulator_params"]),
        remappings=tuple(topics.remappings()),
    )
    return [*nodes, simulator]


def _waiting(text: str) -> dict[str, float]:
    """How long somebody is waited for, where the argument says so."""
    return {"wait_for_subscribers_s": _number("wait_for_subscribers", text)} if text else {}


def _adapter_nodes(values: Mapping[str, Any], topics: TopicSet) -> list[NodeSpec]:
    parameters: dict[str, Any] = {"use_sim_time": values["use_sim_time"]}
    of_set = ("base_frame", "ackermann_acceleration")
    parameters |= {key: topics.parameters[key] for key in of_set if key in topics.parameters}
    given = ("trajectory_output", "ackermann_output", "ackermann_acceleration")
    parameters |= {key: values[key] for key in given if values[key]}
    if values["outputs"]:
        parameters["outputs"] = [part.strip() for part in values["outputs"].split(",")]
    if values["ackermann_stamped"]:
        parameters["ackermann_stamped"] = values["ackermann_stamped"] == "true"
    adapter = NodeSpec(
        "adapter_node",
        "adapter_node",
        "aln_p3_ros.adapter_node",
        parameters=parameters,
        parameter_files=_own_files("adapter"),
        user_files=_user_files(values["adapter_params"]),
        remappings=tuple(topics.remappings()),
    )
    return [adapter]


def lockstep_parameters(transport: str, topics: TopicSet | None = None) -> dict[str, Any]:
    """Parameters of a driver for which the world waits: no image may be lost, and no plan is too late."""
    topics = topics or TopicSet()
    key = "camera_image" if transport == "raw" else "camera_compressed"
    names = [topics.name(key, camera) for camera in topics.cameras]
    reliable = {f"qos_overrides.{name}.subscription.reliability": "reliable" for name in names}
    slow = {"camera_timeout_s": 2.5, "input_timeout_s": 4.0}  # at 1 Hz
    return {**slow, "inference_timeout_s": _LOCKSTEP_PATIENCE_S, **reliable}


def _aside(remappings: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The driver's remappings with its trajectory beside the one that the vehicle follows."""
    own = TOPICS["trajectory"].name
    names = dict(remappings)
    return tuple({**names, own: f"{names.get(own, own)}/driver"}.items())


def _published_by(nodes: list[NodeSpec], topics: TopicSet) -> list[str]:
    """Topics that these nodes publish themselves, so that what a bag holds of an earlier run must not be played."""
    roles = {"driver_node": Role.DRIVER, "view_node": Role.VIEW, "explainer_node": Role.EXPLAINER}
    keys = [key for key, topic in TOPICS.items() for node in nodes if topic.role == roles.get(node.name)]
    return sorted({name for key in keys for name in (TOPICS[key].name, topics.name(key))})


def _number(name: str, text: str) -> float:
    return float(Argument(name, "", "", float).value(text))


GRAPHS: dict[str, Graph] = {
    graph.name: graph
    for graph in (
        Graph(
            "driver",
            "The driver, brought to active: camera topics in, trajectory out.",
            (*DRIVER, CALIBRATION, *WITH_EXPLAINER, TRANSPORT, SIM_TIME, *SHARED),
            _driver_graph_nodes,
        ),
        Graph(
            "replay",
            "A recorded drive as topics; with driver:=true view:=true the whole graph on it.",
            (*REPLAY, TRANSPORT, *DRIVER, CALIBRATION, *WITH_EXPLAINER, *VIEW, *SHARED),
            _replay_nodes,
        ),
        Graph(
            "simulate",
            "The embedded world as topics; driver:=true has the driver drive in it, autopilot:=expert a planner.",
            (*SIMULATE, TRANSPORT, *DRIVER, CALIBRATION, *WITH_EXPLAINER, *VIEW, *SHARED),
            _simulate_nodes,
        ),
        Graph(
            "explainer",
            "What the vehicle does and why, in words, beside a driver.",
            (*EXPLAINER, SIM_TIME, *SHARED),
            _explainer_nodes,
        ),
        Graph(
            "adapter",
            "The plan as Autoware's trajectory and as Ackermann commands (CARLA), beside a driver.",
            (*ADAPTER, SIM_TIME, *SHARED),
            _adapter_nodes,
        ),
        Graph(
            "view",
            "Pictures and markers of what the driver sees and plans.",
            (*VIEW, CALIBRATION, TRANSPORT, SIM_TIME, *SHARED),
            _view_nodes,
        ),
    )
}


def graph(name: str) -> Graph:
    """A graph by name. Raises ConfigError with suggestions."""
    if name not in GRAPHS:
        raise ConfigError(f"there is no graph {name!r}; {suggest(name, GRAPHS)}")
    return GRAPHS[name]
