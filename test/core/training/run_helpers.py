"""Small trainings for tests: a few scenes, a network of a fraction of its size.

`run_helpers.py ROOT RUN`, in as many processes as torchrun's variables say, trains in the two stages of `two_stages`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stored_scenes import SMALL_RECIPE, write_scenes

from aln_p3_core.config import DriverConfig
from aln_p3_core.training.recipes import training_recipe
from aln_p3_core.training.settings import StageSettings, TrainingConfig
from aln_p3_core.training.trainer import Trainer

SMALL: dict[str, Any] = {
    **{f"driver.{name}": value for name, value in SMALL_RECIPE.items()},
    "driver.embed_dims": 32,
    "driver.ffn_dims": 32,
    "driver.agents.queries": 8,
    # Peaks of an untrained heat map change places at the slightest difference, and with them the queries.
    "driver.agents.query_source": "learned",
    "driver.map.instances": 5,
    "driver.map.points_per_line": 4,
    "driver.map.lane_hidden": 16,
    "driver.planner.bev_grid": 6,
    "driver.planner.bev_read": 3,
    "run.batch_size": 2,
    "run.threads": 1,
    "run.validate_every": 0,
    "run.checkpoint_every": 2,
    "run.draw_every": 0,
    "data.workers": 0,
    "data.validation_samples": 6,
    "optimizer.warm_up_steps": 2,
    "stages.0.steps": 6,
}

_OF_THE_CLOCK = ("kind", "samples_per_s", "wait_share", "time.")


def small_training(**overrides: Any) -> tuple[DriverConfig, TrainingConfig]:
    """The nano training at a fraction of its size; dots in names as two underscores."""
    return training_recipe("nano", SMALL | {k.replace("__", "."): v for k, v in overrides.items()})


def two_stages(folder: Path) -> Trainer:
    """Perception first, then everything but the neck."""
    # Every process draws its own dropout.
    driver, config = small_training(driver__planner__dropout=0.0)
    stages = (StageSettings(name="perception", steps=3, plan=False), StageSettings(steps=3, frozen=("neck",)))
    return Trainer(driver, replace(config, stages=stages), folder)


def write_split_scenes(
    make_root: Callable[..., Path], train: int = 2, val: int = 1, samples: int = 8, **fields: Any
) -> Path:
    """A root with the splits "train" and "val"; `fields` as of `MadeUpRoot`."""
    root = write_scenes(make_root, train + val, samples=samples, **fields)
    names = [f"scene-{i:04d}" for i in range(1, train + val + 1)]
    (root / "v1.0-mini" / "splits.json").write_text(json.dumps({"train": names[:train], "val": names[train:]}))
    return root


def rows_of(folder: Path, kind: str = "train") -> list[dict[str, float]]:
    """Rows of a run's log without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(_OF_THE_CLOCK)} for row in rows if row["kind"] == kind]


def train_in_two_processes(script: str, *arguments: Path, within_s: float = 600.0) -> None:
    """Runs a script as torchrun does with two processes of one machine, in a second less."""
    with socket.socket() as meeting:
        meeting.bind(("localhost", 0))
        port = meeting.getsockname()[1]
    given = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    given |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    command = [sys.executable, script, *map(str, arguments)]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [subprocess.Popen(command, env=given | rank) for rank in ranks]
    until = time.monotonic() + within_s
    try:
        # The one whose partner has failed would wait for it.
        while None in (codes := [process.poll() for process in processes]) and not any(codes):
            assert time.monotonic() < until, f"two processes took more than {within_s:.0f} s"
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == [0, 0]


if __name__ == "__main__":
    two_stages(Path(sys.argv[2])).run([Path(sys.argv[1])], cache=Path(sys.argv[1]).parent / "cache", progress=False)
