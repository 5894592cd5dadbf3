"""The driver's network as a whole."""

from dataclasses import replace

import pytest
import torch
from network_helpers import sample_of, small_config, small_inputs, small_network

from aln_p3_core.config import RECIPES, get_recipe
from aln_p3_core.driver.io import DEPLOYED_OUTPUTS, DriverOutputs
from aln_p3_core.driver.network import DriverNetwork

#: Fields whose first dimension is the decoder layer, not the batch.
PER_LAYER = {"agent_logits_LBQC", "agent_boxes_LBQ10", "map_logits_LBVC", "map_points_LBVP2"}


def outputs_of(outputs: DriverOutputs) -> dict[str, torch.Tensor]:
    return {name: getattr(outputs, name) for name in DEPLOYED_OUTPUTS}


def assert_same(a: DriverOutputs, b: DriverOutputs, atol: float = 2e-5) -> None:
    for name, tensor in outputs_of(a).items():
        torch.testing.assert_close(tensor, outputs_of(b)[name], atol=atol, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


@torch.no_grad()
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("ego_status", ["none", "bev", "planner"])
def test_shapes(history, ego_status):
    config = small_config(ego_status=ego_status)
    out = small_network(config)(small_inputs(config, batch=2, history=history))
    layers, agents, lines = config.agents.layers, config.agents, config.map
    shapes = {name: tuple(t.shape) for name, t in outputs_of(out).items()}
    assert shapes == {
        "bev_BRSD": (2, 16, 8, 32),
        "agent_logits_LBQC": (layers, 2, agents.queries, 10),
        "agent_boxes_LBQ10": (layers, 2, agents.queries, 10),
        "agent_forecasts_BQMT2": (2, agents.queries, 6, 6, 2),
        "agent_mode_logits_BQM": (2, agents.queries, 6),
        "agent_states_BQD": (2, agents.queries, 32),
        "motion_BQM2D": (2, agents.queries, 6, 64),
        "map_logits_LBVC": (lines.layers, 2, lines.instances, 3),
        "map_points_LBVP2": (lines.layers, 2, lines.instances, 5, 2),
        "map_tokens_BVD": (2, lines.instances, 32),
        "ego_features_B2D": (2, 64),
        "plan_offsets_B3T2": (2, 3, 6, 2),
    }
    assert all(torch.isfinite(t).all() for t in outputs_of(out).values())


@torch.no_grad()
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("overrides", [{}, {"ego_status": "bev", "compatibility": "vad_release"}])
def test_a_batch_equals_its_samples_alone(history, overrides):
    config = small_config(**overrides)
    network = small_network(config)
    inputs = small_inputs(config, batch=2, history=history)
    inputs.camera_valid_BN[1, 2] = False
    both = outputs_of(network(inputs))
    for i in range(2):
        alone = outputs_of(network(sample_of(inputs, i)))
        for name, tensor in both.items():
            part = tensor[:, i : i + 1] if name in PER_LAYER else tensor[i : i + 1]
            torch.testing.assert_close(part, alone[name], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_pixels_of_a_lost_camera_change_nothing():
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config)
    inputs.camera_valid_BN[0, 3] = False
    before = network(inputs)
    inputs.images_BNCHW[0, 3] = 1e3
    inputs.model2img_BN44[0, 3] = 0.0
    assert_same(before, network(inputs), atol=0.0)
    inputs.camera_valid_BN[0, 3] = True
    inputs.model2img_BN44[0, 3] = small_inputs(config).model2img_BN44[0, 3]
    assert not torch.allclose(before.bev_BRSD, network(inputs).bev_BRSD)


@pytest.mark.parametrize("grad", [False, True])
def test_drives_blind_without_any_camera(grad):
    config = small_config()
    inputs = small_inputs(config)
    inputs.camera_valid_BN[:] = False
    with torch.set_grad_enabled(grad):
        out = small_network(config)(inputs)
    assert all(torch.isfinite(t).all() for t in outputs_of(out).values())


class Unreadable:
    """Stands where an input must not be read."""

    def __getattr__(self, name):
        raise AssertionError("this input must not be read")


@torch.no_grad()
def test_ego_status_none_reads_neither_can_bus_nor_velocity():
    config = small_config(ego_status="none")
    inputs = small_inputs(config)
    network = small_network(config)
    expected = network(inputs)
    inputs.can_bus_B18 = inputs.ego_status_B8 = Unreadable()
    assert_same(expected, network(inputs), atol=0.0)


@torch.no_grad()
@pytest.mark.parametrize(("ego_status", "read", "unread"), [
    ("bev", "can_bus_B18", "ego_status_B8"),
    ("planner", "ego_status_B8", "can_bus_B18"),
])  # fmt: skip
def test_each_ego_status_reads_its_own_input_only(ego_status, read, unread):
    config = small_config(ego_status=ego_status)
    network = small_network(config)
    inputs = small_inputs(config)
    before = network(inputs)
    setattr(inputs, unread, Unreadable())
    setattr(inputs, read, getattr(inputs, read) + 1.0)
    after = network(inputs)
    assert not torch.allclose(before.plan_offsets_B3T2, after.plan_offsets_B3T2)
    assert torch.equal(before.bev_BRSD, after.bev_BRSD) == (ego_status == "planner")
    setattr(inputs, read, None)
    with pytest.raises(ValueError, match=read):
        network(inputs)


def test_training_after_inference_with_the_same_calibration():
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config)
    with torch.inference_mode():
        network(inputs)
    network(inputs).plan_offsets_B3T2.sum().backward()
    assert network.bev_encoder.queries.grad is not None


@pytest.mark.parametrize("overrides", [{}, {"ego_status": "planner"}, {"ego_status": "bev"}])
def test_gradients_reach_every_parameter(overrides):
    config = small_config(**overrides)
    network = small_network(config).train()
    out = network(small_inputs(config, batch=2))
    # Tokens and features are covered by what is computed from them. The map's and agents' own losses are
    # taken on every layer.
    loss = sum(
        getattr(out, name).float().square().sum()
        for name in (
            *PER_LAYER,
            "agent_forecasts_BQMT2",
            "agent_mode_logits_BQM",
            "plan_offsets_B3T2",
            "agent_heatmap_BCRS",
        )
    )
    loss.backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.any())
    ]
    assert without == []


@torch.no_grad()
def test_training_form_and_fast_form_agree():
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config, batch=2)
    fast = network(inputs)
    with torch.enable_grad():
        slow = network(inputs)
    assert slow.plan_offsets_B3T2.requires_grad
    assert_same(fast, slow, atol=5e-5)


@torch.no_grad()
@pytest.mark.parametrize("overrides", [{}, {"backbone__kind": "resnet50", "backbone__out_stages": (3, 4)}])
def test_fusing_changes_no_output(overrides):
    config = small_config(**overrides)
    network = small_network(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.uniform_(0.5, 1.5)
    inputs = small_inputs(config)
    assert_same(network(inputs), network.fuse_for_inference()(inputs), atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close(precision):
    # Rounding reorders the peaks of an untrained heat map, and with them the queries.
    config = small_config(agents__query_source="learned")
    network = small_network(config)
    inputs = small_inputs(config)
    exact = network(inputs)
    inputs.prev_bev_BRSD = inputs.prev_bev_BRSD.to(torch.bfloat16 if precision == "bf16" else torch.float16)
    rounded = network.set_precision(precision)(inputs)
    assert (exact.plan_offsets_B3T2 - rounded.plan_offsets_B3T2).abs().max() < 0.05
    assert (exact.agent_boxes_LBQ10 - rounded.agent_boxes_LBQ10).abs().mean() < 0.05
    assert_same(exact, network.set_precision("fp32")(small_inputs(config)), atol=0.2)


@pytest.mark.parametrize("grad", [False, True])
def test_autocast_leaves_coordinates_exact(grad):
    # Rounding reorders the peaks of an untrained heat map, and with them the queries.
    config = small_config(agents__query_source="learned")
    network = small_network(config)
    inputs = small_inputs(config)
    with torch.set_grad_enabled(grad):
        exact = network(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(inputs)
    assert rounded.agent_boxes_LBQ10.dtype == rounded.plan_offsets_B3T2.dtype == torch.float32
    assert (exact.plan_offsets_B3T2 - rounded.plan_offsets_B3T2).abs().max() < 0.05
    assert (exact.agent_boxes_LBQ10 - rounded.agent_boxes_LBQ10).abs().mean() < 0.05


@torch.no_grad()
def test_stages_chained_by_hand_equal_forward():
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config)
    features = network.extract_features(inputs.images_BNCHW)
    assert [tuple(f.shape) for f in features] == [(6, 32, 4, 6)]
    bev = network.encode_bev(features, inputs)
    assert_same(network(inputs), network.plan(bev, network.decode(bev), inputs, features), atol=0.0)


@pytest.mark.slow
@torch.inference_mode()
def test_each_stage_is_one_graph_for_the_compiler():
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config)
    geometry = network.geometry(inputs)
    extract, encode, decode, plan = (
        torch.compile(stage, fullgraph=True, backend="eager")
        for stage in (network.extract_features, network.encode_bev, network.decode, network.plan)
    )
    features = extract(inputs.images_BNCHW)
    bev = encode(features, inputs, geometry)
    assert_same(network(inputs), plan(bev, decode(bev), inputs, features))


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_can_be_built(name):
    with torch.device("meta"):
        DriverNetwork(replace(get_recipe(name)), load_pretrained=False)


@torch.no_grad()
def test_velocity_prior_goes_on_as_the_car_moves():
    config = small_config(ego_status="planner", planner__velocity_prior=True, planner__refinements=0)
    network = small_network(config)
    network.planner.plan_head[-1].weight.zero_()
    network.planner.plan_head[-1].bias.zero_()
    inputs = small_inputs(config, batch=2)
    inputs.ego_status_B8 = torch.zeros(2, 8)
    inputs.ego_status_B8[0, :5] = torch.tensor([8.0, 0.5, 0.1, 8.0, 1.0])
    plan = network(inputs).plan_offsets_B3T2.cumsum(-2)
    # 8 m/s ahead and 0.5 m/s to the left, for 3 s, in the model frame (x right, y forward).
    torch.testing.assert_close(plan[0, :, -1], torch.tensor([-1.5, 24.0]).expand(3, 2))
    assert not plan[1].any()
