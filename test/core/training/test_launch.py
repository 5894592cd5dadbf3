"""The command that a dry run tells is the one that was typed."""

from __future__ import annotations

import shlex
from pathlib import Path

from click.testing import CliRunner

from aln_p3_core.commands.train import command
from aln_p3_core.training.launch import Start
from aln_p3_core.weights import shipped_checkpoint, shipped_explainer


def test_every_option_is_rendered_and_quoted() -> None:
    start = Start(
        recipe="nano_joint",
        roots=(Path("a root"), Path("/b")),
        folder=Path("runs/joint"),
        settings=('data.splits=["train"]', "optimizer.learning_rate=1e-4"),
        init=shipped_checkpoint(),
        init_explainer=shipped_explainer(),
        fresh=("planner", "motion"),
        cache=Path("/scratch/it's"),
        jobs=4,
        resume=True,
        quiet=True,
    )
    assert shlex.split(start.command()) == [
        "aln-p3", "train", "nano_joint", "--data", "a root", "--data", "/b", "--out", "runs/joint",
        "--set", 'data.splits=["train"]', "--set", "optimizer.learning_rate=1e-4", "--init", "nano",
        "--init-explainer", "nano", "--fresh", "planner", "--fresh", "motion", "--cache", "/scratch/it's",
        "--jobs", "4", "--resume", "--quiet",
    ]  # fmt: skip


def test_what_was_not_given_is_left_open() -> None:
    start = Start("base")
    assert start.command("torchrun -m aln_p3_core") == "torchrun -m aln_p3_core train base --data ROOT --out RUN"
    assert start.command(begins_with="DRIVER.safetensors").endswith("--out RUN --init DRIVER.safetensors")
    # A file of the shipped driver's name is not the shipped driver.
    assert "--init ./nano" in Start("nano", init=Path("nano")).command()


def test_the_dry_run_keeps_what_was_typed(tmp_path: Path) -> None:
    typed = ["--set", "stages.0.steps=20", "--set", 'data.splits=["val"]', "--fresh", "planner", "--init", "nano",
             "--init-explainer", "nano", "--cache", str(tmp_path / "a cache"), "--jobs", "3"]  # fmt: skip
    result = CliRunner().invoke(command, ["nano_joint", "--dry-run", *typed])
    assert result.exit_code == 1 and "the data: --data ROOT" in result.output, "what is missing is told last"
    rows = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in result.output.splitlines() if "  " in line}
    words = shlex.split(rows["start"])
    assert words[:3] == ["aln-p3", "train", "nano_joint"]
    several = shlex.split(rows["on several GPUs"].split(" (the number")[0])
    assert several[several.index("train") :] == words[1:]
    for option, value in zip(typed[::2], typed[1::2], strict=True):
        assert value in [words[i + 1] for i, word in enumerate(words) if word == option]


def test_the_number_of_processes_divides_the_batch() -> None:
    result = CliRunner().invoke(command, ["nano", "--dry-run", "--set", "run.batch_size=6"])
    assert "torchrun --nproc-per-node 6 -m aln_p3_core train nano" in result.output
