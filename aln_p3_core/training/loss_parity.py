"""Compares the losses with golden values of the released code: terms, assignments, costs and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig, get_recipe
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.errors import DataError
from aln_p3_core.runtime.oracle import Oracle
from aln_p3_core.runtime.parity import Comparison
from aln_p3_core.training.batch import FrameTargets
from aln_p3_core.training.criterion import Criterion
from aln_p3_core.training.losses.forecast import best_modes
from aln_p3_core.training.losses.plan_boundary import plan_boundary_loss
from aln_p3_core.training.losses.plan_collision import constraining_agents, plan_collision_loss
from aln_p3_core.training.losses.plan_direction import plan_direction_loss
from aln_p3_core.training.losses.plan_geometry import lines_in_metres
from aln_p3_core.training.matching import agent_costs, line_costs
from aln_p3_core.training.padded_targets import PaddedTargets, pad_targets
from aln_p3_core.training.settings import LossSettings

#: Allowed error relative to an entry, and relative to its tensor's largest entry.
RTOL, SCALE_TOL = 1e-4, 1e-6

UNITS_FILE = "plan_loss_units.safetensors"

# Released name of a term (its weight, then the term), and ours.
_TERMS = {
    "cls": "agent_class",
    "bbox": "agent_box",
    "traj": "forecast",
    "traj_cls": "forecast_mode",
    "map_cls": "map_class",
    "map_pts": "map_points",
    "map_dir": "map_direction",
    "plan_reg": "plan",
    "plan_bound": "plan_boundary",
    "plan_col": "plan_collision",
    "plan_dir": "plan_direction",
}
# Terms that the released configurations switch off, and that do not exist here.
_SWITCHED_OFF = ("iou", "map_bbox", "map_iou")
_PADDING_M = -1000.0


def check_losses(folder: Path) -> Iterator[Comparison]:
    """Yields a comparison for every stored value of `loss_case*.safetensors` and of the planning units in a folder.

    Yields nothing when the folder holds neither.

    Raises:
        DataError: when a file cannot be read, or its configuration has a term that does not exist here.
    """
    cases = sorted(folder.glob("loss_case*.safetensors"))
    if cases:
        oracle = Oracle(folder)
        settings = _settings(oracle.settings)
        for path in cases:
            stored = oracle.tensors(path.stem)
            yield from _complete(path, _case_comparisons(path.stem, stored, oracle.config, settings))
    if (folder / UNITS_FILE).is_file():
        yield from _complete(folder / UNITS_FILE, _unit_comparisons(folder / UNITS_FILE))


def _complete(path: Path, comparisons: Iterator[Comparison]) -> Iterator[Comparison]:
    try:
        yield from comparisons
    except KeyError as error:
        raise DataError(f"{path} does not hold {error}, which a comparison needs; get the whole file") from error


def _settings(tree: dict[str, Any]) -> LossSettings:
    weights: dict[str, float] = tree["loss_weights"]
    for name in _SWITCHED_OFF:
        if weights.get(name, 0.0):
            raise DataError(f"config.json gives loss_weights.{name} = {weights[name]}; only 0 can be compared")
    code_weights = [round(weight, 6) for weight in tree["code_weights"]]
    if code_weights[:8] != [1.0] * 8 or code_weights[8] != code_weights[9]:
        raise DataError(f"config.json gives code_weights {code_weights}; only the two of velocity may differ from 1")
    chosen = {ours: weights[released] for released, ours in _TERMS.items()}
    return LossSettings(**chosen, velocity_weight=code_weights[8], released=True)


def _case_comparisons(
    file: str, golden: dict[str, Tensor], config: DriverConfig, settings: LossSettings
) -> Iterator[Comparison]:
    predictions = {
        name.removeprefix("preds."): tensor.clone().requires_grad_()
        for name, tensor in golden.items()
        if name.startswith("preds.")
    }
    outputs = _outputs(predictions, config)
    targets = _frame_targets(golden, config)
    result = Criterion(config, settings)(outputs, [targets])
    ours: dict[str, Tensor] = {"loss.total": result.total.detach()}
    for name in golden:
        if name.startswith("loss.") and name != "loss.total":
            ours[name] = _term(name, result.terms)
    padded = pad_targets([targets])
    agents, lines = result.assignment.agent_LBQ, result.assignment.line_LBV
    with torch.no_grad():
        cost, orders = line_costs(outputs.map_logits_LBVC, outputs.map_points_LBVP2, padded, settings)
        ours["cost.agent"] = agent_costs(outputs.agent_logits_LBQC, outputs.agent_boxes_LBQ10, padded, settings)[:, 0]
        ours |= {"cost.map": cost[:, 0], "assign.map_order": orders[:, 0]}
        ours |= {"assign.agent": agents[:, 0] + 1, "assign.map": lines[:, 0] + 1}
        ours["assign.mode_labels"] = _mode_labels(predictions["all_traj_preds"], agents, padded)[:, 0]
    gradients = torch.autograd.grad(result.total, list(predictions.values()), allow_unused=True)
    for (name, prediction), gradient in zip(predictions.items(), gradients, strict=True):
        ours[f"grad.{name}"] = torch.zeros_like(prediction) if gradient is None else gradient
    for name, tensor in golden.items():
        if not name.startswith(("preds.", "gt.")):
            yield _compare(file, name, ours.get(name), tensor)


def _term(name: str, terms: dict[str, Tensor]) -> Tensor:
    """Ours of a released name: "loss.loss_cls", or "loss.d0.loss_cls" of an earlier decoder layer."""
    *layer, last = name.split(".")[1:]
    released = last.removeprefix("loss_")
    if released in _SWITCHED_OFF:
        return torch.zeros(())
    if released not in _TERMS:
        raise DataError(f"{name}: no term of that name is known; there are {', '.join(_TERMS)}")
    return terms[_TERMS[released] + (f".layer{layer[0].removeprefix('d')}" if layer else "")]


def _outputs(predictions: dict[str, Tensor], config: DriverConfig) -> DriverOutputs:
    """Losses do not read the features: these are empty."""
    none = torch.zeros(0)
    return DriverOutputs(
        bev_BRSD=none,
        agent_logits_LBQC=predictions["all_cls_scores"],
        agent_boxes_LBQ10=predictions["all_bbox_preds"],
        agent_forecasts_BQMT2=predictions["all_traj_preds"][-1].unflatten(-1, (config.planner.steps, 2)),
        agent_mode_logits_BQM=predictions["all_traj_cls_scores"][-1],
        agent_states_BQD=none,
        motion_BQM2D=none,
        map_logits_LBVC=predictions["map_all_cls_scores"],
        map_points_LBVP2=predictions["map_all_pts_preds"],
        map_tokens_BVD=none,
        ego_features_B2D=none,
        plan_offsets_B3T2=predictions["ego_fut_preds"],
    )


def _frame_targets(golden: dict[str, Tensor], config: DriverConfig) -> FrameTargets:
    steps = config.planner.steps
    x, y, z, width, length, height, yaw, vx, vy = golden["gt.boxes_gravity"].unbind(-1)
    attributes = golden["gt.attr"]
    mask = attributes[:, 2 * steps : 3 * steps] > 0
    shifts = golden["gt.map_points_shifts"]
    real = (shifts > _PADDING_M).all(-1).all(-1)
    low = shifts.new_tensor(config.point_cloud_range[:2])
    codes = [x, y, width.log(), length.log(), z, height.log(), yaw.sin(), yaw.cos(), vx, vy]
    return FrameTargets(
        token="",
        agent_boxes_A10=torch.stack(codes, dim=-1),
        agent_velocity_valid_A=torch.ones_like(x, dtype=torch.bool),
        agent_classes_A=golden["gt.labels"],
        agent_offsets_AT2=attributes[:, : 2 * steps].unflatten(-1, (steps, 2)),
        agent_future_mask_AT=mask,
        map_classes_G=golden["gt.map_labels"],
        map_orders_GOP2=(shifts - low) / shifts.new_tensor(config.extent) * real[..., None, None],
        map_order_mask_GO=real,
        plan_offsets_T2=golden["gt.ego_future"].reshape(steps, 2),
        plan_mask_T=golden["gt.ego_mask"].reshape(steps) > 0,
        command=golden["gt.ego_command"].flatten().argmax(),
        weight=torch.ones(()),
    )


def _mode_labels(paths_LBQMK: Tensor, agent_LBQ: Tensor, targets: PaddedTargets) -> Tensor:
    """[L, B, Q] best mode of each matched query; the number of modes where it is background."""
    labels = []
    for paths, agents in zip(paths_LBQMK, agent_LBQ, strict=True):
        wanted = targets.gather(targets.offsets_BAT2, agents)
        mask = targets.gather(targets.future_mask_BAT, agents)
        mode = best_modes(paths.unflatten(-1, (-1, 2)), wanted, mask, released=True)
        labels.append(torch.where(agents >= 0, mode, paths.shape[2]))
    return torch.stack(labels)


def _unit_comparisons(path: Path) -> Iterator[Comparison]:
    from safetensors.torch import load_file

    try:
        golden = load_file(path)
    except Exception as error:  # safetensors raises several unrelated types
        raise DataError(f"{path} cannot be read: {error}") from error
    given = {name.removeprefix("in."): tensor for name, tensor in golden.items() if name.startswith("in.")}
    for name, loss in _UNITS.items():
        leaves = {key: tensor.clone().requires_grad_() for key, tensor in given.items()}
        weighted = loss(leaves)
        mean = weighted.flatten(1).mean(1)
        yield _compare(path.stem, f"out.{name}.none", weighted, golden[f"out.{name}.none"])
        yield _compare(path.stem, f"out.{name}.mean", mean, golden[f"out.{name}.mean"])
        prefix = f"out.{name}.grad_"
        wanted = [key.removeprefix(prefix) for key in golden if key.startswith(prefix)]
        gradients = torch.autograd.grad(mean.sum(), [leaves[key] for key in wanted], materialize_grads=True)
        for key, gradient in zip(wanted, gradients, strict=True):
            yield _compare(path.stem, prefix + key, gradient, golden[prefix + key])
        together = golden[f"batch8.{name}.none"]
        batch = loss({key: tensor[: len(together)] for key, tensor in given.items()})
        yield _compare(path.stem, f"batch8.{name}.none", batch, together)
        yield _compare(path.stem, f"batch8.{name}.mean", batch.mean(), golden[f"batch8.{name}.mean"])


_RELEASED = LossSettings(released=True)
_UNIT_RECIPE = get_recipe("base")


def _unit_lines(given: dict[str, Tensor], class_name: str) -> tuple[Tensor, Tensor]:
    lines = lines_in_metres(given["lanes"], _UNIT_RECIPE.point_cloud_range)
    score = given["lane_scores"][..., _UNIT_RECIPE.map.classes.index(class_name)]
    return lines, score >= _RELEASED.constraint_score


def _unit_boundary(given: dict[str, Tensor]) -> Tensor:
    loss = plan_boundary_loss(given["ego"].cumsum(1), *_unit_lines(given, "boundary"), _RELEASED)
    return loss * given["mask"]


def _unit_direction(given: dict[str, Tensor]) -> Tensor:
    loss = plan_direction_loss(given["ego"].cumsum(1), *_unit_lines(given, "divider"), _RELEASED)
    return loss * given["mask"]


def _unit_collision(given: dict[str, Tensor]) -> Tensor:
    agents = constraining_agents(
        given["agents"],
        given["agent_futures"],
        given["mode_scores"],
        given["agent_scores"],
        _UNIT_RECIPE.agents.classes,
        _RELEASED,
    )
    return plan_collision_loss(given["ego"].cumsum(1), *agents, _RELEASED) * given["mask"][..., None]


_UNITS: dict[str, Callable[[dict[str, Tensor]], Tensor]] = {
    "bound": _unit_boundary,
    "collision": _unit_collision,
    "direction": _unit_direction,
}


def _compare(file: str, name: str, ours: Tensor | None, golden: Tensor) -> Comparison:
    """Whole numbers must be equal; others agree to a relative error of 1e-4."""
    shape = tuple(golden.shape)
    if ours is None or tuple(ours.shape) != shape:
        note = "not computed" if ours is None else f"ours has shape {tuple(ours.shape)}"
        return Comparison(file, name, shape, float("inf"), float("inf"), False, note)
    a, b = ours.detach().double(), golden.double()
    error = (a - b).abs()
    largest, scale = (float(t.max()) if t.numel() else 0.0 for t in (error, b.abs()))
    allowed = RTOL * b.abs() + SCALE_TOL * scale if golden.is_floating_point() else torch.zeros_like(b)
    return Comparison(file, name, shape, largest, largest / scale if scale else largest, bool((error <= allowed).all()))
