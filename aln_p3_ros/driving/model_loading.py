"""The driver that the parameters ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.weights import SHIPPED
from aln_p3_ros.driving.driver_settings import DriverSettings

if TYPE_CHECKING:
    from aln_p3_core.driver.frame_driver import FrameDriver


def load_driver(settings: DriverSettings) -> FrameDriver:
    """Loads the shipped driver, a checkpoint or an exported driver, or builds an untrained recipe.

    A recipe or changes to it take the place of the shipped driver, which is what runs when nothing is said: as the
    command line has it. The driver is told the size of the vehicle.

    Raises:
        ConfigError: for an unknown recipe, override, device or precision, and when the checkpoint is an .onnx file but
            onnxruntime is not installed.
        CheckpointError: when the checkpoint is missing, damaged or of another recipe.
    """
    from aln_p3_core.driver.driver import Driver
    from aln_p3_core.runtime.loading import load_driver as load_file

    overrides = settings.overrides()
    if settings.cameras:
        overrides["cameras"] = list(settings.cameras)
    common: dict[str, Any] = {
        "device": settings.device,
        "precision": settings.precision,
        "compile_mode": settings.compile_mode,
    }
    is_shipped = settings.checkpoint in SHIPPED
    if not settings.checkpoint or (is_shipped and (settings.recipe or settings.recipe_overrides)):
        untrained = Driver.from_recipe(settings.recipe or "nano", overrides=overrides, seed=settings.seed, **common)
        untrained.vehicle = settings.vehicle()
        return untrained
    driver = load_file(settings.checkpoint, recipe=settings.recipe or None, **common)
    if settings.recipe_overrides:
        raise ConfigError("a checkpoint holds its own recipe: leave recipe_overrides empty")
    if settings.cameras and settings.cameras != driver.config.cameras:
        raise ConfigError(
            f"the checkpoint drives with the cameras {list(driver.config.cameras)}, not {list(settings.cameras)}"
        )
    driver.vehicle = settings.vehicle()
    return driver
