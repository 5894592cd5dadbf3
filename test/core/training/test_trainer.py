"""The loop: it learns, it goes on after a kill as if nothing had been, and it says what went wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import run_helpers
import torch
from made_up_root import MadeUpRoot
from run_helpers import SMALL, rows_of, small_training, train_in_two_processes, two_stages, write_split_scenes
from safetensors.torch import load_file

from aln_p3_core.driver.driver import Driver
from aln_p3_core.errors import CheckpointError, ConfigError, TrainingError
from aln_p3_core.training.trainer import Trainer

#: Longest wait for another process, seconds. The machine may be busy.
WAIT_S = 600.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes that all trainings of this file learn from, and from what is kept of them beside."""
    folder = tmp_path_factory.mktemp("scenes")
    return write_split_scenes(lambda **fields: MadeUpRoot(**fields).write(folder / "root"))


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that nothing broke off."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(root, folder, run__validate_every=3)
    return folder


def run(root: Path, folder: Path, *, resume: bool = False, init: Path | None = None, **overrides: object) -> Trainer:
    trainer = Trainer(*small_training(**overrides), folder, resume=resume, init=init)
    trainer.run([root], cache=root.parent / "cache", progress=False)
    return trainer


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted((folder / "checkpoints").glob("step_*"))[-1] / "weights.safetensors")


@pytest.mark.plots
def test_a_run_leaves_a_driver_that_drives_and_everything_to_look_at(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trainer = run(root, folder, run__draw_every=6, run__validate_every=3)
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "plan", "agent_class", "map_points", "agent_box.layer0", "gradient_norm"} <= set(rows[0])
    assert [row["step"] for row in rows_of(folder, "validation")] == [3, 6]
    assert trainer.best["step"] in (3, 6)
    card = json.loads((folder / "run.json").read_text())
    assert (card["state"], card["step"], card["clips"]) == ("finished", 6, 16)
    assert card["cost"]["samples"] == 12
    assert set(card["cost"]["step_s"]) == {"wait", "memory", "forward", "criterion", "backward", "optimiser"}
    assert card["cost"]["wall_s"] > sum(card["cost"]["step_s"].values()) * 6 * 0.99
    assert {"loss", "loss.plan", "score"} <= set(rows_of(folder, "validation")[0])
    for name in ("losses.png", "validation.png", "time.png", "last.safetensors"):
        assert (folder / name).stat().st_size > 1000
    assert len(list((folder / "pictures").glob("*.png"))) >= 1
    assert list((folder / "tensorboard").iterdir())
    assert len(list((folder / "checkpoints").iterdir())) == 2
    driver = Driver.from_checkpoint(folder / "driver.safetensors", recipe="nano")
    assert f"trained {trainer.best['step']} steps" in driver.description
    changed = load_file(folder / "last.safetensors")
    fresh = Trainer(*small_training(), tmp_path / "fresh").module.network.state_dict()
    assert any(not torch.equal(changed[name], value) for name, value in fresh.items())
    frozen = [name for name in fresh if name.startswith(("backbone.stem", "backbone.blocks.7."))]
    assert frozen and all(torch.equal(changed[name], fresh[name]) for name in frozen)


def test_the_loss_goes_down(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "run", stages__0__steps=30, optimizer__learning_rate=2e-3)
    losses = [row["loss"] for row in rows_of(tmp_path / "run")]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_going_on_gives_the_same_weights_as_never_stopping(root: Path, whole: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    trainer = Trainer(*small_training(run__validate_every=3), broken)
    step_of = trainer._now_and_then

    def stop_at_three(*args: object) -> None:
        trainer.stopped = trainer.step == 3
        step_of(*args)

    trainer._now_and_then = stop_at_three  # type: ignore[method-assign]
    trainer.run([root], cache=root.parent / "cache", progress=False)
    assert trainer.step == 3 and json.loads((broken / "run.json").read_text())["state"] == "stopped"
    run(root, broken, resume=True, run__validate_every=3)
    assert rows_of(broken) == rows_of(whole)
    assert rows_of(broken, "validation") == rows_of(whole, "validation")
    assert_same_weights(broken, whole)


def assert_same_weights(one: Path, two: Path) -> None:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(second[name], value), name


def command(root: Path, folder: Path, *options: str) -> list[str]:
    sets = [
        f"--set={name}={json.dumps(value) if not isinstance(value, str) else value}" for name, value in SMALL.items()
    ]
    return [sys.executable, "-m", "aln_p3_core", "train", "nano", "--data", str(root), "--out", str(folder),
            "--cache", str(root.parent / "cache"), "--jobs", "1", "--quiet", *sets, *options]  # fmt: skip


@contextmanager
def started(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive its test."""
    process = subprocess.Popen(arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        # Not for the end of its output: a reader that it left behind may hold that open.
        process.wait(WAIT_S)


def wait_for_steps(process: subprocess.Popen[str], folder: Path, steps: int) -> None:
    """Until a training has told of so many steps."""
    log, until = folder / "log.jsonl", time.monotonic() + WAIT_S
    while not (log.is_file() and log.read_text().count('"train"') >= steps):
        assert process.poll() is None, "the training has ended"
        assert time.monotonic() < until, f"no {steps} steps within {WAIT_S:.0f} s"
        time.sleep(0.05)


@pytest.mark.slow
def test_kill_and_resume(root: Path, whole: Path, tmp_path: Path) -> None:
    """Killed wherever it is, the same command with --resume ends with the weights of an unbroken run."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    folder = tmp_path / "killed"
    with started(command(root, folder, "--set=data.workers=1"), env=environment) as process:
        wait_for_steps(process, folder, 3)
        process.send_signal(signal.SIGKILL)
        assert process.wait(WAIT_S) == -signal.SIGKILL, "it had ended by itself"
    (folder / "checkpoints" / ".step_00000099-left").mkdir()
    again = command(root, folder, "--set=data.workers=1", "--resume")
    subprocess.run(again, env=environment, check=True, timeout=WAIT_S)
    assert rows_of(folder) == rows_of(whole)
    assert_same_weights(folder, whole)


@pytest.mark.slow
def test_a_polite_end_writes_a_checkpoint(root: Path, tmp_path: Path) -> None:
    """SIGTERM to the whole group, readers too, as torchrun and Slurm send it."""
    folder = tmp_path / "run"
    endless = command(root, folder, "--set=stages.0.steps=1000", "--set=data.workers=1")
    options = {"env": os.environ | {"OMP_NUM_THREADS": "1"}, "stdout": subprocess.PIPE, "text": True}
    with started(endless, **options, start_new_session=True) as process:
        wait_for_steps(process, folder, 3)
        os.killpg(process.pid, signal.SIGTERM)
        told, _ = process.communicate(timeout=WAIT_S)
    step = rows_of(folder)[-1]["step"]
    assert process.returncode == 128 + signal.SIGTERM and f"stopped at step {step:.0f} with a checkpoint" in told
    assert step < 1000 and (folder / "checkpoints" / f"step_{step:08.0f}" / "state.json").is_file()
    assert json.loads((folder / "run.json").read_text())["state"] == "stopped"


@pytest.mark.slow
def test_two_processes_equal_one(root: Path, tmp_path: Path) -> None:
    """In two stages that freeze other parts: each has a gradient exchange of its own."""
    trainer = two_stages(tmp_path / "one")
    start = {name: value.clone() for name, value in trainer.module.state_dict().items()}
    trainer.run([root], cache=root.parent / "cache", progress=False)
    train_in_two_processes(run_helpers.__file__, root, tmp_path / "two")
    for kind in ("train", "validation"):
        for one, two in zip(rows_of(tmp_path / "one", kind), rows_of(tmp_path / "two", kind), strict=True):
            assert one.keys() == two.keys()
            # The first step is the same up to rounding; later, matching and Adam amplify it.
            near = 1e-6 if one["step"] == 1 else 2e-4
            for name, value in one.items():
                assert two[name] == pytest.approx(value, rel=near, abs=0.1 * near, nan_ok=True), (
                    kind, one["step"], name,
                )  # fmt: skip
    # Where a gradient is rounding alone, Adam still makes a whole step of it: so the whole way is compared.
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    travelled = sum((one[name] - start[name]).double().square().sum() for name in one)
    apart = sum((one[name] - two[name]).double().square().sum() for name in one)
    assert apart < 1e-3 * travelled


def test_a_loss_that_is_no_number_is_told_with_the_samples(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(root, folder, stages__0__steps=2)
    trainer = Trainer(*small_training(stages__0__steps=2), tmp_path / "second", init=folder / "driver.safetensors")
    with torch.no_grad():
        trainer.module.network.planner.plan_head[-1].bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"not finite at step 1: terms loss, plan.*samples sample"):
        trainer.run([root], cache=root.parent / "cache", progress=False)
    assert not (tmp_path / "second" / "driver.safetensors").exists()
    assert json.loads((tmp_path / "second" / "run.json").read_text())["state"] == "failed"


def test_a_gradient_that_is_no_number_is_not_learnt(root: Path, tmp_path: Path) -> None:
    trainer = Trainer(*small_training(), tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.module.state_dict().items()}
    trainer.accelerator.clip_grad_norm_ = lambda *given: torch.tensor(float("inf"))  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"the gradient is not finite at step 1: of the driver; samples sample"):
        trainer.run([root], cache=root.parent / "cache", progress=False)
    assert all(torch.equal(value, before[name]) for name, value in trainer.module.state_dict().items())
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_reader_that_dies_is_told_and_the_run_goes_on_without_it(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trainer = Trainer(*small_training(data__workers=1), folder)
    step_of = trainer._now_and_then

    def kill_at_three(*given: object) -> None:
        step_of(*given)
        if trainer.step == 3:
            for reader in multiprocessing.active_children():
                os.kill(reader.pid or 0, signal.SIGKILL)

    trainer._now_and_then = kill_at_three  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"a process that reads data died.*fewer data\.workers"):
        trainer.run([root], cache=root.parent / "cache", progress=False)
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    # What the message asks for is no other setting that would be refused.
    again = run(root, folder, resume=True, data__workers=0)
    assert again.step == 6 and [row["step"] for row in rows_of(folder)] == [1, 2, 3, 4, 5, 6]


def test_without_validation_the_newest_is_the_driver(root: Path, tmp_path: Path) -> None:
    trainer = run(root, tmp_path / "run", data__validation_split="none", stages__0__steps=2)
    assert trainer.best == {} and not rows_of(tmp_path / "run", "validation")
    assert "trained 2 steps" in Driver.from_checkpoint(tmp_path / "run" / "driver.safetensors").description


def test_a_run_is_not_overwritten_and_not_continued_with_other_settings(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "run", stages__0__steps=1)
    with pytest.raises(TrainingError, match="--resume"):
        Trainer(*small_training(), tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"training\.optimizer\.learning_rate was 0\.0005, now 0\.1"):
        Trainer(*small_training(optimizer__learning_rate=0.1, stages__0__steps=1), tmp_path / "run", resume=True)


def test_splits_that_are_nowhere_are_refused(root: Path, tmp_path: Path) -> None:
    trainer = Trainer(*small_training(data__splits=["heldout"], data__validation_split="none"), tmp_path / "run")
    with pytest.raises(ConfigError, match="no root has a scene of the splits"):
        trainer.run([root], cache=tmp_path / "cache", progress=False)


def test_stages_freeze_what_they_name(root: Path, tmp_path: Path) -> None:
    driver, config = small_training()
    from dataclasses import replace

    from aln_p3_core.training.settings import StageSettings

    stages = (
        StageSettings(name="perception", steps=2, plan=False),
        StageSettings(name="planning", steps=2, frozen=("backbone", "neck", "bev_encoder", "agent_decoder",
                                                        "map_decoder", "motion"), rate=0.5),
    )  # fmt: skip
    trainer = Trainer(driver, replace(config, stages=stages), tmp_path / "run")
    start = {k: v.clone() for k, v in trainer.module.network.state_dict().items()}
    trainer.run([root], cache=root.parent / "cache", progress=False)
    rows = rows_of(tmp_path / "run")
    assert ["plan" in row for row in rows] == [False, False, True, True]
    first = load_file(tmp_path / "run" / "checkpoints" / "step_00000002" / "weights.safetensors")
    last = weights(tmp_path / "run")
    moved_first = {k.split(".")[0] for k in start if not torch.equal(start[k], first[f"network.{k}"])}
    moved_last = {k.split(".")[0] for k in start if not torch.equal(first[f"network.{k}"], last[f"network.{k}"])}
    assert "planner" not in moved_first and {"map_decoder", "bev_encoder", "backbone"} <= moved_first
    assert moved_last == {"planner"}


def test_several_roots_are_learnt_together(root: Path, tmp_path: Path) -> None:
    trainer = Trainer(*small_training(stages__0__steps=2), tmp_path / "run")
    trainer.run([root, root], cache=root.parent / "cache", progress=False)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["clips"] == 32
