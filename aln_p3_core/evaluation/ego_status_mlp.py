"""The ego-status MLP: a plan from the car's own motion and the command, without looking at anything.

After AD-MLP (Zhai et al. 2023) and Ego-MLP (Li et al. 2024, "Is Ego Status All You Need?"), who found that such a
network equals the large ones in open-loop distance. It stands in every table, so that nobody takes for driving what is
only going on as before. Training takes seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aln_p3_core.errors import CheckpointError, DataError
from aln_p3_core.evaluation.ego_motion import PAST_STEPS, EgoMotion
from aln_p3_core.geometry import FloatArray

#: Velocity, acceleration, yaw rate, whether they are known, past places and their mask, command.
FEATURES = 2 + 2 + 1 + 1 + 3 * PAST_STEPS + 3
_FUTURE_STEPS = 6
_BATCH = 128
_FORMAT = "aln_p3 ego-status mlp 1"


class EgoStatusMlp(nn.Module):
    """Three layers from scaled features [B, FEATURES] to a plan [B, 6, 2] in the model frame, m."""

    mean: Tensor
    std: Tensor

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * _FUTURE_STEPS),
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, FEATURES] as `features_of` gives them -> [B, 6, 2] places of the model frame's origin, m."""
        offsets = self.layers((features - self.mean) / self.std)
        return offsets.unflatten(-1, (_FUTURE_STEPS, 2)).cumsum(dim=-2)

    @torch.no_grad()
    def plan(self, motion: EgoMotion) -> FloatArray:
        """[N, 6, 2] plans for samples."""
        return self(torch.from_numpy(features_of(motion))).double().numpy()


def features_of(motion: EgoMotion) -> NDArray[np.float32]:
    """[N, FEATURES] what the network reads."""
    parts = (
        motion.velocities,
        motion.accelerations,
        motion.yaw_rates[:, None],
        motion.known[:, None],
        motion.past_ego.reshape(len(motion), -1),
        motion.past_mask,
        np.eye(3)[motion.commands],
    )
    return np.concatenate(parts, axis=1).astype(np.float32)


def train_ego_status_mlp(
    motion: EgoMotion, futures_model: FloatArray, mask: NDArray[np.bool_], *, steps: int = 2000, seed: int = 0
) -> EgoStatusMlp:
    """Trains on the CPU: L1 distance to the true futures, AdamW with a cosine, batches of 128.

    Args:
        motion: of N samples.
        futures_model: [N, 6, 2] m. mask: [N, 6].
        steps: of the optimiser.
        seed: of weights and order; the same one gives the same network.

    Raises:
        DataError: when no future is known.
    """
    use = mask.any(axis=1)
    if not use.any():
        raise DataError("no sample has a future to train the ego-status MLP on; name another split")
    features = torch.from_numpy(features_of(motion)[use])
    futures = torch.from_numpy(np.asarray(futures_model, dtype=np.float32)[use])
    weights = torch.from_numpy(mask[use].astype(np.float32))[..., None]
    order = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EgoStatusMlp()
    network.mean.copy_(features.mean(dim=0))
    # What hardly varies in training must not be blown up elsewhere.
    network.std.copy_(features.std(dim=0, unbiased=False).clamp(min=0.05))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = torch.randint(len(features), (_BATCH,), generator=order)
        errors = (network(features[chosen]) - futures[chosen]).abs() * weights[chosen]
        loss = errors.sum() / weights[chosen].sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def save_ego_status_mlp(network: EgoStatusMlp, path: Path, told: dict[str, str]) -> None:
    """Writes the weights as safetensors, with what is `told` about their training."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, half,
              metadata={"format": _FORMAT, **told})  # fmt: skip
    half.replace(path)


def load_ego_status_mlp(path: Path) -> tuple[EgoStatusMlp, dict[str, str]]:
    """The network of a file, and what was told about it.

    Raises:
        CheckpointError: for a file that is none, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    network = EgoStatusMlp()
    if told.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is no ego-status MLP of this version; delete it, and it is trained again")
    network.load_state_dict(state)
    return network.eval(), told
