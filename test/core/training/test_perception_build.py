"""A planner that learns from what was kept sees what it would see on the road."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stored_scenes import small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.clips import ClipDataset, collate_clips
from aln_p3_core.training.forward import clip_outputs
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.perception_build import build_perception
from aln_p3_core.training.settings import AugmentationSettings, DataSettings

CONFIG = small_recipe(
    backbone__frozen_blocks=5,
    planner__bev_grid=4,
    planner__bev_read=2,
    planner__image_camera="CAM_FRONT",
    ego_status="planner",
)
SAMPLES = 3


@pytest.fixture
def store(make_root: Callable[..., Path], tmp_path: Path) -> FrameStore:
    root = write_scenes(make_root, 5, samples=SAMPLES)
    return FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)


def test_plans_are_those_of_the_whole_drive(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    perceived = build_perception(store, network, tmp_path / "perception", progress=False)
    assert network.training, "the network is left as it was"
    network.eval()
    # The drive from its first frame on, as one clip.
    whole = DataSettings(clip_frames=SAMPLES, clip_spares=0, fresh_start_probability=0.0)
    last = SAMPLES - 1
    with torch.inference_mode():
        expected = clip_outputs(network, collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole)[last]]))
        batch = collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole, perceived=perceived)[last]])
        assert len(batch.clip) == 1 and batch.clip[0].pixels_BNHWC is None and batch.clip[0].features is None
        planned = clip_outputs(network, batch)
    commanded = int(batch.targets[0].command)
    torch.testing.assert_close(
        planned.plan_offsets_B3T2[:, commanded], expected.plan_offsets_B3T2[:, commanded], rtol=0.02, atol=0.02
    )
    torch.testing.assert_close(planned.agent_boxes_LBQ10[-1], expected.agent_boxes_LBQ10[-1], rtol=0.02, atol=0.02)
    torch.testing.assert_close(planned.map_points_LBVP2[-1], expected.map_points_LBVP2[-1], rtol=0.01, atol=0.01)
    # The first frame of a drive is another one: what was kept does depend on the frame.
    with torch.inference_mode():
        first = clip_outputs(network, collate_clips([ClipDataset(store, [0], CONFIG, whole, perceived=perceived)[0]]))
    assert (first.motion_BQM2D - planned.motion_BQM2D).abs().max() > 0.05


def test_what_is_kept_moves_to_the_device_and_loses_its_ego_status(
    store: FrameStore, network: DriverNetwork, tmp_path: Path
) -> None:
    perceived = build_perception(store, network, tmp_path / "perception", progress=False)
    withheld = AugmentationSettings(ego_status_dropout_probability=1.0)
    clips = ClipDataset(store, [1, 4], CONFIG, DataSettings(), withheld, perceived=perceived)
    batch: TrainingBatch = collate_clips([clips[0], clips[1]]).to("meta")
    kept = batch.clip[-1].perceived
    assert kept is not None and {value.device.type for value in kept.values()} == {"meta"}
    assert not collate_clips([clips[0]]).clip[-1].ego_status_B8.any()


def test_an_explainer_finds_the_tokens_of_the_whole_drive(
    store: FrameStore, network: DriverNetwork, tmp_path: Path
) -> None:
    perceived = build_perception(store, network, tmp_path / "perception", progress=False, reader="explainer")
    plain = build_perception(store, network, tmp_path / "perception", progress=False)
    assert perceived.location != plain.location, "what a planner reads lies elsewhere"
    network.eval()
    whole = DataSettings(clip_frames=SAMPLES, clip_spares=0, fresh_start_probability=0.0)
    last = SAMPLES - 1
    with torch.inference_mode():
        expected = clip_outputs(network, collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole)[last]]))
        kept, without = (
            clip_outputs(
                network,
                collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole, perceived=of)[last]]),
            )
            for of in (perceived, plain)
        )
    torch.testing.assert_close(kept.bev_BRSD, expected.bev_BRSD, rtol=0.02, atol=0.02)
    torch.testing.assert_close(kept.agent_states_BQD, expected.agent_states_BQD, rtol=0.02, atol=0.02)
    torch.testing.assert_close(kept.ego_features_B2D, expected.ego_features_B2D, rtol=0.02, atol=0.02)
    torch.testing.assert_close(kept.plan_offsets_B3T2, without.plan_offsets_B3T2)
    assert without.bev_BRSD.numel() == 0 and expected.bev_BRSD.std() > 0.1


def test_decoders_learn_from_the_map_of_the_whole_drive(
    store: FrameStore, network: DriverNetwork, tmp_path: Path
) -> None:
    kept = build_perception(store, network, tmp_path / "perception", progress=False, reader="decoders")
    assert set(kept.record(*store.place(0)).dtype.names or ()) == {"bev_BRSD", "image_BKD"}
    network.eval()
    whole = DataSettings(clip_frames=SAMPLES, clip_spares=0, fresh_start_probability=0.0)
    last = SAMPLES - 1
    batch = collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole, perceived=kept)[last]])
    with torch.inference_mode():
        expected = clip_outputs(network, collate_clips([ClipDataset(store, range(len(store)), CONFIG, whole)[last]]))
    found = clip_outputs(network, batch)
    commanded = int(batch.targets[0].command)
    assert found.agent_boxes_LBQ10.shape == expected.agent_boxes_LBQ10.shape, "all layers, for their losses"
    torch.testing.assert_close(found.bev_BRSD, expected.bev_BRSD, rtol=0.02, atol=0.02)
    for name in ("agent_states_BQD", "agent_boxes_LBQ10", "map_points_LBVP2", "agent_forecasts_BQMT2"):
        # Proposals of nearly the same score may change their places.
        assert (getattr(found, name) - getattr(expected, name)).abs().quantile(0.9) < 0.03, name
    plans = found.plan_offsets_B3T2[:, commanded]
    torch.testing.assert_close(plans, expected.plan_offsets_B3T2[:, commanded], rtol=0.02, atol=0.02)
    (plans.sum() + found.agent_logits_LBQC.sum() + found.map_logits_LBVC.sum()).backward()
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {"agent_decoder", "map_decoder", "motion", "planner"}


def test_only_what_is_missing_is_computed(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    def build(share: tuple[int, int] = (0, 1)) -> dict[str, int]:
        made = build_perception(store, network, tmp_path / "perception", share=share, progress=False)
        return {path.parent.name: path.stat().st_mtime_ns for path in made.location.glob("shard-*/perceived.npy")}

    first = build((0, 2))
    assert len(first) == 1 and len(store.shards) == 2
    both = build()
    assert len(both) == 2 and first.items() <= both.items()
    (path,) = (tmp_path / "perception").glob(f"*/{store.shards[0].name}/perceived.npy")
    os.truncate(path, path.stat().st_size - 1)
    assert [name for name, time in build().items() if both[name] != time] == [store.shards[0].name]


def test_weights_of_the_planner_do_not_count(store: FrameStore, network: DriverNetwork, tmp_path: Path) -> None:
    def location() -> Path:
        return build_perception(store, network, tmp_path / "perception", progress=False).location

    with torch.no_grad():
        network.motion.mode_queries[0, 0] = -0.0
    before = location()
    with torch.no_grad():
        network.planner.ego_query.add_(1)
        network.motion.mode_queries[0, 0] = 0.0
    assert location() == before
    with torch.no_grad():
        network.motion.mode_queries.add_(1)
    assert location() != before


def test_weights_of_the_decoders_do_not_count_for_the_bev_map(
    store: FrameStore, network: DriverNetwork, tmp_path: Path
) -> None:
    """A training of them that goes on finds the map that it began with."""

    def location() -> Path:
        return build_perception(store, network, tmp_path / "perception", progress=False, reader="decoders").location

    before = location()
    with torch.no_grad():
        network.motion.mode_queries.add_(1)
        next(network.agent_decoder.parameters()).add_(1)
    assert location() == before
    with torch.no_grad():
        next(network.bev_encoder.parameters()).add_(1)
    assert location() != before


def test_scenes_of_one_name_in_two_roots_stay_apart(
    make_root: Callable[..., Path], network: DriverNetwork, tmp_path: Path
) -> None:
    roots = [write_scenes(make_root, 2, samples=SAMPLES).rename(tmp_path / "first")]
    roots.append(write_scenes(make_root, 2, samples=SAMPLES + 1, ego=lambda t: (100 + 2 * t, 50, 0.3)))
    stores = [FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False) for root in roots]
    assert not set(stores[0].shards) & set(stores[1].shards)
    written = {path: path.stat().st_mtime_ns for store in stores for path in store.shards}
    for root in roots:
        FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / "store", progress=False)
    assert {path: path.stat().st_mtime_ns for path in written} == written, "nothing is made a second time"

    together = [build_perception(store, network, tmp_path / "together", progress=False) for store in stores]
    for number, (store, root) in enumerate(zip(stores, roots, strict=True)):
        lone = FrameStore.build(NuScenesDataset(root), CONFIG, tmp_path / f"lone{number}", progress=False)
        expected = build_perception(lone, network, tmp_path / f"kept{number}", progress=False)
        for index in range(len(store)):
            record = together[number].record(*store.place(index))
            assert record.tobytes() == expected.record(*lone.place(index)).tobytes()
