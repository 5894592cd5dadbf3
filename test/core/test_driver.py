"""The driver as a whole, on the painted test track."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from aln_p3_core.config import get_recipe, with_overrides
from aln_p3_core.driver import Driver
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import CheckpointError, ConfigError, ImageError, InvalidFrameError
from aln_p3_core.frame import Command, CommandProvenance, EgoStatus, EncodedImage, RouteCommand
from aln_p3_core.runtime.plan_report import tensor_hashes
from aln_p3_core.synthetic.frames import track_frames

SMALL = {"bev.rows": 20, "bev.columns": 10, "agents.queries": 30, "map.instances": 8}


@pytest.fixture(scope="module")
def frames():
    return track_frames(3, rate_hz=2.0, size=(400, 225))


def small_driver(**settings):
    overrides = {**SMALL, **settings.pop("overrides", {})}
    return Driver.from_recipe("nano", overrides=overrides, precision=settings.pop("precision", "fp32"), **settings)


@pytest.fixture
def driver():
    return small_driver()


def test_scene_has_everything_a_consumer_reads(driver, frames):
    scene = driver.plan(frames[0], with_tokens=True)
    assert scene.plan.trajectories_model.shape == (3, 6, 2)
    assert np.isfinite(scene.plan.trajectories_model).all()
    assert scene.newest_image_stamp_ns == frames[0].reference_stamp_ns
    agents = scene.agents
    assert agents.forecasts_model.shape[1:] == (6, 6, 2)
    np.testing.assert_allclose(agents.forecast_probabilities.sum(axis=1), 1, atol=1e-5)
    assert (np.diff(agents.scores) <= 0).all() and (np.diff(scene.map_elements.scores) <= 0).all()
    assert (agents.sizes_lwh > 0).all()
    assert scene.tokens.bev.shape == (20, 10, driver.config.embed_dims)
    assert scene.tokens.agents.shape[0] == 30 and agents.query_ids.max() < 30
    assert set(scene.timings_ms) >= {"decode", "resize", "backbone", "bev_encoder", "decoders", "planner"}


def test_same_seed_same_outputs(frames):
    hashes = [tensor_hashes(small_driver(seed=4).infer(frames[0]).outputs) for _ in range(2)]
    assert hashes[0] == hashes[1]
    assert tensor_hashes(small_driver(seed=5).infer(frames[0]).outputs) != hashes[0]


def test_a_checkpoint_drives_as_the_network_that_was_saved(frames, tmp_path):
    config = with_overrides(get_recipe("nano"), SMALL)
    torch.manual_seed(11)
    network = DriverNetwork(config)
    path = tmp_path / "driver.safetensors"
    stored = save_checkpoint(path, network, config, {"description": "nano, trained on nothing"})
    loaded = Driver.from_checkpoint(path, recipe="nano", device="cpu", precision="fp32")
    direct = Driver(config, network, device="cpu", precision="fp32")
    assert loaded.checkpoint_hash == direct.checkpoint_hash == stored
    assert loaded.description == "nano, trained on nothing"
    assert tensor_hashes(loaded.infer(frames[0]).outputs) == tensor_hashes(direct.infer(frames[0]).outputs)
    with pytest.raises(CheckpointError, match=r"nano.*not 'tiny'"):
        Driver.from_checkpoint(path, recipe="tiny")


def test_memory_is_used_and_matters(driver, frames):
    first = driver.infer(frames[0])
    second = driver.infer(frames[1])
    assert first.history_age_s is None
    assert second.history_age_s == pytest.approx(0.5)
    fresh = small_driver().infer(frames[1])
    assert not torch.equal(fresh.outputs.bev_BRSD, second.outputs.bev_BRSD)


def test_time_going_back_is_told(driver, frames):
    driver.plan(frames[1])
    assert "time went back" in driver.plan(frames[0]).memory_reset


def test_lost_camera_is_masked_and_named(driver, frames):
    views = {name: view for name, view in frames[0].views.items() if name != "CAM_BACK"}
    scene = driver.plan(dataclasses.replace(frames[0], views=views))
    assert scene.missing_cameras == ("CAM_BACK",)
    assert np.isfinite(scene.plan.trajectories_model).all()


def test_no_image_at_all_is_refused(driver, frames):
    with pytest.raises(InvalidFrameError, match="no image"):
        driver.plan(dataclasses.replace(frames[0], views={}))


def test_corrupt_image_is_named_and_leaves_the_memory_alone(driver, frames):
    driver.plan(frames[0])
    view = frames[1].views["CAM_FRONT"]
    broken = dataclasses.replace(view, image=EncodedImage(view.image.data[:500], source="front topic"))
    with pytest.raises(ImageError, match="front topic"):
        driver.plan(dataclasses.replace(frames[1], views={**frames[1].views, "CAM_FRONT": broken}))
    assert driver.infer(frames[1]).history_age_s == pytest.approx(0.5)


def test_command_only_selects_the_row(driver, frames):
    straight = driver.plan(frames[0])
    driver.reset()
    left = driver.plan(dataclasses.replace(frames[0], command=RouteCommand(Command.LEFT, CommandProvenance.GIVEN)))
    np.testing.assert_array_equal(straight.plan.trajectories_model, left.plan.trajectories_model)
    np.testing.assert_array_equal(left.plan.points_model, straight.plan.trajectories_model[Command.LEFT.value])


@pytest.mark.parametrize(("ego_status", "changes"), [("none", False), ("planner", True), ("bev", True)])
def test_ego_status_leaks_only_where_it_is_allowed(frames, ego_status, changes):
    fast = EgoStatus(np.array([30.0, 0, 0]), np.array([3.0, 0, 0]), np.array([0, 0, 0.5]), "can_bus")
    slow = EgoStatus(np.zeros(3), np.zeros(3), np.zeros(3), "can_bus")
    plans = [
        small_driver(overrides={"ego_status": ego_status})
        .infer(dataclasses.replace(frames[0], ego_status=status))
        .outputs.plan_offsets_B3T2
        for status in (slow, fast)
    ]
    assert torch.equal(*plans) is not changes


def test_ego_status_none_does_not_read_absolute_poses(frames):
    """Where in the world the drive happens must not matter: only pose differences warp the memory."""
    shift = np.eye(4)
    shift[:2, 3] = [523.0, -211.0]
    moved = [
        dataclasses.replace(
            frame,
            T_global_ego=shift @ frame.T_global_ego,
            views={n: dataclasses.replace(v, T_global_ego=shift @ v.T_global_ego) for n, v in frame.views.items()},
        )
        for frame in frames[:2]
    ]
    plans = []
    for drive in (frames[:2], moved):
        driver = small_driver()
        plans.append([driver.infer(frame).outputs.plan_offsets_B3T2 for frame in drive][-1])
    torch.testing.assert_close(*plans, atol=1e-4, rtol=1e-3)


def test_bfloat16_agrees_with_float32(frames):
    plans = [small_driver(precision=p).plan(frames[0]).plan.trajectories_model for p in ("fp32", "bf16")]
    np.testing.assert_allclose(plans[0], plans[1], atol=0.1)


def test_warm_up_leaves_no_trace(driver, frames):
    driver.warm_up()
    assert len(driver.memory) == 0
    assert driver.infer(frames[0]).history_age_s is None


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match="nano, tiny, base"):
        Driver.from_recipe("huge")
    with pytest.raises(ConfigError, match=r"bev\.rows"):
        Driver.from_recipe("nano", overrides={"bev.row": 3})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_gpu_agrees_with_the_cpu(frames, precision):
    gpu = small_driver(device="cuda", precision=precision).plan(frames[0]).plan.trajectories_model
    cpu = small_driver(device="cpu").plan(frames[0]).plan.trajectories_model
    np.testing.assert_allclose(gpu, cpu, atol=0.1)
