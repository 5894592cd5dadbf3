"""Trainings with an explainer: what they leave, that they go on, and that two processes equal one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import words_helpers
from made_up_root import MadeUpRoot
from run_helpers import rows_of, train_in_two_processes
from safetensors import safe_open
from safetensors.torch import load_file
from words_helpers import joint_trainer, write_spoken_scenes

from aln_p3_core.driver.checkpoint import load_checkpoint, save_state
from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.checkpoint import load_explainer
from aln_p3_core.training.perceived import MAKERS
from aln_p3_core.training.settings import PARTS
from aln_p3_core.training.trainer import Trainer


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes with texts that all trainings of this file learn from, and from what is kept of them beside."""
    folder = tmp_path_factory.mktemp("scenes")
    return write_spoken_scenes(lambda **fields: MadeUpRoot(**fields).write(folder / "root"))


@pytest.fixture(scope="module")
def whole(root: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing broke off."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(root, models, folder)
    return folder


def run(root: Path, models: Path, folder: Path, **options: Any) -> Trainer:
    trainer = joint_trainer(models, folder, **options)
    trainer.run([root], cache=root.parent / "cache", progress=False)
    return trainer


def run_to_step_three(root: Path, models: Path, folder: Path, **options: Any) -> None:
    trainer = joint_trainer(models, folder, **options)
    step_of = trainer._now_and_then

    def stop_at_three(*given: Any) -> None:
        trainer.stopped = trainer.step == 3
        step_of(*given)

    trainer._now_and_then = stop_at_three  # type: ignore[method-assign, assignment]
    trainer.run([root], cache=root.parent / "cache", progress=False)


def test_a_run_leaves_a_driver_an_explainer_and_samples(root: Path, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trainer = run(root, models, folder, run__draw_every=2, run__best_by="language")
    rows, checks = rows_of(folder), rows_of(folder, "validation")
    assert [("plan" in row, "language.explanation" in row, "align.p1a" in row) for row in rows] == [
        (False, True, True), (False, True, True), (True, True, True), (True, True, True),
    ]  # fmt: skip
    assert {"align.p1a.retrieval", "align.p3a.pairs", "time.language", "time.alignment"} <= set(
        json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    )
    assert [row["step"] for row in checks] == [2, 4]
    assert {"score", "plan_l2", "language", "language.explanation", "language.caption", "loss.align.p1a"} <= set(
        checks[1]
    )
    best = min(checks, key=lambda row: row["language"])
    assert trainer.best == {"measure": best["language"], "step": best["step"]}
    # Two files to drive and to speak with; nothing of the alignments, nothing of the language model.
    _, weights, metadata = load_checkpoint(folder / "driver.safetensors")
    assert not any("alignment" in name or "explainer" in name for name in weights)
    explainer = load_explainer(folder / "explainer.safetensors", driver_hash=metadata["sha256"])
    assert set(explainer.trained_state_dict()) == set(_names(folder / "explainer.safetensors"))
    assert not any("alignment" in name for name in _names(folder / "explainer.safetensors"))
    assert _names(folder / "last_explainer.safetensors") == _names(folder / "explainer.safetensors")
    checkpoint = folder / "checkpoints" / "step_00000004"
    assert not any("embed_tokens" in name for name in _names(checkpoint / "weights.safetensors"))
    assert any(name.startswith("alignment.") for name in _names(checkpoint / "weights.safetensors"))
    text = (folder / "texts" / "step_00000004.md").read_text()
    assert "| explanation | Describe what the ego car does and why. |" in text and "caption, object" in text


@pytest.mark.slow
def test_going_on_gives_the_same_losses_as_never_stopping(
    root: Path, models: Path, whole: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    run_to_step_three(root, models, broken)
    run(root, models, broken, resume=True)
    assert rows_of(broken) == rows_of(whole)
    assert rows_of(broken, "validation") == rows_of(whole, "validation")
    for name in ("weights", "average"):
        unbroken, own = (_last(folder, name) for folder in (whole, broken))
        assert unbroken.keys() == own.keys() and all(torch.equal(unbroken[key], own[key]) for key in unbroken)


def test_an_explainer_learns_from_a_perception_that_was_kept(
    make_root: Callable[..., Path], models: Path, tmp_path: Path
) -> None:
    """The driver then stays as it is, and no picture is read."""
    # Of drives of two frames a clip of two sees what the whole drive sees, which is what is kept.
    root = write_spoken_scenes(make_root, train=8, val=2, samples=2)
    settings = {"data__clip_frames": 2, "data__clip_spares": 0, "data__fresh_start_probability": 0.0}
    stays = {"plan": False, "perception_weight": 0.0, "frozen": list(PARTS)}
    settings |= {f"stages__{number}__{name}": value for number in (0, 1) for name, value in stays.items()}
    run(root, models, tmp_path / "features", **settings)
    before = load_checkpoint(tmp_path / "features" / "driver.safetensors")[1]
    trainer = run(root, models, tmp_path / "kept", data__store="perception", **settings)
    rows, checks = rows_of(tmp_path / "kept"), rows_of(tmp_path / "kept", "validation")
    assert len(rows) == 4 and all("plan" not in row and row["align.p1a"] > 0 for row in rows)
    assert checks[-1]["language"] > 0 and "language.reading" in checks[-1]
    after = load_checkpoint(tmp_path / "kept" / "driver.safetensors")[1]
    assert all(torch.equal(before[name], value) for name, value in after.items())
    assert trainer.speaker is not None
    # Maps are kept in half precision; another frame's, or other words, would change the loss by some percent.
    first, others = rows[0], rows_of(tmp_path / "features")[0]
    assert first.keys() == others.keys()
    for name, value in others.items():
        near = 0.05 if name.startswith("gradient_norm") else 2e-3
        assert first[name] == pytest.approx(value, rel=near, nan_ok=True), name


def test_decoders_learn_from_a_bev_map_that_was_kept(root: Path, models: Path, tmp_path: Path) -> None:
    options = {"data__store": "bev", "stages__1__frozen": list(MAKERS["decoders"])}
    store = root.parent / "cache" / "perception"
    before = set(store.glob("*"))
    run(root, models, tmp_path / "whole", **options)
    kept = set(store.glob("*"))
    assert len(kept - before) == 1
    rows = rows_of(tmp_path / "whole")
    assert ["plan" in row for row in rows] == [False, False, True, True] and rows[-1]["align.p2a"] > 0
    run_to_step_three(root, models, tmp_path / "broken", **options)
    run(root, models, tmp_path / "broken", resume=True, **options)
    # Decoders that have learnt meanwhile do not make another map of it.
    assert set(store.glob("*")) == kept
    assert rows_of(tmp_path / "broken") == rows
    first = load_checkpoint(models / "driver.safetensors")[1]
    last = load_checkpoint(tmp_path / "whole" / "last.safetensors")[1]
    learnt = {name.split(".")[0] for name, value in last.items() if not torch.allclose(value, first[name])}
    assert learnt == {"agent_decoder", "map_decoder", "motion", "planner"}


@pytest.mark.slow
def test_an_explainer_of_a_driver_that_stayed_belongs_to_that_driver(
    root: Path, models: Path, whole: Path, tmp_path: Path
) -> None:
    """Then `driver.safetensors` is the same driver, and so is the file that it came from, however that is stored."""
    frozen = {"stages__1__plan": False, "stages__1__perception_weight": 0.0}
    config, weights, _ = load_checkpoint(whole / "driver.safetensors")
    init = tmp_path / "halved.safetensors"
    kept = save_state(init, {name: v.half() if v.is_floating_point() else v for name, v in weights.items()}, config)
    run(root, models, tmp_path / "second", init=init, stages__1__frozen=list(PARTS), **frozen)
    assert load_checkpoint(tmp_path / "second" / "driver.safetensors")[2]["sha256"] == kept
    load_explainer(tmp_path / "second" / "explainer.safetensors", driver_hash=kept)
    third = joint_trainer(models, tmp_path / "third", init_explainer=tmp_path / "second" / "explainer.safetensors")
    taken = load_explainer(tmp_path / "second" / "explainer.safetensors").trained_state_dict()
    assert third.speaker is not None
    own = third.speaker.module.explainer.trained_state_dict()
    assert all(torch.equal(own[name], value) for name, value in taken.items())


def test_a_stage_without_alignment_tells_no_measures_of_the_one_before(
    root: Path, models: Path, tmp_path: Path
) -> None:
    run(root, models, tmp_path / "run", stages__1__alignment=0.0)
    told = [any(name.startswith("align.") for name in row) for row in rows_of(tmp_path / "run")]
    assert told == [True, True, False, False]


def test_of_equal_drivers_the_newest_explainer_is_kept(root: Path, models: Path, tmp_path: Path) -> None:
    """While the driver is frozen its score stays as it is, and the explainer learns."""
    trainer = run(root, models, tmp_path / "run", stages__0__steps=4, run__validate_every=1, stages__1__steps=1,
                  stages__1__driver_rate=0.0, stages__1__rate=1.0)  # fmt: skip
    assert trainer.best["step"] >= 4


def test_nothing_that_nobody_has_trained_is_kept_as_it_is(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"keeps neck, bev_encoder, .* begin with a trained driver \(--init nano"):
        joint_trainer(models, tmp_path / "run", init=None)


def test_each_side_is_clipped_by_itself(root: Path, models: Path, tmp_path: Path) -> None:
    """What the alignments ask of their new heads must not slow the explainer down."""
    for name, weight in (("plain", 0.0), ("heads", 1e4)):
        run(root, models, tmp_path / name, alignment__p1a__weight=weight, stages__0__heads_only=True)
    plain, heads = (rows_of(tmp_path / name)[:2] for name in ("plain", "heads"))
    norms = [row["gradient_norm.explainer"] for row in plain]
    assert heads[0]["gradient_norm.alignment"] > 50 * norms[0] and norms[0] > 1
    assert [row["gradient_norm.explainer"] for row in heads] == pytest.approx(norms, rel=1e-6)
    assert heads[0]["gradient_norm"] == pytest.approx(heads[0]["gradient_norm.alignment"], rel=1e-2)


@pytest.mark.slow
def test_two_processes_with_an_explainer_equal_one(root: Path, models: Path, whole: Path, tmp_path: Path) -> None:
    train_in_two_processes(words_helpers.__file__, root, tmp_path / "two", models)
    for kind in ("train", "validation"):
        for one, two in zip(rows_of(whole, kind), rows_of(tmp_path / "two", kind), strict=True):
            assert one.keys() == two.keys()
            # The first step is the same up to rounding; later, Adam and the division by small deviations amplify it.
            near = 1e-4 if one["step"] == 1 else 5e-2
            for name, value in one.items():
                if name == "language.reading":
                    continue  # which other scene is read depends on how the frames are divided
                assert two[name] == pytest.approx(value, rel=near, abs=0.1 * near, nan_ok=True), (
                    kind,
                    one["step"],
                    name,
                )


def _names(path: Path) -> set[str]:
    with safe_open(path, framework="pt") as file:
        return set(file.keys())


def _last(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(sorted((folder / "checkpoints").glob("step_*"))[-1] / f"{name}.safetensors")
