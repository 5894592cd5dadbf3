"""The simulator's settings, the file that repeats them, and the drives that they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.closed_loop.drives import LogDrive
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.scenarios import route_set
from aln_p3_core.world.weather import Condition, draw_weather
from aln_p3_ros.parameters import setting_infos
from aln_p3_ros.resources import config_directory
from aln_p3_ros.simulator.drives import drives_of
from aln_p3_ros.simulator.simulator_settings import SimulatorSettings


def test_the_file_holds_every_parameter_with_its_default() -> None:
    values = yaml.safe_load((config_directory() / "simulator.yaml").read_text())["/**"]["ros__parameters"]
    expected = {
        name: (list(default) or [""]) if isinstance(default, tuple) else default
        for name, (default, _) in setting_infos(SimulatorSettings).items()
    }
    assert values == expected
    assert {name: type(value) for name, value in values.items()} == {n: type(v) for n, v in expected.items()}


def test_settings_become_those_of_the_closed_loop() -> None:
    drive = SimulatorSettings(camera_rate_hz=5, size="800x450", duration_s=7.0, blocked_after_s=3.0).drive_settings()
    assert (drive.rate_hz, drive.size, drive.images) == (5, (800, 450), True)
    assert (drive.time_limit_s, drive.blocked_after_s) == (7.0, 3.0)
    assert SimulatorSettings().drive_settings().time_limit_s is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"camera_rate_hz": 3}, "3 Hz does not fit"),
        ({"size": "640x480"}, "400x225"),
        ({"routes": "quick", "log": "x.npz"}, "either routes or log"),
        ({"log": "/nowhere.npz"}, "no recorded log"),
        ({"condition": "fog"}, "day, dusk"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulatorSettings(**values)


def test_a_scenario_a_set_of_routes_and_a_log_are_drives(tmp_path: Path) -> None:
    (drive,) = drives_of(SimulatorSettings(scenario="cut_in", city="iris-bridge", seed=4))
    assert isinstance(drive, Episode)
    assert (drive.scenario, drive.city, drive.seed) == ("cut_in", "iris-bridge", 4)
    assert drive.weather == draw_weather(4)
    (night,) = drives_of(SimulatorSettings(condition="night", seed=4))
    assert night.weather == draw_weather(4, Condition.NIGHT)
    assert drives_of(SimulatorSettings(routes="quick", split="mini")) == route_set("quick", 1, split="mini")
    log = tmp_path / "scene.npz"
    log.touch()
    (recorded,) = drives_of(SimulatorSettings(log=str(log), log_mode="react", condition="rain"))
    assert isinstance(recorded, LogDrive)
    assert (recorded.path, recorded.mode, recorded.weather.condition) == (log, "react", Condition.RAIN)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"scenario": "cutin"}, "did you mean cut_in"), ({"city": "iris-brigde"}, "did you mean iris-bridge")],
)
def test_what_does_not_exist_is_refused_with_a_suggestion(values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        drives_of(SimulatorSettings(**values))
