"""The module that is trained: driver and criterion together, from a batch of clips to its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.training.batch import ClipFrame, TrainingBatch
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.inputs import driver_inputs, image_prefix
from aln_p3_core.training.perceived import planned
from aln_p3_core.training.settings import PrecisionName, StageSettings


def _no_lap(name: str) -> None:
    """Nobody measures."""


class TrainedModule(nn.Module):
    """Driver and criterion as one module, so that several processes share the gradients of both.

    Attributes:
        lap: called with "memory", "forward" and "criterion" as each of these is done.
        measures: of the last batch, beside its losses; some modules have any.
    """

    def __init__(self, network: DriverNetwork, criterion: Criterion, precision: PrecisionName) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.precision = precision
        self.lap: Callable[[str], None] = _no_lap
        self.measures: dict[str, float] = {}
        self._trainable = {name for name, p in self.named_parameters() if p.requires_grad}
        self._frozen: tuple[str, ...] = ()

    def forward(self, batch: TrainingBatch, stage: StageSettings) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch on this module's device, and its terms."""
        with autocast(self.precision, batch.clip[-1].rows_BN.device):
            outputs = clip_outputs(self.network, batch, self.lap)
        self.lap("forward")
        result = self.criterion(outputs, batch.targets, plan=stage.plan, perception_weight=stage.perception_weight)
        self.lap("criterion")
        return result.total, result.terms

    def begin_stage(self, stage: StageSettings) -> None:
        """Freezes what the stage does not train, and lets go of what an earlier one froze."""
        self._frozen = stage.frozen if stage.plan else (*stage.frozen, "planner")
        prefixes = tuple(f"network.{part}." for part in self._frozen)
        # Heads of terms that the stage leaves out would wait for a gradient.
        prefixes += () if stage.plan else ("criterion.signal_head.",)
        prefixes += () if stage.perception_weight > 0 else ("criterion.raster_head.",)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in self._trainable and not name.startswith(prefixes))
        self.train()

    def sides(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, by what they are of: gradients are clipped side by side, so that none slows another down."""
        return {"driver": list(self.parameters())}

    def saved_state(self) -> dict[str, Tensor]:
        """Entries that a checkpoint of the training keeps."""
        return self.state_dict()

    def load_saved_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes entries of `saved_state`."""
        self.load_state_dict(state)

    def train(self, mode: bool = True) -> TrainedModule:
        """Frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            getattr(self.network, part).eval()
        return self


def clip_outputs(network: DriverNetwork, batch: TrainingBatch, lap: Callable[[str], None] = _no_lap) -> DriverOutputs:
    """Outputs for the last frame of every clip; the frames before only build the memory, without gradient.

    As in VAD, they are seen in evaluation mode: the memory has no dropout on the road either. `lap("memory")` is
    called when they are done.
    """
    device = batch.clip[-1].rows_BN.device
    kept = batch.clip[-1].perceived
    if kept is not None:
        reads_status = network.config.ego_status == "planner"
        command_B = torch.stack([target.command for target in batch.targets])
        return planned(network, kept, batch.clip[-1].ego_status_B8 if reads_status else None, command_B)
    memory: Tensor | None = None
    with _in_evaluation_mode(network), torch.no_grad():
        for frame in batch.clip[:-1]:
            inputs = driver_inputs(frame, network.config, device, memory)
            memory = network.encode_bev(_features(network, frame, inputs), inputs)
    # Older releases of torch keep the weights that autocast cast here, without gradient, and would take them below.
    torch.clear_autocast_cache()
    lap("memory")
    frame = batch.clip[-1]
    inputs = driver_inputs(frame, network.config, device, memory)
    features = _features(network, frame, inputs)
    bev = network.encode_bev(features, inputs)
    return network.plan(bev, network.decode(bev), inputs, features)


def autocast(precision: PrecisionName, device: torch.device) -> torch.autocast:
    """What computes in bfloat16 where the settings ask for it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def _in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Every part gets its own mode back: a frozen one must not come out in training mode."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _features(network: DriverNetwork, frame: ClipFrame, inputs: DriverInputs) -> list[Tensor]:
    return network.features_from_prefix(image_prefix(frame, inputs, network))
