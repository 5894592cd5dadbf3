"""Best and worst plans as pictures: what the cameras showed, what was seen and planned, and what was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.report_blocks import Gallery, Picture
from aln_p3_core.evaluation.sample_facts import SampleFacts
from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import DrivingScene, Plan

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets
    from aln_p3_core.frame import DrivingFrame

_WIDTH = 1500
_JPEG_QUALITY = 82
# A car that stands well shows nothing: good cases are taken from drives.
_MOVING_MPS = 2.0


def choose_cases(
    scores: FloatArray, facts: Sequence[SampleFacts], count: int, *, best: bool, moving: bool = False
) -> list[int]:
    """Indices of the best or worst samples, the best or worst first, no two from one scene.

    Args:
        scores: [S], less is better; NaN ones are left out.
        facts: [S].
        count: at most so many.
        best: or the worst.
        moving: only samples of a car that moves.
    """
    usable = np.flatnonzero(np.isfinite(scores))
    order = usable[np.argsort(scores[usable] if best else -scores[usable], kind="stable")]
    chosen: list[int] = []
    scenes: set[str] = set()
    for index in order.tolist():
        if len(chosen) == count:
            break
        if facts[index].scene in scenes or (moving and facts[index].speed < _MOVING_MPS):
            continue
        scenes.add(facts[index].scene)
        chosen.append(index)
    return chosen


def draw_cases(
    heading: str,
    indices: Sequence[int],
    predictions: Sequence[SamplePrediction],
    scores: FloatArray,
    facts: Sequence[SampleFacts],
    targets: Mapping[str, Targets],
    dataset: NuScenesDataset,
    *,
    min_score: float = 0.3,
) -> Gallery:
    """A picture for each chosen sample: cameras and bird's-eye view, prediction in colour, truth thin and white."""
    pictures = []
    for index in indices:
        prediction, fact = predictions[index], facts[index]
        caption = (
            f"{fact.scene}, {fact.command}"
            + (f", {fact.scenario.replace('_', ' ')}" if fact.scenario else "")
            + (f", {fact.condition}" if fact.condition else "")
            + f", {fact.speed:.1f} m/s: mean L2 {scores[index]:.2f} m (sample {fact.token})"
        )
        data = draw_case(prediction, targets[prediction.token], dataset.frame(prediction.token), min_score=min_score)
        pictures.append(Picture(data, "jpeg", caption))
    return Gallery(tuple(pictures), heading)


def draw_case(prediction: SamplePrediction, targets: Targets, frame: DrivingFrame, *, min_score: float = 0.3) -> bytes:
    """One sample as JPEG. Raises DataError for a prediction without agents and map elements."""
    from aln_p3_core.drawing.overview import draw_overview

    image = draw_overview(frame, scene_of(prediction, frame), targets, width=_WIDTH, min_score=min_score)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()


def scene_of(prediction: SamplePrediction, frame: DrivingFrame) -> DrivingScene:
    """The driver's output that a prediction was taken from."""
    agents, lines, plans = prediction.agents, prediction.map_elements, prediction.plans_model
    if agents is None or lines is None or plans is None:
        raise DataError(f"the prediction of sample {prediction.token} holds a plan only; predict with perception")
    return DrivingScene(
        agents=agents,
        map_elements=lines,
        plan=Plan(np.asarray(plans, dtype=np.float32), prediction.command),
        reference_stamp_ns=frame.reference_stamp_ns,
        newest_image_stamp_ns=frame.newest_image_stamp_ns,
        T_global_ego=frame.T_global_ego,
        T_ego_model=frame.T_ego_model,
        token=frame.token,
    )
