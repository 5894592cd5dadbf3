"""Two processes do what one does with the whole batch: losses, measures, gradients and queues."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gathering_worker
import torch
from alignment_helpers import built, made_up

from aln_p3_core.alignment.gathering import Gathering


def test_two_processes_equal_one_with_the_global_batch(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, gathering_worker.__file__]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)], env=environment) for rank in range(2)]
    assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]

    module = built(**gathering_worker.SETTINGS)
    for number in range(len(gathering_worker.SHARES)):
        inputs = made_up(7, 7, seed=number)
        # The frame that a pair belongs to is numbered by process; here nothing asks for it.
        module.zero_grad()
        result = module(inputs)
        result.total.backward()
        wanted = {"total": result.total.detach(), **result.measures}
        wanted |= {f"grad.{name}": p.grad for name, p in module.named_parameters()}
        assert float(wanted["grad.p3a.feature_head.1.weight"].abs().max()) > 1e-3
        for told in found:
            assert told["told"][number].keys() == wanted.keys()
            for name, value in wanted.items():
                torch.testing.assert_close(told["told"][number][name], value, atol=1e-5, rtol=1e-4, msg=name)
    for told in found:
        for name, value in module.state_dict().items():
            torch.testing.assert_close(told["state"][name], value, msg=name)


def test_one_process_gathers_nothing() -> None:
    rows = torch.randn(3, 2)
    assert Gathering.of([3], rows.device, together=True).rows(0, rows) is rows
