"""A driver from any file that holds one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aln_p3_core.driver import Driver
from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.runtime.loading import load_driver
from aln_p3_core.runtime.onnx_session import OnnxDriver
from aln_p3_core.world.closed_loop.campaign import choose_planners
from aln_p3_core.world.planners.registry import make_planner

pytestmark = pytest.mark.slow


def test_the_ending_says_what_runs_it(exported_small: Path) -> None:
    for name, kind in (("safetensors", Driver), ("onnx", OnnxDriver)):
        path = exported_small / f"small.{name}"
        assert isinstance(load_driver(path, recipe="nano", device="cpu", precision="fp32"), kind)
        with pytest.raises(CheckpointError, match=r"nano.*not 'tiny'"):
            load_driver(path, recipe="tiny")


def test_settings_that_a_graph_does_not_have_are_refused(exported_small: Path) -> None:
    for name in ("small.onnx", "small.pt2"):
        with pytest.raises(ConfigError, match="cannot run in bf16"):
            load_driver(exported_small / name, precision="bf16")
        with pytest.raises(ConfigError, match="compile_mode"):
            load_driver(exported_small / name, compile_mode="default")
    with pytest.raises(ConfigError, match="cannot run on cuda"):
        load_driver(exported_small / "small.pt2", device="cuda")


def test_a_driver_drives_without_its_guard_when_it_is_named_so(exported_small: Path) -> None:
    file = str(exported_small / "small.onnx")
    with_guard, without = make_planner(file, device="cpu"), make_planner(f"unguarded:{file}", device="cpu")
    assert with_guard.driver.guarded and not without.driver.guarded
    assert without.name == "unguarded:small"
    labels = [choice.label for choice in choose_planners([file, f"unguarded:{file}"])]
    assert labels == ["small", "unguarded-small"]


def test_an_exported_driver_is_a_planner_of_the_world(exported_small: Path) -> None:
    planner = make_planner(str(exported_small / "small.onnx"), device="cpu")
    assert planner.name == "small" and isinstance(planner.driver, OnnxDriver)
