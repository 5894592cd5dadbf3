"""Roots that tests write, and a small exported driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_root import MadeUpRoot


@pytest.fixture
def make_root(tmp_path: Path) -> Callable[..., Path]:
    """Writes a `MadeUpRoot` with the given fields into a temporary folder and returns the folder."""
    return lambda **fields: MadeUpRoot(**fields).write(tmp_path / "root")


@pytest.fixture(scope="session")
def exported_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one small driver in all its forms: small.safetensors, small.onnx, small.pt2 (half a minute)."""
    from network_helpers import small_config, small_network

    from aln_p3_core.driver.checkpoint import save_checkpoint
    from aln_p3_core.runtime.export import export_driver

    folder = tmp_path_factory.mktemp("exported")
    config = small_config(ego_status="planner", agents__layers=1, map__layers=1)
    told = {"description": "a small one"}
    digest = save_checkpoint(folder / "small.safetensors", small_network(config), config, told)
    for format, name in (("onnx", "small.onnx"), ("torch", "small.pt2")):
        export_driver(small_network(config), folder / name, format, weights_hash=digest, **told)
    return folder
