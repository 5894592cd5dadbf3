"""The store holds what the data set gives, and survives kills, damage and growth."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from stored_scenes import add_scenes, small_recipe, write_scenes

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.driver import ego_status_vector
from aln_p3_core.errors import DataError
from aln_p3_core.frame import DrivingFrame, EgoStatus
from aln_p3_core.preprocess import ImagePreprocessor, can_bus_vector
from aln_p3_core.training import frame_build
from aln_p3_core.training.forking import without_opencv_threads
from aln_p3_core.training.frame_keys import STORE_VERSION
from aln_p3_core.training.frame_shards import agent_dtype, agent_records, line_dtype, line_records
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.frame_targets import TargetArrays, frame_targets

CONFIG = small_recipe()
MakeRoot = Callable[..., Path]


def build(root: Path, location: Path, **options: object) -> FrameStore:
    return FrameStore.build(NuScenesDataset(root), CONFIG, location, progress=False, **options)  # type: ignore[arg-type]


def contents(store: FrameStore) -> dict[str, tuple[int, bytes]]:
    """Of every file of every shard: when it was written, and its bytes."""
    files = sorted(path for path in store.location.glob("shard-*/*"))
    return {str(path.relative_to(store.location)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture
def root(make_root: MakeRoot) -> Path:
    """Six scenes of five key frames: two shards. The last picture of a camera is lost."""
    return write_scenes(make_root, 6, lost=((4, "CAM_BACK"),))


def test_stored_frames_are_what_the_data_set_gives(root: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(root)
    store = FrameStore.build(dataset, CONFIG, tmp_path / "store", progress=False)
    assert store.tokens == dataset.tokens and len(store) == 30 and len(store.shards) == 2
    preprocessor = ImagePreprocessor(CONFIG.image)
    for index, token in enumerate(store.tokens):
        frame, stored = dataset.frame(token), store.frame(index)
        prepared = preprocessor.prepare(frame, CONFIG.cameras)
        assert (stored.pixels_NHWC == prepared.images_NHWC).all()
        assert (stored.model2img_N44 == prepared.model2img_N44.astype(np.float32)).all()
        assert (stored.camera_valid_N == prepared.valid_N).all() and (stored.rows_N == prepared.rows_N).all()
        assert (stored.T_global_model == frame.T_global_model).all() and stored.stamp_ns == frame.reference_stamp_ns
        assert (stored.can_bus == can_bus_vector(frame)).all()
        assert (stored.ego_status == ego_status_vector(frame)).all()
        ours, theirs = store.targets(index), frame_targets(dataset.targets(token), CONFIG)
        for name in theirs.__slots__:
            value = getattr(theirs, name)
            same = torch.equal(getattr(ours, name), value) if isinstance(value, torch.Tensor) else ours.token == value
            assert same, name
    assert len(store.targets(2).agent_classes_A) == 2
    assert not store.frame(4).camera_valid_N[CONFIG.cameras.index("CAM_BACK")]


def test_lines_are_kept_too(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = TargetArrays(
        agent_boxes=random.random((2, 10), dtype=np.float32),
        agent_velocity_valid=np.array([True, False]),
        agent_classes=np.array([3, 9]),
        agent_offsets=random.random((2, 6, 2), dtype=np.float32),
        agent_future_mask=random.random((2, 6)) < 0.5,
        lines=random.random((3, 10, 2), dtype=np.float32),
        line_closed=np.array([True, False, False]),
        line_classes=np.array([1, 0, 2]),
        plan_offsets=np.zeros((6, 2), np.float32),
        plan_mask=np.zeros(6, bool),
        command=0,
    )
    lines = line_records(arrays, line_dtype(CONFIG))
    agents = agent_records(arrays, agent_dtype(CONFIG))
    assert (lines["points"] == arrays.lines).all() and lines["closed"].tolist() == [True, False, False]
    assert lines["class_id"].tolist() == [1, 0, 2] and agents["class_id"].tolist() == [3, 9]
    assert (agents["box"] == arrays.agent_boxes).all() and (agents["future_mask"] == arrays.agent_future_mask).all()


def test_stored_vectors_have_the_layout_of_this_store_version() -> None:
    """When this fails because a vector has got another layout: raise STORE_VERSION, or old stores train on it."""
    status = EgoStatus(np.array([3.0, 4, 0]), np.array([0.1, 0.2, 9.8]), np.array([0.01, 0.02, 0.03]), "can_bus")
    frame = DrivingFrame(("CAM_FRONT",), {}, 1, T_global_ego=np.eye(4), T_ego_model=np.eye(4), ego_status=status)
    assert STORE_VERSION == 1
    assert ego_status_vector(frame).tolist() == [3, 4, 0.03, 5, 1, 0, 0, 0]
    assert can_bus_vector(frame)[7:].tolist() == [0.1, 0.2, 9.8, 0.01, 0.02, 0.03, 3, 4, 0, 0, 0]


def test_two_processes_write_what_one_writes(root: Path, tmp_path: Path) -> None:
    one, two = build(root, tmp_path / "one"), build(root, tmp_path / "two", jobs=2)
    ours, theirs = contents(one), contents(two)
    assert [name for name in ours if ours[name][1] != theirs[name][1]] == [] and ours.keys() == theirs.keys()


def test_new_scenes_get_new_shards_and_nothing_else_changes(root: Path, tmp_path: Path) -> None:
    before = contents(build(root, tmp_path / "store", scenes=["scene-0001", "scene-0003"]))
    grown = build(root, tmp_path / "store")
    after = contents(grown)
    assert {name: after[name] for name in before} == before and len(grown.shards) == 2
    add_scenes(root, range(7, 9))
    more = build(root, tmp_path / "store")
    assert len(more) == 40 and {name: contents(more)[name] for name in after} == after
    again = build(root, tmp_path / "store")
    assert contents(again) == contents(more)
    assert [scene.name for scene in build(root, tmp_path / "store", scenes=["scene-0005"]).scenes] == ["scene-0005"]


def test_other_settings_get_another_folder(root: Path, tmp_path: Path) -> None:
    dataset = NuScenesDataset(root)
    scenes = ["scene-0001"]
    keys = {
        FrameStore.build(data, config, tmp_path / "store", scenes=scenes, progress=False).key
        for data, config in (
            (dataset, CONFIG),
            (dataset, small_recipe(image__width=128)),
            (dataset, small_recipe(map__points_per_line=20)),
            (dataset, small_recipe(point_cloud_range=(-10.0, -30.0, -2.0, 10.0, 30.0, 2.0))),
            (NuScenesDataset(root, reference="newest_image"), CONFIG),
        )
    }
    assert len(keys) == 5
    same = FrameStore.build(dataset, small_recipe(bev__rows=20), tmp_path / "store", scenes=scenes, progress=False)
    assert same.key in keys


def test_a_scene_that_was_labelled_anew_is_stored_anew(root: Path, tmp_path: Path) -> None:
    before = contents(build(root, tmp_path / "store"))
    table = root / "v1.0-mini" / "sample_annotation.json"
    rows = json.loads(table.read_text())
    row = next(row for row in rows if row["token"] == "ann-0-2#6")
    row["translation"][0] += 1.0
    table.write_text(json.dumps(rows))
    store = build(root, tmp_path / "store")
    after = contents(store)
    kept = [name for name in before if after.get(name) == before[name]]
    assert len(kept) == 5 and len(after) == 10
    index = store.tokens.index("sample-2#6")
    moved = store.targets(index).agent_boxes_A10 - store.targets(store.tokens.index("sample-2")).agent_boxes_A10
    assert float(moved[0, :2].norm()) == pytest.approx(1.0, abs=1e-4) and not moved[1].any()


def test_damage_is_found_and_mended(root: Path, tmp_path: Path) -> None:
    store = build(root, tmp_path / "store")
    whole = {name: data for name, (_, data) in contents(store).items()}
    pixels, index = store.shards[0] / "pixels.npy", store.shards[1] / "index.json"

    os.truncate(pixels, pixels.stat().st_size - 7)
    assert {name: data for name, (_, data) in contents(build(root, tmp_path / "store")).items()} == whole

    index.write_text(index.read_text().replace("scene-0006", "scene-0009"))
    assert {name: data for name, (_, data) in contents(build(root, tmp_path / "store")).items()} == whole

    with pixels.open("r+b") as file:
        file.seek(70_000)
        byte = file.read(1)
        file.seek(70_000)
        file.write(bytes([byte[0] ^ 1]))
    assert (
        contents(build(root, tmp_path / "store"))[f"{pixels.parent.name}/pixels.npy"][1]
        != whole[f"{pixels.parent.name}/pixels.npy"]
    ), "one bit is not looked for by the quick check"
    mended = build(root, tmp_path / "store", verify="full")
    assert {name: data for name, (_, data) in contents(mended).items()} == whole

    shutil.rmtree(mended.shards[0])
    with pytest.raises(DataError, match="does not hold scene-0001"):
        FrameStore.open(mended.location, ["scene-0001", "scene-0006"])


def test_a_killed_build_makes_only_what_is_missing(root: Path, tmp_path: Path) -> None:
    def killed() -> None:
        dataset = NuScenesDataset(root)
        frame = dataset.frame

        def deadly(token: str) -> DrivingFrame:
            if token == "sample-3#5":
                os.kill(os.getpid(), signal.SIGKILL)
            return frame(token)

        dataset.frame = deadly  # type: ignore[method-assign]
        FrameStore.build(dataset, CONFIG, tmp_path / "store", progress=False)

    process = get_context("fork").Process(target=killed)
    with without_opencv_threads():
        process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (folder,) = (tmp_path / "store").iterdir()
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")}
    assert len(finished) == 1 and len(list(folder.glob(".shard-*"))) == 1
    store = build(root, tmp_path / "store")
    assert {path.name: path.stat().st_mtime_ns for path in store.shards}.items() > finished.items()
    assert not list(folder.glob(".shard-*"))
    assert store.tokens == NuScenesDataset(root).tokens


def test_a_process_that_dies_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = NuScenesDataset(root)
    parent = os.getpid()
    frame = dataset.frame

    def deadly(token: str) -> DrivingFrame:
        if token == "sample-3#5" and os.getpid() != parent:
            os._exit(1)
        return frame(token)

    monkeypatch.setattr(dataset, "frame", deadly)
    with pytest.raises(DataError, match="process that stored frames died"):
        FrameStore.build(dataset, CONFIG, tmp_path / "store", jobs=2, progress=False)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_corrupt_sample_is_named_or_left_out(root: Path, tmp_path: Path, jobs: int) -> None:
    dataset = NuScenesDataset(root)
    path = dataset.records_of_sample("sample-1#2")["CAM_FRONT"].path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=str(path)):
        build(root, tmp_path / "store", jobs=jobs)
    store = build(root, tmp_path / "store", jobs=jobs, skip_corrupt=True)
    assert len(store) == 29 and str(path) in store.skipped["sample-1#2"]
    first = store.scenes[1].first
    assert store.tokens[first : first + 2] == ("sample-0#2", "sample-2#2")
    assert store.frame(first + 1).stamp_ns == dataset.frame("sample-2#2").reference_stamp_ns
    assert store.targets(first + 4).token == "sample-0#3"
    with pytest.raises(DataError, match=str(path)):
        build(root, tmp_path / "store", jobs=jobs)


def test_a_full_disk_is_told_before(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(frame_build.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DataError, match="are free"):
        build(root, tmp_path / "store")


def test_other_processes_open_it_without_the_data(root: Path, tmp_path: Path) -> None:
    store = build(root, tmp_path / "store")
    shutil.rmtree(root)
    opened = pickle.loads(pickle.dumps(FrameStore.open(store.location)))
    assert opened.tokens == store.tokens
    assert (opened.frame(7).pixels_NHWC == store.frame(7).pixels_NHWC).all()
    assert opened.indices_of(["scene-0002", "scene-0001"]).tolist() == [*range(5, 10), *range(5)]
    assert opened.column("stamp_ns").tolist() == [opened.frame(i).stamp_ns for i in range(len(opened))]
    with pytest.raises(DataError, match="scene-0099"):
        opened.indices_of(["scene-0099"])
    with pytest.raises(ValueError, match="read-only"):
        opened.frame(0).pixels_NHWC[0, 0, 0, 0] = 1


def test_processes_that_prepare_do_not_outlive_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is killed outright cannot end them, and they would wait for work for ever."""
    asked: list[bool] = []
    monkeypatch.setattr(frame_build, "die_with_parent", lambda: asked.append(True))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    frame_build._begin_worker()
    assert asked == [True]
