"""All terms of the driver's loss together: assignment, terms, weights, and what they are divided by.

Suffixes as in aln_p3_core/driver/io.py and training/batch.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.losses.agent_box import agent_box_loss, agent_class_loss
from aln_p3_core.training.losses.agent_heatmap import agent_heatmap_loss
from aln_p3_core.training.losses.bev_raster import BevRasterHead, bev_raster_loss, raster_targets
from aln_p3_core.training.losses.forecast import forecast_losses
from aln_p3_core.training.losses.map_direction import map_direction_loss
from aln_p3_core.training.losses.map_lines import map_class_loss, map_points_loss, matched_points
from aln_p3_core.training.losses.plan_across import plan_across_loss
from aln_p3_core.training.losses.plan_boundary import plan_boundary_loss
from aln_p3_core.training.losses.plan_collision import constraining_agents, plan_collision_loss
from aln_p3_core.training.losses.plan_direction import plan_direction_loss
from aln_p3_core.training.losses.plan_geometry import lines_in_metres
from aln_p3_core.training.losses.plan_regression import commanded_plan, plan_regression_loss
from aln_p3_core.training.losses.signal_ahead import SignalAheadHead, signal_ahead_loss
from aln_p3_core.training.matching import Assignment, match
from aln_p3_core.training.padded_targets import PaddedTargets, pad_targets
from aln_p3_core.training.settings import LossSettings


@dataclass(slots=True)
class CriterionResult:
    """The loss of a batch.

    Attributes:
        total: scalar, the sum of `terms`; what gradients come from.
        terms: by name, weighted, detached. A term of every decoder layer has the layer's number behind its name in
            all layers but the last: "agent_box.layer0", ..., "agent_box".
        assignment: which query answered for which target; None without the terms of perception.
    """

    total: Tensor
    terms: dict[str, Tensor]
    assignment: Assignment | None


@dataclass(slots=True)
class _Term:
    """`weight * sum(sums / counts)`; one entry for each decoder layer, or for each part of the term."""

    name: str
    weight: float
    sums: Tensor
    counts: Tensor
    by_layer: bool = False


def _identity(counts: Tensor) -> Tensor:
    return counts


class Criterion(nn.Module):
    """The loss of a recipe (method: VAD, section 6.6).

    Every term is a sum over the batch divided by a count over the batch (positives, valid steps, ...); where the
    count is zero, by the number of samples.

    With several processes the counts must be those of the whole global batch: set `normaliser` to a function that
    averages a vector over all processes (one all-reduce for all terms of a step). Each process then divides its own
    sums by the mean count, and the mean over processes of the losses, and of the gradients as DDP averages them,
    equals exactly what one process computes for the whole batch. All processes must call with the same arguments
    `plan`, so that the vectors are equally long. A normaliser only sees counts, which carry no gradient.

    With `bev_raster` or `signal_ahead` the criterion has parameters, those of heads that exist in training only: they
    belong into the optimiser and into the training's checkpoint, not into the driver's, and under DDP into the
    wrapped module.

    All terms are computed in float32, whatever autocast says.
    """

    def __init__(self, config: DriverConfig, losses: LossSettings) -> None:
        """
        Raises:
            ConfigError: when a constraint asks for a map class that the recipe does not have.
        """
        super().__init__()
        self.config = config
        self.losses = losses
        self.normaliser: Callable[[Tensor], Tensor] = _identity
        self.raster_head = BevRasterHead(config) if losses.bev_raster > 0 else None
        self.signal_head = SignalAheadHead(config) if losses.signal_ahead > 0 else None
        self._boundary = self._map_class("boundary", "plan_boundary", losses.plan_boundary)
        self._divider = self._map_class("divider", "plan_direction", losses.plan_direction)

    def forward(
        self,
        outputs: DriverOutputs,
        targets: Sequence[FrameTargets],
        *,
        plan: bool = True,
        perception_weight: float = 1.0,
    ) -> CriterionResult:
        """The loss of one batch.

        Args:
            outputs: of the network.
            targets: one for each sample, on the outputs' device. Frames may be without agents or lines.
            plan: whether the terms of the plan are in it, and the traffic light's.
            perception_weight: times the weights of all other terms. The assignment depends on the ratio of its costs
                only, and stays. 0: these terms are left out.

        Raises:
            DataError: for an empty batch, or samples made for different recipes.
        """
        perception = perception_weight > 0
        raster = self.raster_head(outputs.bev_BRSD) if perception and self.raster_head is not None else None
        with torch.autocast(outputs.bev_BRSD.device.type, enabled=False):
            outputs = _in_float32(outputs)
            padded = pad_targets(targets)
            assignment = match(outputs, padded, self.losses) if perception else None
            terms: list[_Term] = []
            if assignment is not None:
                terms += self._agent_terms(outputs, padded, assignment)
                terms += self._map_terms(outputs, padded, assignment)
            if perception and outputs.agent_heatmap_BCRS is not None and self.losses.agent_heatmap > 0:
                heat = agent_heatmap_loss(outputs.agent_heatmap_BCRS, targets, self.config.point_cloud_range)
                terms.append(_Term("agent_heatmap", self.losses.agent_heatmap, *heat))
            if raster is not None:
                wanted = raster_targets(padded, self.config, *raster.shape[2:])
                weight = self.losses.bev_raster / raster.shape[1]
                terms.append(_Term("bev_raster", weight, *bev_raster_loss(raster.float(), wanted, self.losses)))
            for term in terms:
                term.weight *= perception_weight
            if plan:
                terms += self._plan_terms(outputs, padded)
            values = self._divided(terms, len(targets))
            total = torch.stack(list(values.values())).sum()
        return CriterionResult(total, {name: value.detach() for name, value in values.items()}, assignment)

    def _agent_terms(self, outputs: DriverOutputs, targets: PaddedTargets, assignment: Assignment) -> Iterator[_Term]:
        losses, matched = self.losses, assignment.agent_LBQ
        classes = agent_class_loss(outputs.agent_logits_LBQC, matched, targets, losses)
        yield _Term("agent_class", losses.agent_class, *classes, by_layer=True)
        boxes = agent_box_loss(outputs.agent_boxes_LBQ10, matched, targets, losses)
        yield _Term("agent_box", losses.agent_box, *boxes, by_layer=True)
        paths, modes = forecast_losses(
            outputs.agent_forecasts_BQMT2, outputs.agent_mode_logits_BQM, matched[-1], targets, losses
        )
        yield _Term("forecast", losses.forecast, *paths)
        yield _Term("forecast_mode", losses.forecast_mode, *modes)

    def _map_terms(self, outputs: DriverOutputs, targets: PaddedTargets, assignment: Assignment) -> Iterator[_Term]:
        losses, points = self.losses, outputs.map_points_LBVP2
        wanted = matched_points(assignment, targets)
        classes = map_class_loss(outputs.map_logits_LBVC, assignment, targets, losses)
        yield _Term("map_class", losses.map_class, *classes, by_layer=True)
        yield _Term("map_points", losses.map_points, *map_points_loss(points, assignment, wanted), by_layer=True)
        direction = map_direction_loss(points, assignment.line_LBV, wanted, self.config.extent, losses)
        yield _Term("map_direction", losses.map_direction, *direction, by_layer=True)

    def _plan_terms(self, outputs: DriverOutputs, targets: PaddedTargets) -> Iterator[_Term]:
        losses = self.losses
        yield _Term("plan", losses.plan, *plan_regression_loss(outputs.plan_offsets_B3T2, targets, losses))
        if self.signal_head is not None:
            signal = signal_ahead_loss(self.signal_head(outputs.ego_features_B2D), targets.signal_B)
            yield _Term("signal_ahead", losses.signal_ahead, *signal)
        path = commanded_plan(outputs.plan_offsets_B3T2, targets.command_B).cumsum(1)
        if losses.plan_across > 0:
            across = plan_across_loss(path, targets, losses) * targets.weight_B[:, None]
            yield _Term("plan_across", losses.plan_across, *self._over_steps(across, targets))
        if losses.plan_collision > 0:
            agents = constraining_agents(
                self._perceived(outputs.agent_boxes_LBQ10[-1, ..., :2]),
                self._perceived(outputs.agent_forecasts_BQMT2),
                outputs.agent_mode_logits_BQM,
                outputs.agent_logits_LBQC[-1].detach().sigmoid(),
                self.config.agents.classes,
                losses,
            )
            collision = plan_collision_loss(path, *agents, losses).mean(-1)
            yield _Term("plan_collision", losses.plan_collision, *self._over_steps(collision, targets))
        lines = lines_in_metres(self._perceived(outputs.map_points_LBVP2[-1]), self.config.point_cloud_range)
        sure = outputs.map_logits_LBVC[-1].detach().sigmoid() >= losses.constraint_score
        if losses.plan_boundary > 0:
            boundary = plan_boundary_loss(path, lines, sure[..., self._boundary], losses)
            yield _Term("plan_boundary", losses.plan_boundary, *self._over_steps(boundary, targets))
        if losses.plan_direction > 0:
            direction = plan_direction_loss(path, lines, sure[..., self._divider], losses)
            yield _Term("plan_direction", losses.plan_direction, *self._over_steps(direction, targets))

    def _over_steps(self, loss_BT: Tensor, targets: PaddedTargets) -> tuple[Tensor, Tensor]:
        """Sum over valid steps, and their number (released: the number of all steps)."""
        mask = targets.plan_mask_BT
        return (loss_BT * mask).sum(), loss_BT.new_tensor(mask.numel()) if self.losses.released else mask.sum()

    def _perceived(self, values: Tensor) -> Tensor:
        """What constrains the plan, without gradient: the plan shall move away from a boundary or a vehicle, not the
        boundary or the vehicle away from the plan (released: both)."""
        return values if self.losses.released else values.detach()

    def _divided(self, terms: Sequence[_Term], samples: int) -> dict[str, Tensor]:
        """Weighted terms by name."""
        sums = [term.sums.reshape(-1) for term in terms]
        counts = [term.counts.reshape(-1).float() for term in terms]
        # One vector for all terms: whoever averages it over processes does so once.
        normalised = self.normaliser(torch.cat([*counts, counts[0].new_tensor([float(samples)])]))
        denominators = torch.where(normalised > 0, normalised, normalised[-1])[:-1]
        values: dict[str, Tensor] = {}
        for term, parts in zip(terms, (torch.cat(sums) / denominators).split([len(s) for s in sums]), strict=True):
            if term.by_layer:
                *earlier, last = (term.weight * parts).unbind()
                values |= {f"{term.name}.layer{i}": value for i, value in enumerate(earlier)}
                values[term.name] = last
            else:
                values[term.name] = term.weight * parts.sum()
        return values

    def _map_class(self, name: str, setting: str, weight: float) -> int:
        if name in self.config.map.classes:
            return self.config.map.classes.index(name)
        if weight > 0:
            raise ConfigError(
                f"losses.{setting} needs the map class {name!r}, and map.classes holds {self.config.map.classes}; "
                f"set losses.{setting}=0 or add the class"
            )
        return -1


def _in_float32(outputs: DriverOutputs) -> DriverOutputs:
    tensors = {field.name: getattr(outputs, field.name) for field in fields(outputs)}
    return replace(outputs, **{name: value.float() for name, value in tensors.items() if value is not None})
