"""What is told of a training before it begins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from resnet_helpers import WIDTH, write_weights
from run_helpers import small_training, write_split_scenes
from words_helpers import joint_settings, small_joint, write_spoken_scenes

from aln_p3_core.commands.train import command
from aln_p3_core.config import DriverConfig
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.driver.checkpoint import save_checkpoint
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.training.dry_run import dry_run
from aln_p3_core.training.explainer_side import joint_module
from aln_p3_core.training.frame_store import FrameStore
from aln_p3_core.training.launch import Start
from aln_p3_core.training.memory_estimate import driver_activations, estimate, language_activations
from aln_p3_core.training.recipes import training_recipe
from aln_p3_core.weights import shipped_explainer


def saved_driver(driver: DriverConfig, path: Path) -> Path:
    save_checkpoint(path, DriverNetwork(driver, load_pretrained=False), driver)
    return path


def test_the_full_size_recipe_is_counted_without_its_models_and_says_what_is_missing() -> None:
    result = CliRunner().invoke(command, ["aln_p3_base", "--dry-run"])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    # Llama-2-7B, and VAD-Base with all of its heads.
    assert "6,738,415,616 parameters, 0 trained (32 layers of 4096, 32000 tokens)" in result.output
    assert "torchrun --nproc-per-node 8 -m aln_p3_core train aln_p3_base" in result.output
    assert "each of 8 GPUs (DDP)" in result.output and "stage joint" in result.output
    missing = result.output.split("missing before it can start:")[1]
    for name in ("--data ROOT", "texts.nu_x", "texts.tod3cap", "texts.questions", "texts.drivelm", "Llama-2", "clip"):
        assert name in missing


def test_counts_are_those_of_the_module_that_is_trained(make_root: Callable[..., Path], models: Path) -> None:
    root = write_spoken_scenes(make_root)
    driver, config = small_joint(models)
    start = Start("nano_joint", (root,))
    told = dry_run(start, driver, config)
    assert "begin with a trained driver" in told.missing[0] and "--init DRIVER.safetensors" in dict(told.rows)["start"]
    init = saved_driver(driver, root.parent / "driver.safetensors")
    told = dry_run(replace(start, init=init), driver, config)
    assert not told.missing
    rows = dict(told.rows)
    module = joint_module(driver, config, DriverNetwork(driver, load_pretrained=False))
    total, trained = (
        sum(p.numel() for p in module.parameters() if which(p)) for which in (lambda p: True, lambda p: p.requires_grad)
    )
    assert rows["parameters"] == f"{total:,}, trained {trained:,}, frozen {total - trained:,}"
    assert rows["frames"] == "train 16, val 8" and "NuScenes_train_questions.json" in rows["texts.questions"]
    assert rows["stage align"].startswith("2 steps, rate 0.0005: the driver is frozen")


def test_a_precision_that_this_machine_is_slow_at_is_worth_knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    from aln_p3_core import device

    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_cpu_flags", set)
    for precision, told in (("fp32", False), ("bf16", True)):
        notes = dry_run(Start("nano", ()), *training_recipe("nano", {"run.precision": precision})).notes
        assert bool(_about(notes, "slower than fp32")) == told


def test_a_checkpoint_of_another_recipe_is_told_from_its_header(tmp_path: Path) -> None:
    driver, config = small_training()
    of_shape = saved_driver(driver, tmp_path / "small.safetensors")
    assert not _about(dry_run(Start("nano", init=of_shape), driver, config).missing, "to begin with")
    wider, _ = small_training(driver__bev__rows=12)
    (told,) = _about(dry_run(Start("nano", init=of_shape), wider, config).missing, "to begin with")
    assert "does not fit the recipe nano" in told and "wrong shape: bev_encoder" in told
    # A shipped driver for the recipe of full size: hundreds of entries differ, some are named.
    full = training_recipe("aln_p3_base")
    (told,) = _about(dry_run(Start("aln_p3_base", init="nano"), *full).missing, "to begin with")
    assert "it is of the recipe nano" in told and told.count("\n") == 0 and len(told) < 500
    # In a part that starts anew it may be another one.
    planner, _ = small_training(driver__planner__rounds=2)
    assert _about(dry_run(Start("nano", init=of_shape), planner, config).missing, "to begin with")
    fresh = dry_run(Start("nano", init=of_shape, fresh=("planner",)), planner, config)
    assert not _about(fresh.missing, "to begin with")
    of_shape.write_bytes(of_shape.read_bytes()[:100])
    (told,) = _about(dry_run(Start("nano", init=of_shape), driver, config).missing, "to begin with")
    assert "damaged" in told


def test_an_explainer_of_another_recipe_is_told(models: Path) -> None:
    driver, config = small_joint(models)
    told = dry_run(Start("nano_joint", init_explainer=shipped_explainer()), driver, config).missing
    assert _about(told, "an explainer to begin with: ")


def _about(lines: list[str], what: str) -> list[str]:
    return [line for line in lines if what in line]


def test_what_is_advised_to_begin_with_fits_the_recipe() -> None:
    (small,) = _about(dry_run(Start("nano_speak"), *training_recipe("nano_speak")).missing, "to begin with")
    assert "--init nano, or its file" in small
    (full,) = _about(dry_run(Start("aln_p3_base"), *training_recipe("aln_p3_base")).missing, "to begin with")
    assert "nano" not in full and "aln-p3 train base makes one" in full and "import-vad" in full


def test_what_the_backbone_begins_with_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    (told,) = _about(dry_run(Start("tiny"), *training_recipe("tiny")).missing, "pretrained backbone")
    assert "resnet50-0676ba61.pth is missing" in told
    never = training_recipe("tiny", {"driver.backbone.pretrained": False})
    assert _about(dry_run(Start("tiny"), *never).missing, "would stay at random")
    small = {"driver.backbone.base_channels": WIDTH, "driver.backbone.stem_channels": WIDTH}
    write_weights(tmp_path / "resnet.pth")
    named = small | {"run.backbone_weights": str(tmp_path / "resnet.pth")}
    told = dry_run(Start("tiny"), *training_recipe("tiny", named))
    assert not _about(told.missing, "backbone")
    assert dict(told.rows)["backbone"] == f"resnet50 begins with the ImageNet weights of {tmp_path / 'resnet.pth'}"
    wrong = {"run.backbone_weights": str(tmp_path / "resnet.pth")}
    assert _about(dry_run(Start("tiny"), *training_recipe("tiny", wrong)).missing, "is no such ResNet-50")


def test_cameras_that_a_root_lacks_are_told(make_root: Callable[..., Path]) -> None:
    rig = tuple(name for name in NUSCENES_CAMERAS if name != "CAM_BACK")
    root = write_split_scenes(make_root, cameras=rig)
    driver, config = small_training()
    (told,) = _about(dry_run(Start("nano", (root,)), driver, config).missing, "cameras of the recipe")
    assert "has no CAM_BACK (scene-0001 has CAM_FRONT, " in told
    own, _ = small_training(driver__cameras=list(rig))
    assert not _about(dry_run(Start("nano", (root,)), own, config).missing, "cameras of the recipe")


def test_a_missing_file_of_texts_is_told(models: Path) -> None:
    driver, config = training_recipe("nano_joint", joint_settings(models) | {"texts.nu_x": ["nowhere/{split}.json"]})
    told = dry_run(Start("nano_joint"), driver, config)
    assert any("nowhere/train.json is missing" in line for line in told.missing)


def test_drivelm_may_lack_its_validation_file(models: Path, tmp_path: Path) -> None:
    (tmp_path / "v1_1_train_nus.json").write_text("{}")
    named = {"texts.drivelm": [str(tmp_path / "v1_1_{split}_nus.json")]}
    driver, config = training_recipe("nano_joint", joint_settings(models) | named)
    told = dry_run(Start("nano_joint"), driver, config)
    assert not any("drivelm" in line or "v1_1" in line for line in told.missing)
    assert dict(told.rows)["texts.drivelm"] == str(tmp_path / "v1_1_train_nus.json")
    driver, config = training_recipe("nano_joint", joint_settings(models) | named | {"data.splits": ["train", "val"]})
    assert _about(dry_run(Start("nano_joint"), driver, config).missing, "v1_1_val_nus.json is missing")


def test_a_download_of_pictures_alone_can_be_trained_on(make_root: Callable[..., Path]) -> None:
    root = write_split_scenes(make_root)
    driver, config = small_training(data__validation_split="none")
    for path in (root / "samples").glob("*LIDAR*"):
        path.unlink()
    unused = next((root / "samples").glob("3-CAM_FRONT-*"))  # of the split that is not in use
    unused.unlink()
    told = dry_run(Start("nano", (root,)), driver, config)
    assert not told.missing
    assert _about(told.notes, f"files of {root} that are missing, which this training does not read: samples 25")
    lost = next((root / "samples").glob("2-CAM_FRONT-*"))
    lost.unlink()
    (line,) = _about(dry_run(Start("nano", (root,)), driver, config).missing, "pictures")
    assert line.startswith("1 of 96 pictures of the key frames are missing or empty") and str(lost) in line


def test_a_root_without_maps_is_missing_something(make_root: Callable[..., Path]) -> None:
    root = write_split_scenes(make_root)
    driver, config = small_training()
    told = dry_run(Start("nano", (root,)), driver, config)
    assert not told.missing and _about(told.notes, "no CAN bus of 3 of 3 scenes")
    shutil.rmtree(root / "maps" / "expansion")
    assert _about(dry_run(Start("nano", (root,)), driver, config).missing, "maps/expansion/LOCATION.json")
    _, without = small_training(
        losses__map_class=0.0, losses__map_points=0.0, losses__map_direction=0.0, losses__bev_raster=0.0
    )
    told = dry_run(Start("nano", (root,)), driver, without)
    assert not told.missing and _about(told.notes, "no map of singapore-onenorth (3 of 3 scenes")


def test_the_stores_are_compared_with_the_disk_of_the_cache(
    make_root: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_split_scenes(make_root)
    driver, config = small_training(data__store="pixels")
    start = Start("nano", (root,), cache=tmp_path / "disk" / "cache")
    frame = 6 * 64 * 96 * 3
    asked: list[Path] = []

    def free(path: Path) -> object:
        asked.append(path)
        return SimpleNamespace(free=24 * frame)

    monkeypatch.setattr(shutil, "disk_usage", free)
    told = dry_run(start, driver, config)
    assert not told.missing and asked == [tmp_path]  # the nearest folder that is there
    assert "0 of 24 frames are there" in dict(told.rows)["frame store"] and "features store" not in dict(told.rows)
    with_features = replace(config, data=replace(config.data, store="features"))
    told = dry_run(start, driver, with_features)
    # 40 maps of an eighth of the picture's size, in half precision.
    assert _about(told.missing, f"room for what is prepared: {24 * (frame + 6 * 40 * 8 * 12 * 2) / 2**30:.1f} GiB")
    assert "features store" in dict(told.rows)
    FrameStore.build(
        NuScenesDataset(root), driver, tmp_path / "disk" / "cache" / "frames", scenes=["scene-0001"], progress=False
    )
    told = dry_run(start, driver, with_features)
    assert not told.missing and "8 of 24 frames are there" in dict(told.rows)["frame store"]


def test_texts_are_judged_split_by_split_and_frame_by_frame(make_root: Callable[..., Path], models: Path) -> None:
    root = write_spoken_scenes(make_root)
    driver, config = small_joint(models)
    start = Start("nano_joint", (root,))
    rows = dict(dry_run(start, driver, config).rows)
    language = root / "language"
    assert rows["texts.nu_x"].startswith(f"train 16 of 16 frames, val 7 of 8 frames ({language / 'Nu_X_train.json'}, ")
    assert rows["texts.tod3cap"].startswith("train 16 of 16 frames, val 8 of 8 frames (")
    # A file of another split helps nobody who learns.
    (language / "Nu_X_train.json").unlink()
    told = dry_run(start, driver, config)
    assert _about(told.missing, "texts.nu_x: no file for the split train") and not _about(told.notes, "texts.nu_x")
    # Nor does one whose frames are others.
    (language / "Nu_X_train.json").write_text(json.dumps({"stranger": {"narration": "a", "reasoning": "b"}}))
    assert _about(dry_run(start, driver, config).missing, "texts.nu_x: none of the 16 frames of the split train")
    (language / "NuScenes_val_questions.json").unlink()
    told = dry_run(start, driver, config)
    assert _about(told.notes, "texts.questions: no file for the split val") and not _about(told.missing, "questions")


def test_every_scene_can_be_learnt(make_root: Callable[..., Path], models: Path) -> None:
    root = write_spoken_scenes(make_root)
    driver, config = small_joint(models, data__splits=["all"], data__validation_split="none")
    told = dry_run(Start("nano_joint", (root,)), driver, config)
    rows = dict(told.rows)
    assert rows["frames"] == "all 24" and "0.3 passes" in rows["steps"]
    assert rows["texts.nu_x"].startswith("all 23 of 24 frames") and not _about(told.missing, "texts.")
    assert _about(told.notes, "no scene of the split none")
    _, nowhere = small_joint(models, data__splits=["heldout"])
    with pytest.raises(ConfigError, match="no frame of the splits heldout"):
        dry_run(Start("nano_joint", (root,)), driver, nowhere)


def test_memory_grows_with_what_is_kept() -> None:
    driver, _ = training_recipe("base")
    one, two = (driver_activations(driver, clips, 4) for clips in (1, 2))
    assert two == 2 * one
    # As reported for VAD-Base (50 GB) and, for 19 texts more, Llama-2-7B (19 GB).
    assert one == pytest.approx(50e9, rel=0.2)
    shape = {"layers": 32, "width": 4096, "inner": 11008, "vocabulary": 32000, "value_bytes": 2}
    assert language_activations(19, 130, **shape) == pytest.approx(19e9, rel=0.2)
    memory = estimate(10, 100.0, 7.0)
    assert (memory.weights, memory.gradients, memory.optimizer, memory.average) == (140, 40, 80, 40)
    assert memory.total == 307 and memory.sharded(2).total == 157
