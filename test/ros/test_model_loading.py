"""The driver that the parameters ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.vehicle import VehicleSize
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.model_loading import load_driver

# The smallest driver that the recipes allow: quick to build, and all that is looked at here is its configuration.
SMALL = ("bev.rows=8", "bev.columns=8", "agents.queries=10", "map.instances=5", "backbone.pretrained=false")


def test_the_driver_that_ships_unless_a_recipe_is_named() -> None:
    from aln_p3_core.driver.checkpoint import load_checkpoint

    config, _, metadata = load_checkpoint("nano")
    for settings in (DriverSettings(device="cpu"), DriverSettings(checkpoint="nano", device="cpu", precision="fp32")):
        driver = load_driver(settings)
        assert (driver.config, driver.checkpoint_hash) == (config, metadata["sha256"])
        assert driver.description == metadata["description"]
    for fresh in ({"recipe": "nano"}, {"checkpoint": ""}, {"recipe_overrides": SMALL}):
        assert "untrained heads" in load_driver(DriverSettings(device="cpu", **fresh)).description, fresh
    with pytest.raises(ConfigError, match="LEFT"):
        load_driver(DriverSettings(cameras=("LEFT",), device="cpu"))


def test_the_guard_knows_the_size_of_the_vehicle() -> None:
    size = {"vehicle_length_m": 9.0, "vehicle_width_m": 2.5, "vehicle_middle_m": 3.0}
    for named in ({}, {"recipe_overrides": SMALL}):
        driver = load_driver(DriverSettings(device="cpu", precision="fp32", **named, **size))
        assert driver.guarded and driver.vehicle == VehicleSize(9.0, 2.5, 3.0)


def test_recipe_overrides_seed_and_rig() -> None:
    cameras = ("LEFT", "RIGHT")
    overrides = (*SMALL, 'planner.image_camera="LEFT"')
    settings = DriverSettings(recipe_overrides=overrides, device="cpu", precision="fp32", cameras=cameras, seed=3)
    driver = load_driver(settings)
    assert driver.config.bev.rows == 8 and driver.config.cameras == cameras
    assert driver.device.type == "cpu" and driver.precision == "fp32" and "seed 3" in driver.description


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nano"):
        load_driver(DriverSettings(recipe="mega"))
    with pytest.raises(ConfigError, match=r"bev\.rows"):
        load_driver(DriverSettings(recipe_overrides=("bev.row=8",)))
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        load_driver(DriverSettings(checkpoint=str(tmp_path / "gone.safetensors")))


def test_a_checkpoint_brings_its_own_recipe_and_rig(tmp_path: Path) -> None:
    from aln_p3_core.driver.checkpoint import save_checkpoint

    made = load_driver(DriverSettings(recipe_overrides=SMALL, device="cpu", precision="fp32"))
    path = tmp_path / "small.safetensors"
    fresh = type(made.network)(made.config)
    save_checkpoint(path, fresh, made.config, {"description": "a small one"})
    driver = load_driver(DriverSettings(checkpoint=str(path), device="cpu", precision="fp32"))
    assert driver.config == made.config and driver.description == "a small one"
    with pytest.raises(ConfigError, match="recipe_overrides"):
        load_driver(DriverSettings(checkpoint=str(path), recipe_overrides=SMALL, device="cpu"))
    with pytest.raises(ConfigError, match="CAM_FRONT"):
        load_driver(DriverSettings(checkpoint=str(path), cameras=("LEFT",), device="cpu"))
    with pytest.raises(CheckpointError, match=r"'nano', not 'tiny'"):
        load_driver(DriverSettings(checkpoint=str(path), recipe="tiny", device="cpu"))
    same = DriverSettings(checkpoint=str(path), recipe="nano", cameras=NUSCENES_CAMERAS, device="cpu", precision="fp32")
    assert load_driver(same).config.cameras == NUSCENES_CAMERAS
