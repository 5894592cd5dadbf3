"""P2A: which of an agent's modes is compared."""

from __future__ import annotations

import torch
from alignment_helpers import made_up, only

from aln_p3_core.alignment.rows import Rows


def features(modes: str) -> tuple[torch.Tensor, torch.Tensor]:
    module = only("p2a", modes=modes).p2a
    assert module is not None
    inputs = made_up(2, 2)
    inputs.mode_logits_PM = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    assert inputs.motion_PM2D is not None and inputs.trajectories_PMT2 is not None
    inputs.motion_PM2D[:, 0], inputs.motion_PM2D[:, 1] = 0.0, 1.0
    inputs.trajectories_PMT2[:, 0], inputs.trajectories_PMT2[:, 1] = 10.0, 20.0
    found = module.sources(Rows.of(inputs, inputs.motion_valid_P, torch.device("cpu")))
    return found.features_NF[:, 0], found.paths_NT2[:, 0, 0]


def test_motion_is_pooled_by_probability_mean_or_best_and_the_likeliest_path_is_taken() -> None:
    likely = torch.tensor([[0.0, 1.0], [2.0, 0.0]]).softmax(-1)[:, 1]
    for modes, wanted in (("probability", likely), ("mean", torch.full((2,), 0.5)), ("best", torch.tensor([1.0, 0.0]))):
        pooled, path = features(modes)
        torch.testing.assert_close(pooled, wanted)
        assert path.tolist() == [20.0, 10.0]
