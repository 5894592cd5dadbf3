"""The demonstration, from the world (or its recorded clip) to films, bag, pictures and tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import pytest
from aln_p3.msg import Explanation, PlannedTrajectory
from builtin_interfaces.msg import Duration, Time
from click.testing import CliRunner
from rclpy.serialization import serialize_message
from replay_helpers import WAIT_S, wait_until
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from world_ros_helpers import needs_rendering

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.drawing.subtitles import Subtitle
from aln_p3_core.errors import CheckpointError, ConfigError, DataError
from aln_p3_core.world.clip import ARCHIVE, unpack_clip
from aln_p3_ros.bags.reader import bag_summary
from aln_p3_ros.bags.typestore import typestore
from aln_p3_ros.bringup import demo, demo_drive
from aln_p3_ros.bringup.demo_drive import demo_driver, demo_explainer
from aln_p3_ros.bringup.demo_subtitles import read_subtitles
from aln_p3_ros.bringup.demo_summary import drive_table, summarise_run
from aln_p3_ros.commands.demo import command

#: With this no EGL is found, as on a machine that has none.
WITHOUT_EGL = {"__EGL_VENDOR_LIBRARY_DIRS": "/nowhere", "__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere.json"}


def run_demo(out: Path, *options: str, **environment: str) -> str:
    """Runs the command in a process of its own; returns what it said."""
    command_line = [sys.executable, "-m", "aln_p3_ros", "demo", "--out", str(out), *options]
    done = subprocess.run(
        command_line, env={**os.environ, **environment}, capture_output=True, text=True, timeout=400, check=False
    )
    log = (out / "nodes.log").read_text() if (out / "nodes.log").exists() else ""
    assert done.returncode == 0, done.stdout + done.stderr + log
    return done.stdout


def topics_of(bag: Path) -> set[str]:
    return {topic for topic, _, _ in bag_summary(bag).counts}


def test_given_data_must_exist(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, DataError)
    assert "DATA=" in str(result.exception)


def test_given_data_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def replay(root: Path, out: Path, **options: Any) -> None:
        asked.extend([root, options["driver_arguments"], options["seconds"]])
        raise DataError("enough")

    monkeypatch.setattr(demo, "run_replay_demo", replay)
    arguments = ["--data", str(tmp_path), "--driver", "tiny", "--out", str(tmp_path / "out")]
    CliRunner().invoke(command, arguments)
    assert asked == [tmp_path, {"driver": "true", "recipe": "tiny"}, 20.0]
    refused = CliRunner().invoke(command, ["--data", str(tmp_path), "--driver", "expert", "--out", str(tmp_path)])
    assert "not the planner 'expert'" in refused.output


#: The demonstration with a program in the place of its nodes; all else is as it is.
STAND_IN = """
import sys
from aln_p3_core.cli import run_cli
from aln_p3_core.world.render import available
from aln_p3_ros.bringup import demo_drive
from aln_p3_ros.bringup.graph import GraphPlan, NodeSpec

def plan(driver, files, results, seconds, explainer):
    code = "import time; print('is up', flush=True); time.sleep(600)"
    return GraphPlan((NodeSpec("stand_in", sys.executable, "", arguments=("-c", code)),), {}, "info")

available.rendering_problem = lambda: None
demo_drive._drive_plan = plan
run_cli({"demo": "aln_p3_ros.commands.demo"})
"""


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_demo_with_all_its_processes(tmp_path: Path, sign: signal.Signals, code: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "summary.md").write_text("of an earlier drive")
    arguments = ["demo", "--driver", "expert", "--out", str(out)]
    child = subprocess.Popen(
        [sys.executable, "-c", STAND_IN, *arguments], stderr=subprocess.PIPE, env=os.environ, text=True
    )
    log = out / "nodes.log"
    processes: list[int] = []
    try:
        wait_until(lambda: log.exists() and {"is up", "recording to"} <= said_in(log), "the nodes and the recorder")
        processes = children_of(child.pid)
        assert len(processes) == 2
        child.send_signal(sign)
        _, errors = child.communicate(timeout=WAIT_S)
    finally:
        if not processes and child.poll() is None:
            processes = children_of(child.pid)
        left = [pid for pid in processes if Path(f"/proc/{pid}").exists()]
        child.kill()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert not left
    assert child.returncode == code, errors
    assert errors.strip() == ("terminated" if sign == signal.SIGTERM else "interrupted")
    assert bag_summary(out / "bag").whole
    assert not (out / "summary.md").exists(), "it would pass for this drive's"


def said_in(log: Path) -> set[str]:
    """Which of the lines that tell readiness a log has."""
    text = log.read_text(encoding="utf-8")
    return {words for words in ("is up", "recording to") if words in text}


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


def test_something_else_where_the_bag_goes_stops_the_demo_first(tmp_path: Path) -> None:
    (tmp_path / "bag").write_text("precious")
    with pytest.raises(ConfigError, match="is no bag"):
        demo.DemoFiles.below(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_it_is_said_who_drives(tmp_path: Path) -> None:
    expert = demo_driver("expert")
    assert expert.is_autopilot and dict(expert.arguments) == {"autopilot": "expert"}
    assert "ground truth" in expert.said
    nano = demo_driver("nano")
    assert not nano.is_autopilot and nano.arguments["checkpoint"] == "nano" and nano.note == ""
    assert "trained in" in nano.said and "untrained" not in nano.said.lower()
    for name, recipe in (("untrained:nano", "nano"), ("tiny", "tiny"), ("untrained:base", "base")):
        fresh = demo_driver(name)
        assert fresh.arguments["recipe"] == recipe and "checkpoint" not in fresh.arguments
        assert "UNTRAINED" in fresh.said and "untrained" in fresh.note
    (default,) = (option.default for option in command.params if option.name == "driver")
    assert default == "nano"
    weights = tmp_path / "best.safetensors"
    weights.touch()
    trained = demo_driver(str(weights))
    assert trained.arguments["checkpoint"] == str(weights) and trained.note == ""
    with pytest.raises(ConfigError, match=r"(?s)name nano.*expert.*untrained:nano"):
        demo_driver("nobody")


def test_who_speaks_in_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nano, expert = demo_driver("nano"), demo_driver("expert")
    assert demo_explainer(nano, "off") == "" and demo_explainer(expert, "auto") == ""
    assert demo_explainer(demo_driver("untrained:nano"), "auto") == "", "nobody was trained for it"
    words = tmp_path / "words.safetensors"
    words.touch()
    assert demo_explainer(nano, str(words)) == str(words)
    with pytest.raises(ConfigError, match="there is no explainer"):
        demo_explainer(nano, str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="planner"):
        demo_explainer(expert, str(words))

    def none_ships(name: str) -> Path:
        raise CheckpointError("none ships")

    monkeypatch.setattr(demo_drive, "shipped_explainer", lambda name: words)
    assert demo_explainer(nano, "auto") == "nano"
    monkeypatch.setattr(demo_drive, "shipped_explainer", none_ships)
    assert demo_explainer(nano, "auto") == "", "the demonstration goes on without words"
    with pytest.raises(CheckpointError):
        demo_explainer(nano, "nano")


def test_what_was_said_becomes_subtitles_and_figures(tmp_path: Path) -> None:
    def words(second: int, **fields: Any) -> Explanation:
        return Explanation(header=Header(stamp=Time(sec=100 + second)), latency=Duration(sec=2), **fields)

    said = [
        words(
            4,
            narration="it stops",
            reasoning="a bus",
            contradictions=["it goes on"],
            consistency=Explanation.CONTRADICTS,
        ),
        words(1, narration="it goes straight", consistency=Explanation.CONSISTENT),
        words(2, kind=Explanation.KIND_ANSWER, question="why?", text="a bus"),
        words(3, text="nonsense"),
    ]
    bag = tmp_path / "bag"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, messages in (("/driver/explanation", said), ("/planning/trajectory", [PlannedTrajectory()])):
            kind = f"aln_p3/msg/{type(messages[0]).__name__}"
            connection = writer.add_connection(topic, kind, typestore=typestore())
            for message in messages:
                writer.write(connection, 10**9, serialize_message(message))
    assert read_subtitles(bag, 100 * 10**9) == [
        Subtitle(1.0, "it goes straight"),
        Subtitle(3.0, "nonsense"),
        Subtitle(4.0, "it stops", "a bus", ("it goes on",)),
    ]
    summary = summarise_run(bag)
    assert (summary.explanations, summary.contradicting) == (4, 1)
    assert "| explanations | 4, 2000 ms each (median) |" in summary.markdown()


def test_only_the_networks_plans_are_judged_by_their_stamps(tmp_path: Path) -> None:
    def plan(stamp_ms: int, **fields: Any) -> PlannedTrajectory:
        stamp = Time(sec=100, nanosec=stamp_ms * 10**6)
        return PlannedTrajectory(header=Header(stamp=stamp), age=Duration(nanosec=3 * 10**8), **fields)

    stop = plan(420, degraded=PlannedTrajectory.DEGRADED_STOP, degraded_reasons=["the plan is 2.1 s old"])
    images = [CompressedImage(header=Header(stamp=Time(sec=100, nanosec=ms * 10**6))) for ms in (0, 100, 200, 500, 600)]
    sent: dict[str, list[Any]] = {
        "/sensors/camera/cam_front/image/compressed": images,
        # An image's stamp, one between two images, one of an image that the bag lacks.
        "/planning/trajectory": [plan(100), plan(150), plan(300), stop],
    }
    kinds = ("sensor_msgs/msg/CompressedImage", "aln_p3/msg/PlannedTrajectory")
    bag = tmp_path / "bag"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for (topic, messages), kind in zip(sent.items(), kinds, strict=True):
            connection = writer.add_connection(topic, kind, typestore=typestore())
            for message in messages:
                writer.write(connection, 10**9, serialize_message(message))
    run = summarise_run(bag)
    assert (run.trajectories, run.stops, run.stamps_kept, run.stamps_judged) == (4, 1, 1, 2)
    assert run.ages_ms == pytest.approx([300.0] * 3)
    assert run.degraded == {"the plan is 2.1 s old": 1}
    for row in ("| of these declared stops | 1 |", "image's | 1 of 2 |", "| plans whose image the bag may lack | 1 |"):
        assert row in run.markdown()


def test_the_clip_is_small_and_whole(tmp_path: Path) -> None:
    assert ARCHIVE.stat().st_size < 3e6
    root = unpack_clip(tmp_path / "clip")
    (root / "leftover").touch()
    unpack_clip(root)
    assert not (root / "leftover").exists()
    dataset = NuScenesDataset(root)
    (scene,) = dataset.scenes
    assert len(dataset) == 16
    dataset.check_files()
    frame = dataset.frame(dataset.scene_tokens(scene)[8])
    assert len(frame.views) == 6
    assert {(view.calibration.width, view.calibration.height) for view in frame.views.values()} == {(400, 225)}
    assert all(len(dataset.targets(token).class_ids) for token in dataset.scene_tokens(scene)[:2])


def test_a_drive_becomes_a_table() -> None:
    measures: dict[str, Any] = {
        "status": "time_out", "driving_score": 41.239, "route_completion": 68.7, "outside_share": 0.25,
        "collisions": {"vehicle": 2, "pedestrian": 1}, "own_fault_collisions": 1, "distance_m": 312.0,
        "counts": {"collision_vehicle": 2, "collision_pedestrian": 1, "red_light": 0}, "mean_speed": 5.0,
        "comfort": 0.5, "duration_s": 60.0,
    }  # fmt: skip
    episode = {"scenario": "cut_in", "city": "iris-bridge", "condition": "rain"}
    text = drive_table({"episode": episode, "measures": measures}, wall_s=120.0)
    for words in ("cut in, iris-bridge, rain", "time out", "41.2", "69 %", "25 % of the way", "3 (1)", "18 km/h",
                  "collision vehicle 2, collision pedestrian 1 |", "60.0 s simulated in 120 s: 0.50 x"):  # fmt: skip
        assert words in text, words


@needs_rendering
@pytest.mark.slow
@pytest.mark.usefixtures("ros_domain")
def test_the_demo_drives_and_leaves_films_bag_pictures_and_tables(tmp_path: Path) -> None:
    said = run_demo(tmp_path / "demo", "--driver", "expert", "--seconds", "3")
    out = tmp_path / "demo"
    assert "who drives: planner 'expert'" in said
    summary = (out / "summary.md").read_text()
    assert "| driving score |" in summary and "x real time" in summary
    for name in ("mosaic", "bev"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 10
    for film in ("drive_bev.gif", "drive_cameras.mp4"):
        frames = cv2.VideoCapture(str(out / film))
        shown, picture = frames.read()
        assert shown and picture.std() > 10, film
    assert list((out / "drive").glob("*.json")) and list((out / "drive").glob("*.npz"))
    topics = topics_of(out / "bag")
    assert {"/planning/trajectory", "/clock", "/tf_static", "/ground_truth/objects", "/simulator/result"} <= topics
    assert not [topic for topic in topics if topic.startswith("/view/mosaic")]
    run = summarise_run(out / "bag", lockstep=True)
    assert run.trajectories == 6
    assert sum(run.images.values()) == 36


@pytest.mark.slow
@pytest.mark.usefixtures("ros_domain")
def test_without_graphics_the_clip_is_replayed_to_the_driver(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    said = run_demo(out, "--seconds", "4", "--driver", "expert", "--explainer", "off", **WITHOUT_EGL)
    assert "apt-get install libegl1" in said or "pip install" in said
    assert "recorded clip" in said
    assert "'nano' looks at the clip" in said and "weights: nano" in said and "untrained" not in said.lower()
    for name in ("mosaic", "bev"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 10
    topics = topics_of(out / "bag")
    assert {"/planning/trajectory", "/diagnostics", "/tf_static", "/view/mosaic", "/clock"} <= topics
    run = summarise_run(out / "bag")
    assert run.trajectories >= 1
    # On a busy machine plans come too late and stops stand in for them, and the recorder loses images.
    assert run.stamps_kept == run.stamps_judged
    assert run.stamps_judged or run.stops
    assert len(run.images) == 6
    assert {"decode", "backbone", "total"} <= set(run.stages_ms)
