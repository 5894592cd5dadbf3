"""`aln-p3 world drive --ros` gives what `aln-p3 world drive` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from world_ros_helpers import needs_rendering

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.scenarios import make_episode
from aln_p3_ros.commands.world import command
from aln_p3_ros.simulator import route_driver
from aln_p3_ros.simulator.route_driver import RosRouteDriver, _driver_plan, _resolved

pytestmark = pytest.mark.usefixtures("ros_domain")
CITY = "poplar-green"


def drive(out: Path, planner: str, *options: str) -> tuple[dict[str, Any], bytes]:
    """The report of one route and the bytes of its trace."""
    arguments = ["drive", "--planner", planner, "--scenario", "free_driving", "--city", CITY, "--report", str(out)]
    result = CliRunner().invoke(command, [*arguments, "--traces", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (report,) = (out / "routes").glob("*/*.json")
    return json.loads(report.read_text()), report.with_suffix(".npz").read_bytes()


def assert_equal(through: tuple[dict[str, Any], bytes], plain: tuple[dict[str, Any], bytes]) -> None:
    assert (through[0].pop("through"), plain[0].pop("through")) == ("ros", "python")
    for report, _ in (through, plain):
        report.pop("commit")  # a working tree may change between the two
    assert through[0] == plain[0]
    assert through[1] == plain[1]


def test_a_planner_that_does_not_look_drives_the_same(tmp_path: Path) -> None:
    options = ("--time-limit", "3")
    assert_equal(drive(tmp_path / "ros", "expert", *options, "--ros"), drive(tmp_path / "python", "expert", *options))


def test_the_driver_node_is_told_its_precision_and_the_report_too(tmp_path: Path) -> None:
    assert _resolved("untrained:nano", "bf16") == "bf16"
    assert _resolved("untrained:nano", "auto") in ("fp32", "bf16", "fp16")
    exported = tmp_path / "driver.onnx"
    exported.touch()
    assert _resolved(str(exported), "auto") == "fp32", "a graph computes as it is"
    plan = _driver_plan("untrained:nano", 1, "bf16")
    (node,) = (spec for spec in plan.nodes if spec.name == "driver_node")
    assert node.parameters["precision"] == "bf16"


@needs_rendering
@pytest.mark.slow
def test_a_network_in_a_node_of_its_own_drives_the_same(tmp_path: Path) -> None:
    """As good as: in another process the sums of a network may be rounded otherwise."""
    options = ("--time-limit", "1.5")
    through, _ = drive(tmp_path / "ros", "untrained:nano", *options, "--ros")
    plain, _ = drive(tmp_path / "python", "untrained:nano", *options)
    assert (through["through"], plain["through"]) == ("ros", "python")
    for name in ("planner", "checkpoint_hash", "episode", "settings"):
        assert through[name] == plain[name], name
    through, plain = through["measures"], plain["measures"]
    assert (through["status"], through["counts"]) == (plain["status"], plain["counts"])
    for name in ("distance_m", "mean_speed", "driving_score"):
        assert through[name] == pytest.approx(plain[name], rel=0.01), name
    position = lambda measures: [measures["infractions"][-1][axis] for axis in "xy"]  # noqa: E731
    assert position(through) == pytest.approx(position(plain), abs=0.05)


@pytest.mark.slow
def test_a_driver_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    driver = RosRouteDriver()
    try:
        with pytest.raises(AlnP3Error, match=r"(?s)ended \(exit code 1\).*no recipe is named 'nono'"):
            driver(make_episode("free_driving", CITY, 0), "untrained:nono", DriveSettings())
    finally:
        driver.close()


@needs_rendering
@pytest.mark.slow
def test_a_driver_without_an_answer_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is planned in no time; the driver is there, and its log says what it was at."""
    monkeypatch.setattr(route_driver, "_PLAN_S", 0.0)
    driver = RosRouteDriver()
    try:
        with pytest.raises(AlnP3Error, match=r"(?s)no trajectory for the images.*its last words:.*driver_node"):
            driver(make_episode("free_driving", CITY, 0), "untrained:nano", DriveSettings())
    finally:
        driver.close()
