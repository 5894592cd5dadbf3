"""The deployed graph, still in torch: its inputs, and the same outputs as the network behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network_helpers import small_config, small_inputs, small_network

from aln_p3_core.driver.io import DEPLOYED_OUTPUTS
from aln_p3_core.driver.portable import portable
from aln_p3_core.runtime.deployed_graph import (
    DROPPED_PAIRS,
    OUTPUT_NAMES,
    DeployedGraph,
    example_inputs,
    graph_inputs,
)

RELEASED = {
    "compatibility": "vad_release",
    "ego_status": "bev",
    "rotate_center": [4, 4],
    "planner__bev_grid": 0,
    "planner__bev_read": 0,
    "planner__refinements": 0,
    "agents__query_source": "learned",
}
CASES = {
    "planner": {"ego_status": "planner"},
    "learned queries": {"agents__query_source": "learned", "ego_status": "none"},
    "bev": {"ego_status": "bev"},
    "two levels": {"backbone__levels": 2, "level_embeddings": 2},
    "released": RELEASED,
    "a query a command, two rounds": {
        "planner__command_queries": True,
        "planner__rounds": 2,
        "planner__reads_decoded": True,
        "planner__refinements": 0,
        "ego_status": "planner",
    },
}


def run_both(config, *, history, lost=(), rows=None, cameras_per_cell=2):
    """Outputs of the network as it drives, and of the graph, by name."""
    network = small_network(config)
    inputs = small_inputs(config, history=True)
    images = torch.randint(0, 256, (1, 6, config.image.height, config.image.width, 3), dtype=torch.uint8)
    rows = torch.full((1, 6), config.image.height if rows is None else rows)
    valid = torch.tensor([[camera not in lost for camera in range(6)]])
    if not history:
        inputs.can_bus_B18[:, :3] = inputs.can_bus_B18[:, -1] = 0.0
    given = {
        "images_BNHWC": images,
        "image_rows_BN": rows,
        "model2img_BN44": inputs.model2img_BN44.clone(),
        "camera_valid_BN": valid,
        # What is not read may be anything.
        "prev_bev_BRSD": inputs.prev_bev_BRSD if history else torch.full_like(inputs.prev_bev_BRSD, float("nan")),
        "T_prev_cur_B44": inputs.T_prev_cur_B44,
        "history_valid_B": torch.tensor([history]),
        "can_bus_B18": inputs.can_bus_B18,
        "ego_status_B8": inputs.ego_status_B8,
    }
    for camera in lost:
        given["model2img_BN44"][:, camera] = float("nan")
    arguments = [given[name] for name in graph_inputs(config)]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.image.mean, config.image.std))
    inputs.images_BNCHW = (images.permute(0, 1, 4, 2, 3) - mean) / std
    inputs.images_BNCHW[:, :, :, int(rows[0, 0]) :] = 0.0
    inputs.camera_valid_BN = valid
    inputs.model2img_BN44 = given["model2img_BN44"]
    if not history:
        inputs.prev_bev_BRSD = inputs.T_prev_cur_B44 = None
    with torch.no_grad():
        expected = network(inputs)
        with portable():
            outputs = DeployedGraph(network, cameras_per_cell).eval()(*arguments)
    return expected, dict(zip(OUTPUT_NAMES, outputs, strict=True))


def assert_same(expected, given):
    for name in DEPLOYED_OUTPUTS:
        torch.testing.assert_close(given[name], getattr(expected, name), atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("history", [True, False])
def test_same_outputs_as_the_network(case, history):
    expected, given = run_both(small_config(**CASES[case]), history=history)
    assert_same(expected, given)
    assert given[DROPPED_PAIRS].tolist() == [0]


def test_lost_cameras_and_padding():
    config = small_config()
    expected, given = run_both(config, history=True, lost=(0, 4), rows=50)
    assert_same(expected, given)
    padded_differently = run_both(config, history=True, lost=(0, 4), rows=64)[0]
    assert not torch.equal(expected.bev_BRSD, padded_differently.bev_BRSD)


def test_pairs_that_do_not_fit_are_counted():
    _, given = run_both(small_config(), history=True, cameras_per_cell=1)
    assert given[DROPPED_PAIRS].item() > 0
    assert given["plan_offsets_B3T2"].isfinite().all()


def test_inputs_are_those_that_the_recipe_reads():
    names = set(graph_inputs(small_config(ego_status="none")))
    assert "can_bus_B18" not in names and "ego_status_B8" not in names and "T_prev_cur_B44" in names
    assert "ego_status_B8" in graph_inputs(small_config(ego_status="planner"))
    released = graph_inputs(small_config(**RELEASED))
    assert "can_bus_B18" in released and "T_prev_cur_B44" not in released
    for name, array in example_inputs(small_config()).items():
        wanted = graph_inputs(small_config())[name]
        assert array.shape == wanted.shape and array.dtype == np.dtype(wanted.dtype)
