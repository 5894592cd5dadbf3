"""Processes wait for each other for longer than their process group would.

`torchrun test_meeting.py FOLDER` is what the test runs in two processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from aln_p3_core.training.meeting import Meeting

_LIMIT_S, _LATE_S = 1.0, 3.0


def test_somebody_may_be_late_by_more_than_the_limit_of_the_process_group(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
                "--rdzv-endpoint", "localhost:0", __file__, str(tmp_path)]  # fmt: skip
    subprocess.run(launcher, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    early, late = (dict(line.split() for line in (tmp_path / f"{rank}.txt").read_text().splitlines()) for rank in "10")
    assert float(early["waited"]) > 0.8 * _LATE_S > _LIMIT_S and float(late["waited"]) < 0.5 * _LATE_S
    assert float(early["again"]) < 0.5 * _LATE_S
    # What the meeting is for.
    assert early["barrier"] == "failed"


def test_alone_nobody_waits() -> None:
    Meeting(1).wait()


def _main(folder: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=timedelta(seconds=_LIMIT_S))
    rank = dist.get_rank()
    meeting = Meeting(2)
    told = {}
    for name, lateness in (("waited", _LATE_S), ("again", 0.0)):
        time.sleep(lateness if rank == 0 else 0.0)
        started = time.perf_counter()
        meeting.wait()
        told[name] = str(time.perf_counter() - started)
    time.sleep(_LATE_S if rank == 0 else 0.0)
    try:
        dist.barrier()
        told["barrier"] = "passed"
    except RuntimeError:
        told["barrier"] = "failed"
    (folder / f"{rank}.txt").write_text("\n".join(f"{name} {value}" for name, value in told.items()))
    time.sleep(1.0)  # until the other has noticed too: a launcher ends it with this one
    os._exit(0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
