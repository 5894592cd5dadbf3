"""The description of the graph, and the launch files made from it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_ros.bringup.graph import GRAPHS, graph
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.resources import share_path
from aln_p3_ros.topics import TOPICS, Role

REPLAY = {"root": "/data/nuscenes"}


def nodes_of(name: str, **texts: str) -> dict[str, Any]:
    return {spec.name: spec for spec in graph(name).plan(texts).nodes}


def test_every_topic_name_is_an_argument_of_every_graph():
    for one in GRAPHS.values():
        names = {argument.name for argument in one.arguments}
        assert {f"{key}_topic" for key in TOPICS} <= names
        assert all(argument.about for argument in one.arguments)


def test_arguments_are_named_once():
    for one in GRAPHS.values():
        names = [argument.name for argument in one.arguments]
        assert len(names) == len(set(names))


def test_the_driver_is_brought_to_active_by_the_manager():
    nodes = nodes_of("driver")
    managed = [spec.name for spec in nodes.values() if spec.lifecycle]
    assert managed == ["driver_node"]
    assert nodes["lifecycle_manager"].parameters["nodes"] == managed


def test_replay_alone_and_with_everything():
    assert list(nodes_of("replay", **REPLAY)) == ["replay_node"]
    everything = nodes_of("replay", **REPLAY, driver="true", view="true", rviz="true")
    assert list(everything) == ["driver_node", "lifecycle_manager", "view_node", "rviz2", "replay_node"]
    assert everything["replay_node"].parameters["wait_for_nodes"] == ["driver_node", "view_node"]
    # Whoever follows a replay follows its clock.
    assert all(everything[name].parameters["use_sim_time"] for name in ("driver_node", "view_node", "rviz2"))
    assert not nodes_of("driver")["driver_node"].parameters["use_sim_time"]


def test_a_recorded_plan_is_not_played_beside_a_new_one():
    replay = nodes_of("replay", bag="/data/bag", driver="true", trajectory_topic="/plan")["replay_node"]
    excluded = replay.parameters["bag_exclude"]
    assert {"/planning/trajectory", "/plan", "/diagnostics"} <= set(excluded)
    assert not {"/view/bev", "/localization/odometry"} & set(excluded)
    assert "bag_exclude" not in nodes_of("replay", bag="/data/bag")["replay_node"].parameters


def test_no_parameter_is_an_empty_list():
    """Neither launch nor parameter files can say what type it would be."""
    for nodes in (nodes_of("driver"), nodes_of("view"), nodes_of("replay", **REPLAY)):
        assert not [(n, k) for n, spec in nodes.items() for k, v in spec.parameters.items() if v in ([], ())]


@pytest.mark.parametrize("texts", [{}, {"root": "/a", "bag": "/b"}])
def test_replay_needs_one_source(texts):
    with pytest.raises(ConfigError, match="root:="):
        nodes_of("replay", **texts)


def test_a_topic_set_reaches_all_nodes_that_use_it():
    nodes = nodes_of("replay", **REPLAY, driver="true", view="true", topics="carla_ros_bridge", odometry_topic="/odom")
    for name in ("driver_node", "view_node", "replay_node"):
        pairs = dict(nodes[name].remappings)
        assert pairs["/sensors/camera/cam_front/image"] == "/carla/ego_vehicle/rgb_front/image"
        assert pairs["/localization/odometry"] == "/odom"
        assert nodes[name].parameters["image_transport"] == "raw"
    assert nodes["driver_node"].parameters["base_frame"] == "ego_vehicle"


@pytest.mark.parametrize("name", GRAPHS)
def test_parameters_that_are_passed_are_declared_by_the_node(name):
    from aln_p3_ros.adapter.adapter_settings import AdapterSettings
    from aln_p3_ros.driving.driver_settings import DriverSettings
    from aln_p3_ros.explaining.explainer_settings import ExplainerSettings
    from aln_p3_ros.lifecycle_manager import ManagerSettings
    from aln_p3_ros.replay.replay_settings import ReplaySettings
    from aln_p3_ros.simulator.simulator_settings import SimulatorSettings
    from aln_p3_ros.view.view_settings import ViewSettings

    kinds = {
        "adapter_node": AdapterSettings,
        "simulator_node": SimulatorSettings,
        "driver_node": DriverSettings,
        "view_node": ViewSettings,
        "replay_node": ReplaySettings,
        "lifecycle_manager": ManagerSettings,
        "explainer_node": ExplainerSettings,
        "explainer_manager": ManagerSettings,
    }
    everything = {"driver": "true", "view": "true"}
    texts = {
        "replay": {**REPLAY, **everything},
        "simulate": {**everything, "autopilot": "expert"},
        "adapter": {"outputs": "trajectory, ackermann", "ackermann_stamped": "true", "ackermann_output": "/drive"},
    }.get(name, {})
    given = {"recipe": "nano", "device": "cpu", "precision": "fp32", "checkpoint": "a", "calibration_file": "b"}
    given |= {"explainer": "c", "explainer_device": "cpu"}
    texts |= {key: value for key, value in given.items() if key in {a.name for a in graph(name).arguments}}
    for spec in nodes_of(name, **texts).values():
        infos = setting_infos(kinds[spec.name])
        for key, value in (*spec.parameters.items(), *spec.defaults.items()):
            if key != "use_sim_time":
                default, _ = infos[key]
                assert isinstance(value, (list, tuple) if isinstance(default, tuple) else type(default)), key


def test_driver_and_view_read_the_same_calibration_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, texts in (
        ("view", {}),
        ("replay", {**REPLAY, "driver": "true", "view": "true"}),
        ("simulate", {"driver": "true", "view": "true"}),
    ):
        nodes = nodes_of(name, **texts, calibration_file="rig.yaml", topics="carla_ros_bridge")
        for node in ("driver_node", "view_node"):
            if node in nodes:
                assert nodes[node].parameters["calibration_file"] == str(tmp_path / "rig.yaml"), (name, node)
        assert "calibration_file" not in nodes_of(name, **texts)["view_node"].parameters


def test_a_shipped_driver_keeps_its_name_and_a_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for graph_name, texts in (
        ("driver", {}),
        ("simulate", {"driver": "true"}),
        ("replay", {**REPLAY, "driver": "true"}),
    ):

        def of(given, graph_name=graph_name, texts=texts):
            parameters = nodes_of(graph_name, **texts, **given)["driver_node"].parameters
            return {key: parameters[key] for key in ("checkpoint", "recipe") if key in parameters}

        assert of({}) == {}, "the node's own default"
        assert of({"checkpoint": "nano"}) == {"checkpoint": "nano"}
        assert of({"checkpoint": "./nano"}) == {"checkpoint": str(tmp_path / "nano")}
        assert of({"recipe": "tiny"}) == {"recipe": "tiny"}
        with pytest.raises(ConfigError, match="name one of them"):
            of({"checkpoint": "nano", "recipe": "nano"})


def test_simulation_alone_and_with_a_driver_that_watches():
    assert list(nodes_of("simulate")) == ["simulator_node"]
    nodes = nodes_of("simulate", driver="true", view="true", autopilot="expert", camera_rate="2")
    assert list(nodes) == ["driver_node", "lifecycle_manager", "view_node", "simulator_node"]
    assert nodes["simulator_node"].parameters["wait_for_nodes"] == ["driver_node", "view_node"]
    assert all(nodes[name].parameters["use_sim_time"] for name in ("driver_node", "view_node"))
    # The vehicle follows one planner: the driver's plans go beside.
    assert dict(nodes["driver_node"].remappings)["/planning/trajectory"] == "/planning/trajectory/driver"
    assert "/planning/trajectory" not in dict(nodes["simulator_node"].remappings)
    # Who explains the driver's plans listens to those, not to the other planner's.
    explained = nodes_of("simulate", driver="true", autopilot="expert", explainer="nano")["explainer_node"]
    assert dict(explained.remappings)["/planning/trajectory"] == "/planning/trajectory/driver"
    # Two images a second are no dead camera.
    assert nodes["driver_node"].defaults["camera_timeout_s"] > 1.0
    assert "/planning/trajectory" not in dict(nodes_of("simulate", driver="true")["driver_node"].remappings)


def test_a_file_of_ones_own_stands_above_what_was_not_asked_for_and_below_what_was(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**: {ros__parameters: {rate: 0.5, input_timeout_s: 0.3}}")
    replay = nodes_of("replay", **REPLAY, replay_params=str(mine), loop="true")["replay_node"]
    assert replay.user_files == (mine,) and replay.parameter_files[0].name == "replay.yaml"
    assert "rate" not in replay.parameters and replay.defaults["rate"] == 1.0
    assert replay.parameters["loop"] is True and "loop" not in replay.defaults
    nodes = nodes_of("simulate", driver="true", driver_params=str(mine), simulator_params=str(mine), seed="7")
    assert nodes["driver_node"].user_files == (mine,)
    assert (
        "input_timeout_s" in nodes["driver_node"].defaults and "input_timeout_s" not in nodes["driver_node"].parameters
    )
    assert nodes["simulator_node"].parameters["seed"] == 7 and nodes["simulator_node"].defaults["split"] == "val"


def test_in_lockstep_the_driver_loses_no_image_and_is_waited_for():
    nodes = nodes_of("simulate", driver="true", time_mode="lockstep", camera_rate="2", topics="carla_ros_bridge")
    driver = nodes["driver_node"].defaults
    reliable = {key: value for key, value in driver.items() if key.startswith("qos_overrides.")}
    assert set(reliable.values()) == {"reliable"}
    # The override's name is that of the topic after renaming.
    assert "qos_overrides./carla/ego_vehicle/rgb_front/image.subscription.reliability" in reliable
    assert len(reliable) == 6
    assert driver["inference_timeout_s"] >= 300
    assert nodes["simulator_node"].defaults["plan_timeout_s"] >= 300
    real_time = nodes_of("simulate", driver="true")["driver_node"].defaults
    assert not [key for key in real_time if key.startswith("qos_overrides.")]
    assert "inference_timeout_s" not in real_time


def test_the_adapter_reads_the_topics_and_the_frame_of_the_set():
    adapter = nodes_of("adapter", topics="carla_ros_bridge", outputs="ackermann", use_sim_time="true")["adapter_node"]
    assert dict(adapter.remappings)["/localization/odometry"] == "/carla/ego_vehicle/odometry"
    assert adapter.parameters == {
        **{"use_sim_time": True, "base_frame": "ego_vehicle", "outputs": ["ackermann"]},
        "ackermann_acceleration": "signed",  # as the bridge's controller reads it
    }
    assert nodes_of("adapter")["adapter_node"].parameters == {"use_sim_time": False}
    said = nodes_of("adapter", topics="carla_ros_bridge", ackermann_acceleration="magnitude")["adapter_node"]
    assert said.parameters["ackermann_acceleration"] == "magnitude"


def test_the_explainer_runs_beside_and_nobody_depends_on_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nodes = nodes_of("explainer")
    assert list(nodes) == ["explainer_node", "explainer_manager"]
    assert nodes["explainer_manager"].parameters["nodes"] == ["explainer_node"]
    assert "explainer" not in nodes["explainer_node"].parameters, "the node's own default"
    assert nodes["explainer_node"].required
    for name, texts in (("driver", {}), ("replay", {**REPLAY, "driver": "true"}), ("simulate", {"driver": "true"})):
        assert "explainer_node" not in nodes_of(name, **texts)
        beside = nodes_of(name, **texts, explainer="nano", explanation_topic="/words")
        assert beside["explainer_node"].parameters["explainer"] == "nano"
        assert not (beside["explainer_node"].required or beside["explainer_manager"].required)
        assert beside["lifecycle_manager"].parameters["nodes"] == ["driver_node"]
        assert dict(beside["explainer_node"].remappings)["/driver/explanation"] == "/words"
        file = nodes_of(name, **texts, explainer="mine.safetensors")["explainer_node"].parameters["explainer"]
        assert file == str(tmp_path / "mine.safetensors")
        for source in ("replay_node", "simulator_node"):
            if source in beside:
                assert beside[source].parameters["wait_for_nodes"] == ["driver_node"], "it is never waited for"
    played = nodes_of("replay", bag="/data/bag", driver="true", explainer="nano")["replay_node"]
    assert "/driver/explanation" in played.parameters["bag_exclude"]


def test_wrong_arguments_are_refused_with_help():
    for name, texts, message in [
        ("driver", {"topic": "x"}, "did you mean topics"),
        ("driver", {"use_sim_time": "maybe"}, "true or false"),
        ("driver", {"image_transport": "jpeg"}, "compressed or raw"),
        ("driver", {"topics": "carla"}, "carla_ros_bridge"),
        ("driver", {"odometry_topic": "my topic"}, "not a topic name"),
        ("driver", {"driver_params": "/nowhere.yaml"}, r"/nowhere\.yaml"),
        ("replay", {**REPLAY, "rate": "fast"}, "number"),
        ("replay", {**REPLAY, "at_end": "stop"}, "exit, idle"),
        ("simulate", {"camera_rate": "0"}, "1 or more"),
        ("adapter", {"ackermann_stamped": "maybe"}, "true, false"),
    ]:
        with pytest.raises(ConfigError, match=message):
            nodes_of(name, **texts)
    with pytest.raises(ConfigError, match="did you mean replay"):
        graph("repaly")


def test_the_dds_profile_is_used_unless_another_is_set(monkeypatch):
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    environment = graph("view").plan({}).environment
    assert Path(environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    assert graph("view").plan({}).environment == {}


def rviz_topics() -> set[str]:
    """Every topic that the RViz file shows."""
    path = share_path("rviz", "aln_p3.rviz")
    found: set[str] = set()

    def walk(tree: Any) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                if key == "Topic" and isinstance(value, dict) and str(value.get("Value", "")).startswith("/"):
                    found.add(value["Value"])
                walk(value)
        elif isinstance(tree, list):
            for entry in tree:
                walk(entry)

    walk(yaml.safe_load(path.read_text())["Visualization Manager"]["Displays"])
    return found


def test_every_topic_of_the_rviz_file_is_in_the_table():
    graph_publishes = {t.name for t in TOPICS.values() if t.role != Role.EXPLAINER and not t.per_camera}
    assert rviz_topics()
    assert rviz_topics() <= graph_publishes


@pytest.mark.parametrize("name", GRAPHS)
def test_the_launch_file_declares_the_arguments_of_the_graph(name):
    pytest.importorskip("launch.actions", reason="launch is not installed")
    pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")
    path = share_path("launch", f"{name}.launch.py")
    spec = importlib.util.spec_from_file_location(f"{name}_launch", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    declared = {a.name: a.description for a in description.get_launch_arguments()}
    expected = {argument.name: argument.about for argument in GRAPHS[name].arguments}
    assert list(declared) == list(expected)
    # launch itself adds the choices to the text.
    assert all(declared[key].startswith(text) for key, text in expected.items())


def test_there_is_a_launch_file_for_every_graph():
    files = sorted(path.name for path in share_path("launch").glob("*.launch.py"))
    assert files == sorted(f"{name}.launch.py" for name in GRAPHS)
