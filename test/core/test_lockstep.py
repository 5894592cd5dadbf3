"""Drives in step are the drives by themselves: one batch, memories apart."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from network_helpers import sample_of, small_config, small_inputs, small_network

from aln_p3_core.driver.driver import Driver
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.lockstep import Lockstep, joined, of_sample
from aln_p3_core.synthetic.frames import track_frames


def test_samples_of_a_batch_are_what_they_are_alone() -> None:
    config = small_config()
    network = small_network(config)
    inputs = small_inputs(config, batch=2)
    parts = [sample_of(inputs, 0), sample_of(inputs, 1)]
    parts[1].prev_bev_BRSD = parts[1].T_prev_cur_B44 = None  # this drive begins
    with torch.no_grad():
        together = network(joined(parts))
        for row, part in enumerate(parts):
            alone, cut = network(part), of_sample(together, row)
            for field in fields(DriverOutputs):
                expected, found = getattr(alone, field.name), getattr(cut, field.name)
                if expected is None:
                    assert found is None
                    continue
                torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, msg=field.name)


def test_drives_have_memories_of_their_own() -> None:
    driver = Driver.from_recipe("nano", device="cpu", precision="fp32")
    frames = track_frames(3, rate_hz=2.0, size=(400, 225))
    driver.reset("new scene")
    alone = [driver.infer(frame) for frame in frames]
    lockstep = Lockstep(driver, 2)
    # The second drive begins one frame later, and goes on when the first is over.
    steps = [lockstep.infer(pair) for pair in ((frames[0], None), (frames[1], frames[0]), (None, frames[1]))]
    assert steps[0][1] is None and steps[2][0] is None
    for found, expected in ((steps[1][0], alone[1]), (steps[1][1], alone[0]), (steps[2][1], alone[1])):
        assert found is not None
        assert found.history_age_s == pytest.approx(expected.history_age_s) if expected.history_age_s else True
        assert (found.history_age_s is None) == (expected.history_age_s is None)
        torch.testing.assert_close(
            found.outputs.plan_offsets_B3T2, expected.outputs.plan_offsets_B3T2, rtol=1e-3, atol=1e-4
        )
    assert lockstep.infer((None, None)) == [None, None]
