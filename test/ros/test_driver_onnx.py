"""The real driver node with an exported driver: six images in, a trajectory of the network out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from driver_helpers import driver_test, values, wait_until
from rclpy.context import Context

from aln_p3_core.config import get_recipe, with_overrides
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.runtime.export import export_driver
from aln_p3_ros.driving.driver_settings import DriverSettings
from aln_p3_ros.driving.model_loading import load_driver

SMALL = {
    "image.height": 64,
    "image.width": 96,
    "backbone.pretrained": False,
    "bev.rows": 8,
    "bev.columns": 8,
    "bev.layers": 1,
    "agents.queries": 10,
    "agents.layers": 1,
    "map.instances": 5,
    "map.layers": 1,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One small driver as a checkpoint and as an ONNX file."""
    folder = tmp_path_factory.mktemp("exported")
    config = with_overrides(get_recipe("nano"), SMALL)
    network = DriverNetwork(config, load_pretrained=False).eval()
    digest = save_checkpoint(folder / "small.safetensors", network, config)
    export_driver(network, folder / "small.onnx", "onnx", description="a small one", weights_hash=digest)
    return folder / "small.safetensors", folder / "small.onnx"


@pytest.mark.slow
def test_the_node_drives_with_an_onnx_file(ros_context: Context, files: tuple[Path, Path]) -> None:
    plans = []
    for file in files:
        parameters = {"checkpoint": str(file), "device": "cpu", "precision": "fp32"}
        with driver_test(ros_context, factory=load_driver, parameters=parameters) as test:
            test.activate()
            trajectory = test.drive(3)
            assert trajectory.degraded == PlannedTrajectory.DEGRADED_NONE, trajectory.degraded_reasons
            plans.append(trajectory)
            if file.suffix == ".onnx":
                wait_until(lambda: "network_ms" in values(test.listener.status("latency")), "latencies")
                assert "a small one, exported, ONNX Runtime" in test.listener.status("model").message
    assert plans[0].checkpoint_hash == plans[1].checkpoint_hash != ""
    points = [[(p.pose.position.x, p.pose.position.y) for p in plan.points] for plan in plans]
    assert np.abs(points[0]).max() > 1e-3, "a plan that stands still proves nothing"
    np.testing.assert_allclose(points[0], points[1], atol=1e-3)


@pytest.mark.slow
def test_settings_that_an_onnx_file_does_not_have_are_refused(files: tuple[Path, Path]) -> None:
    onnx = str(files[1])
    with pytest.raises(ConfigError, match="cannot run in bf16"):
        load_driver(DriverSettings(checkpoint=onnx, precision="bf16"))
    with pytest.raises(ConfigError, match="recipe_overrides"):
        load_driver(DriverSettings(checkpoint=onnx, recipe_overrides=("bev.rows=9",)))
    with pytest.raises(ConfigError, match="CAM_FRONT"):
        load_driver(DriverSettings(checkpoint=onnx, cameras=("LEFT",)))
