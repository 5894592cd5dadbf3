"""A driver from any file that holds one: a checkpoint, an ONNX graph or a torch program."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.driver.driver import CompileMode, Driver
from aln_p3_core.driver.frame_driver import FrameDriver
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.weights import resolve_checkpoint


def load_driver(
    path: str | Path,
    *,
    recipe: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    compile_mode: CompileMode = "off",
) -> FrameDriver:
    """The driver of a file, by the ending of its name: `.onnx`, `.pt2`, anything else is a checkpoint.

    Args:
        path: the file, or the name of a driver that ships with the package (`weights.SHIPPED`).
        recipe: when given, the name of the recipe that the file must be of.
        device, precision, compile_mode: as for `Driver`. An exported graph computes in float32, as it is, and a torch
            program on the CPU.

    Raises:
        CheckpointError: when the file is missing, damaged or of another recipe.
        ConfigError: for settings that the file's kind does not have, and for packages that are not installed.
    """
    path = resolve_checkpoint(path)
    suffix = path.suffix
    if suffix not in (".onnx", ".pt2"):
        return Driver.from_checkpoint(
            path, recipe=recipe, device=device, precision=precision, compile_mode=compile_mode
        )
    if precision not in ("auto", "fp32"):
        raise ConfigError(f"an exported graph computes in fp32: {path} cannot run in {precision}")
    if compile_mode != "off":
        raise ConfigError(f"an exported graph is compiled by its own runtime: leave compile_mode off for {path}")
    driver: FrameDriver
    if suffix == ".onnx":
        from aln_p3_core.runtime.onnx_session import OnnxDriver

        driver = OnnxDriver(path, device=device)
    else:
        from aln_p3_core.runtime.program_session import ProgramDriver

        if device not in ("auto", "cpu"):
            raise ConfigError(f"an exported torch program runs on the CPU here: {path} cannot run on {device}")
        driver = ProgramDriver(path)
    if recipe not in (None, driver.config.name):
        raise CheckpointError(f"{path} is of the recipe {driver.config.name!r}, not {recipe!r}")
    return driver
