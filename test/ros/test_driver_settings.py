"""The driver's settings, and the file that repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.vehicle import NUSCENES_VEHICLE, VehicleSize
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.parameters import setting_infos

FILE = Path(__file__).resolve().parents[2] / "config" / "driver.yaml"


def test_the_file_holds_every_parameter_with_its_default() -> None:
    values = yaml.safe_load(FILE.read_text())["/**"]["ros__parameters"]
    expected = {
        name: (list(default) or [""]) if isinstance(default, tuple) else default
        for name, (default, _) in setting_infos(DriverSettings).items()
    }
    assert values == expected
    assert {name: type(value) for name, value in values.items()} == {n: type(v) for n, v in expected.items()}


def test_the_file_explains_every_parameter() -> None:
    lines = FILE.read_text().splitlines()
    for name in setting_infos(DriverSettings):
        index = next(i for i, line in enumerate(lines) if line.startswith(f"    {name}:"))
        assert lines[index - 1].strip().startswith("#"), name


def test_every_parameter_is_described() -> None:
    for name, (_, info) in setting_infos(DriverSettings).items():
        assert (len(info.description) > 10 and info.description[0].isupper()) or "/" in info.description, name


@pytest.mark.parametrize(
    "change", [{"precision": "fp8"}, {"model_frame": "roof"}, {"default_command": "u_turn"}, {"distortion": "yes"}]
)
def test_choices_are_checked(change: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        DriverSettings(**change)


def test_a_plan_is_degraded_before_it_gives_way_to_a_stop() -> None:
    with pytest.raises(ConfigError, match="must not be above max_plan_age_s"):
        DriverSettings(reduced_plan_age_s=2.0, max_plan_age_s=1.5)


def test_the_vehicle_is_one_that_can_be() -> None:
    assert DriverSettings().vehicle() == NUSCENES_VEHICLE
    settings = DriverSettings(vehicle_length_m=9.0, vehicle_width_m=2.5, vehicle_middle_m=3.0)
    assert settings.vehicle() == VehicleSize(9.0, 2.5, 3.0)
    with pytest.raises(ConfigError, match=r"middle 3 m ahead"):
        DriverSettings(vehicle_middle_m=3.0)


def test_overrides_are_json() -> None:
    settings = DriverSettings(recipe_overrides=("bev.rows=40", 'ego_status="planner"'))
    assert settings.overrides() == {"bev.rows": 40, "ego_status": "planner"}
    for entry in ("bev.rows", "bev.rows=", "=3", "ego_status=planner"):
        with pytest.raises(ConfigError, match=r"bev\.rows=50"):
            DriverSettings(recipe_overrides=(entry,))


def test_strings_per_camera() -> None:
    pattern = DriverSettings(camera_frames=("{camera}_optical",))
    assert pattern.per_camera("camera_frames", NUSCENES_CAMERAS)["CAM_BACK"] == "cam_back_optical"
    each = DriverSettings(camera_frames=("a", "b"))
    assert each.per_camera("camera_frames", ("LEFT", "RIGHT")) == {"LEFT": "a", "RIGHT": "b"}
    with pytest.raises(ConfigError, match="6 cameras"):
        each.per_camera("camera_frames", NUSCENES_CAMERAS)
