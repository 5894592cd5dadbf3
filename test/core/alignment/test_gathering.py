"""Two processes do what one does with the whole batch: losses, measures, gradients and queues."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import gathering_worker
import pytest
import torch
from alignment_helpers import FLOATS, built, made_up, of_frames, with_gradients

from aln_p3_core.alignment.gathering import Gathering


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found, by the form of the losses."""
    folder = tmp_path_factory.mktemp("gathered")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, gathering_worker.__file__]
    workers = [subprocess.Popen([*command, str(rank), str(folder)], env=environment) for rank in range(2)]
    try:
        assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("form", gathering_worker.SETTINGS)
def test_two_processes_equal_one_with_the_global_batch(found: list[dict[str, Any]], form: str) -> None:
    module = built(**gathering_worker.SETTINGS[form])
    for number, shares in enumerate(gathering_worker.SHARES):
        # The frame that a pair belongs to is numbered by process; here nothing asks for it.
        inputs = with_gradients(made_up(7, 7, seed=number))
        module.zero_grad()
        result = module(inputs)
        result.total.backward()
        wanted = {"total": result.total.detach(), **result.measures}
        wanted |= {f"grad.{name}": p.grad for name, p in module.named_parameters()}
        assert float(wanted["grad.p3a.feature_head.1.weight"].abs().max()) > 1e-3
        reached = {name: gradient for name in FLOATS if (gradient := getattr(inputs, name).grad) is not None}
        assert len(reached) > 3 and min(gradient.abs().max() for gradient in reached.values()) > 1e-5
        for rank, share in enumerate(shares):
            told = found[rank][form]["told"][number]
            assert told.keys() == wanted.keys() | {f"input.{name}" for name in FLOATS}
            for name, value in wanted.items():
                torch.testing.assert_close(told[name], value, atol=1e-5, rtol=1e-4, msg=name)
            for name in FLOATS:
                gradient, rows = told[f"input.{name}"], share[of_frames(name)]
                if name in reached:
                    # Twice: DDP takes the mean of both processes over the parameters from which the inputs come.
                    torch.testing.assert_close(gradient / 2, reached[name][rows], atol=1e-6, rtol=1e-3, msg=name)
                else:
                    assert gradient is None, name
    for told in found:
        for name, value in module.state_dict().items():
            torch.testing.assert_close(told[form]["state"][name], value, msg=name)


def test_one_process_gathers_nothing() -> None:
    rows = torch.randn(3, 2)
    assert Gathering.of([3], rows.device, together=True).rows(0, rows) is rows
