"""How good the averaged weights are on the validation split, in a minute: what chooses the best checkpoint.

Clips are those of training without chance: the frames just before, three in all. The same numbers come out of any
number of processes: each computes some of the batches, and everything is put together in the order of the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import AGENT_CLASSES
from aln_p3_core.training.batch import FrameTargets, TrainingBatch
from aln_p3_core.training.clip_data import collate_clips
from aln_p3_core.training.clips import ClipDataset
from aln_p3_core.training.forward import autocast, clip_outputs
from aln_p3_core.training.quick_precision import average_precision, chamfer, hits
from aln_p3_core.training.settings import DataSettings, PrecisionName, TrainingConfig

_BATCH = 4
_CLIP_FRAMES = 3
#: Seconds at which the plan's error is told.
_HORIZONS_S = (1.0, 2.0, 3.0)
_CAR_DISTANCE_M, _LINE_DISTANCE_M = 2.0, 1.5

Gather = Callable[[list[Any]], list[Any]]
#: Terms of a batch's loss by name, with "loss" for their sum; "language" and "language.TASK" are measures themselves.
BatchLoss = Callable[[DriverOutputs, TrainingBatch], dict[str, float]]
_LANGUAGE = "language"


@dataclass(slots=True)
class _Row:
    """One frame: errors of the plan [T] with and without ego status, hits of cars and lines, its batch's loss."""

    index: int
    plan: FloatArray | None
    plan_withheld: FloatArray | None
    cars: tuple[FloatArray, FloatArray, int]
    lines: list[tuple[FloatArray, FloatArray, int]]
    losses: dict[str, float]


def measures_to_minimise(config: DriverConfig, training: TrainingConfig | None = None) -> tuple[str, ...]:
    """Measures that can choose the best checkpoint of a recipe and its training. Not the loss: stages differ in its
    terms."""
    plans = ["plan_l2", *(f"plan_l2_{seconds:.0f}s" for seconds in _HORIZONS_S)]
    if _reads_status(config):
        plans += [f"{name}_withheld" for name in plans]
    words = (
        () if training is None or training.explainer is None else (_LANGUAGE, *(f"{_LANGUAGE}.{t.value}" for t in Task))
    )
    return ("score", *plans, *words)


def validation_settings(data: DataSettings) -> DataSettings:
    """Clips without chance."""
    return replace(data, clip_frames=_CLIP_FRAMES, clip_spares=0, fresh_start_probability=0.0)


def validate(
    network: DriverNetwork,
    clips: ClipDataset,
    chosen: Iterable[int],
    *,
    loss: BatchLoss | None = None,
    device: torch.device,
    precision: PrecisionName = "fp32",
    process: tuple[int, int] = (0, 1),
    gather: Gather = list,
) -> dict[str, float]:
    """Measures of a network in evaluation mode.

    Args:
        network: on `device`.
        clips: of the validation split.
        chosen: positions in `clips`.
        loss: of a batch on this process alone.
        device, precision: where and how to compute.
        process: (rank, number of processes).
        gather: joins the lists of all processes.

    Returns:
        "plan_l2_1s" to "plan_l2_3s": error of the commanded plan at that time, m, and "plan_l2" their mean; the same
        with "_withheld" behind it where the recipe reads the ego status and it is not told; "car_ap_2m" and
        "line_ap_1.5m": quick average precision within the recipe's range (no benchmark's protocol); "score": mean of
        "plan_l2" and "plan_l2_withheld", the smaller the better. With `loss`, "loss" and "loss.TERM": means over the
        frames, each counted with its batch's loss (terms that exist in training mode only are not among them), and
        "language" and "language.TASK" likewise, of batches that have such texts.
    """
    places = list(chosen)
    rank, processes = process
    rows: list[_Row] = []
    reads_status = _reads_status(network.config)
    for number, start in enumerate(range(0, len(places), _BATCH)):
        if number % processes != rank:
            continue
        part = places[start : start + _BATCH]
        batch = collate_clips([clips[place] for place in part]).to(device)
        outputs = predict(network, batch, precision)
        withheld = predict(network, _without_status(batch), precision) if reads_status else None
        losses = {} if loss is None else loss(outputs, batch)
        rows += [
            _row(start + i, i, network.config, outputs, withheld, target, losses)
            for i, target in enumerate(batch.targets)
        ]
    rows = sorted(gather(rows), key=lambda row: row.index)
    return _measures(rows, network.config)


@torch.no_grad()
def predict(network: DriverNetwork, batch: TrainingBatch, precision: PrecisionName = "fp32") -> DriverOutputs:
    """Outputs for the last frames of a batch of clips."""
    with autocast(precision, batch.clip[-1].rows_BN.device):
        return clip_outputs(network, batch)


def _reads_status(config: DriverConfig) -> bool:
    return config.ego_status == "planner"


def _without_status(batch: TrainingBatch) -> TrainingBatch:
    frames = [replace(frame, ego_status_B8=torch.zeros_like(frame.ego_status_B8)) for frame in batch.clip]
    return TrainingBatch(frames, batch.targets, batch.texts)


def _row(
    index: int,
    sample: int,
    config: DriverConfig,
    outputs: DriverOutputs,
    withheld: DriverOutputs | None,
    target: FrameTargets,
    losses: dict[str, float],
) -> _Row:
    low = outputs.map_points_LBVP2.new_tensor(config.point_cloud_range[:2])
    extent = low.new_tensor(config.extent)
    car = AGENT_CLASSES.index("car")
    cars = target.agent_boxes_A10[target.agent_classes_A == car, :2]
    distances = torch.cdist(outputs.agent_boxes_LBQ10[-1, sample, :, :2].float(), cars)
    found = hits(distances, outputs.agent_logits_LBQC[-1, sample, :, car].sigmoid(), _CAR_DISTANCE_M)
    lines = []
    predicted = outputs.map_points_LBVP2[-1, sample].float() * extent + low
    for kind in range(len(config.map.classes)):
        truths = target.map_orders_GOP2[target.map_classes_G == kind, 0] * extent + low
        score = outputs.map_logits_LBVC[-1, sample, :, kind].sigmoid()
        lines.append((*hits(chamfer(predicted, truths), score, _LINE_DISTANCE_M), len(truths)))
    return _Row(
        index,
        _plan_error(outputs, sample, target),
        None if withheld is None else _plan_error(withheld, sample, target),
        (*found, len(cars)),
        lines,
        losses,
    )


def _plan_error(outputs: DriverOutputs, sample: int, target: FrameTargets) -> FloatArray | None:
    """[T] distance to the true plan, m; None where its end is not known."""
    if not bool(target.plan_mask_T.all()):
        return None
    offsets: Tensor = outputs.plan_offsets_B3T2[sample, int(target.command)].float() - target.plan_offsets_T2
    return offsets.cumsum(0).norm(dim=-1).double().cpu().numpy()


def _measures(rows: list[_Row], config: DriverConfig) -> dict[str, float]:
    result: dict[str, float] = {}
    for suffix, errors in (
        ("", [row.plan for row in rows if row.plan is not None]),
        ("_withheld", [row.plan_withheld for row in rows if row.plan_withheld is not None]),
    ):
        if errors:
            mean = np.mean(errors, axis=0)
            steps = [round(seconds / config.planner.step_s) - 1 for seconds in _HORIZONS_S]
            for seconds, step in zip(_HORIZONS_S, steps, strict=True):
                result[f"plan_l2_{seconds:.0f}s{suffix}"] = float(mean[step])
            result[f"plan_l2{suffix}"] = float(mean[steps].mean())
    result["car_ap_2m"] = _precision([row.cars for row in rows])
    of_kinds = [_precision([row.lines[kind] for row in rows]) for kind in range(len(config.map.classes))]
    result["line_ap_1.5m"] = float(np.nanmean(of_kinds)) if np.isfinite(of_kinds).any() else float("nan")
    plans = [result[name] for name in ("plan_l2", "plan_l2_withheld") if name in result]
    result["score"] = float(np.mean(plans)) if plans else 1.0 - result["car_ap_2m"]
    for name in rows[0].losses if rows else ():
        losses = np.array([row.losses[name] for row in rows])
        known = losses[np.isfinite(losses)] if name.startswith((_LANGUAGE, "align.")) else losses
        plain = name == "loss" or name.startswith(_LANGUAGE)
        # A task or an alignment may be without a text in every frame.
        if len(known):
            result[name if plain else f"loss.{name}"] = float(np.mean(known))
    return result


def _precision(parts: list[tuple[FloatArray, FloatArray, int]]) -> float:
    scores, found = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return average_precision(scores, found, sum(part[2] for part in parts))
