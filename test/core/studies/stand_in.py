"""Stands in for `python -m aln_p3_core` in tests of the runner: trains by counting, evaluates by writing a report.

What it shall do wrong is said by files in the working directory: `crash` (the training of that variant and seed ends
with an error), `broken` (that evaluation does), `slow` (seconds a step).
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

STEPS = 5


def _option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def train() -> None:
    """Counts to STEPS, a file a step; a signal ends it with a checkpoint, as the real one."""
    out = Path(_option("--out"))
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    checkpoints = out / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    if Path("crash").exists() and Path("crash").read_text() in str(out):
        print("Traceback (most recent call last):\nError: the loss is not finite at step 3")
        raise SystemExit(1)
    slow = float(Path("slow").read_text()) if Path("slow").exists() else 0.0
    done = len(list(checkpoints.iterdir()))
    while done < STEPS and not stopped:
        time.sleep(slow)
        done += 1
        (checkpoints / f"step_{done}").write_text("")
        with (out / "counted").open("a") as file:
            file.write(f"{done}\n")
    state = "finished" if done == STEPS else "stopped"
    card = {"state": state, "step": done, "cost": {"wall_s": 7.5}, "hardware": {"commit": "abc", "cpu": "x", "cores": 1,
            "threads": 1, "torch": "2"}, "training": {"run": {"precision": "fp32"}}}  # fmt: skip
    (out / "run.json").write_text(json.dumps(card))
    for name in ("driver", "last"):
        if done == STEPS:
            (out / f"{name}.safetensors").write_text("")


def evaluate() -> None:
    """A report in which the collision tells variant and seed."""
    from study_reports import planning_results, write_report

    out, checkpoint = Path(_option("--report")), Path(sys.argv[2])
    assert checkpoint.is_file(), checkpoint
    if Path("broken").exists() and Path("broken").read_text() in str(out):
        print("Error: no such frame")
        raise SystemExit(1)
    truth = out / "predictions" / "planning_truth_0.npz"
    truth.parent.mkdir(parents=True, exist_ok=True)
    if not truth.exists():
        print("read the truth")
        truth.write_text("")
    seed = int(checkpoint.parents[1].name.removeprefix("seed_"))
    write_report(out, planning=planning_results((0.01 if "all" in str(out) else 0.02) + 0.001 * seed))


if __name__ == "__main__":
    {"train": train, "evaluate": evaluate}[sys.argv[1]]()
