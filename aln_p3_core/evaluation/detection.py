"""Detection: nuScenes' mAP, NDS and five errors, by nuscenes-devkit itself, on any root in nuScenes schema.

    truth = DetectionTruth(dataset, tokens)
    result = evaluate_detection({p.token: p.agents for p in predictions}, truth, read_detection_protocol("range"))
    result.class_ap["car"]

Predictions are handed over in memory. The devkit matches and scores; a protocol only says which boxes it gets to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.detection_boxes import detection_boxes, true_boxes
from aln_p3_core.evaluation.perception_protocol import DetectionProtocol, read_detection_protocol
from aln_p3_core.geometry import FloatArray, invert_transform, transform_points
from aln_p3_core.scene import Agents

if TYPE_CHECKING:
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox, DetectionConfig

    from aln_p3_core.datasets.nuscenes import NuScenesDataset

#: Errors of true positives as the devkit names them: m, 1 - IoU, rad, m/s, 1 - accuracy.
ERRORS = ("trans_err", "scale_err", "orient_err", "vel_err", "attr_err")
# Beyond every recording: where the devkit's class ranges shall not apply.
_NO_LIMIT_M = 1e9


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """What the devkit says, with the means as the protocol takes them.

    Attributes:
        protocol: that it was counted under.
        mean_ap, nd_score: 0..1; NaN where the protocol leaves every class out.
        errors: mean of each of ERRORS.
        class_ap: mean over the distances 0.5, 1, 2 and 4 m by class; NaN for a class that is left out.
        class_errors: by class and error; NaN for errors that a class does not have, such as the velocity of a cone.
        num_truth, num_predictions: boxes by class that count.
        devkit: the devkit's own summary, with its own means.
        curves: the devkit's precision, recall, confidence and errors, by "class:distance".
    """

    protocol: DetectionProtocol
    mean_ap: float
    nd_score: float
    errors: Mapping[str, float]
    class_ap: Mapping[str, float]
    class_errors: Mapping[str, Mapping[str, float]]
    num_truth: Mapping[str, int]
    num_predictions: Mapping[str, int]
    devkit: Mapping[str, Any]
    curves: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Numbers by name; None for what was not measured."""
        classes = {
            name: {
                "ap": _or_none(ap),
                "ap_by_distance": {f"{d:g}": v for d, v in self.devkit["label_aps"][name].items()},
                **{key: _or_none(self.class_errors[name][key]) for key in ERRORS},
                "truth": self.num_truth[name],
                "predictions": self.num_predictions[name],
            }
            for name, ap in self.class_ap.items()
        }
        return {
            "protocol": self.protocol.name,
            "map": _or_none(self.mean_ap),
            "nds": _or_none(self.nd_score),
            **{key: _or_none(value) for key, value in self.errors.items()},
            "classes": classes,
        }


class DetectionTruth:
    """True boxes of samples, read once for all protocols and predictors.

    Attributes:
        tokens: of the samples.
        boxes: the devkit's true boxes, unfiltered, with their distance from the ego.
        T_global_model: [4, 4] by token.
    """

    def __init__(self, dataset: NuScenesDataset, tokens: Sequence[str]) -> None:
        """Reads the truth of samples.

        Raises:
            DataError: for a sample without LIDAR_TOP, from whose pose the devkit measures distances, or an object
                with several attributes.
        """
        self._nusc = dataset.nusc
        self.tokens = tuple(tokens)
        self.T_global_model = {t: dataset.reference_of(t)[1] @ dataset.T_ego_model(t) for t in tokens}
        self.boxes = self.with_distances(true_boxes(self._nusc, self.tokens))

    def with_distances(self, boxes: EvalBoxes) -> EvalBoxes:
        """The same boxes, with the way from the ego to each written into them."""
        from nuscenes.eval.common.loaders import add_center_dist

        try:
            return add_center_dist(self._nusc, boxes)
        except KeyError as error:
            raise DataError(f"the devkit measures distances from LIDAR_TOP, and a sample has none: {error}") from error

    def filtered(self, boxes: EvalBoxes, config: DetectionConfig, protocol: DetectionProtocol) -> EvalBoxes:
        """Boxes that count: within the protocol's range, with a LiDAR or radar point, in no bicycle rack."""
        from nuscenes.eval.common.data_classes import EvalBoxes
        from nuscenes.eval.common.loaders import filter_eval_boxes

        kept = EvalBoxes()
        for token in self.tokens:
            kept.add_boxes(token, self._within(boxes[token], self.T_global_model[token], protocol))
        if not kept.all:
            return kept
        limits = {
            name: min(
                float(limit) if protocol.class_ranges else _NO_LIMIT_M,
                protocol.max_distance_m if protocol.max_distance_m is not None else _NO_LIMIT_M,
            )
            for name, limit in config.class_range.items()
        }
        return filter_eval_boxes(self._nusc, kept, limits)

    @staticmethod
    def _within(
        boxes: Sequence[DetectionBox], T_global_model: FloatArray, protocol: DetectionProtocol
    ) -> list[DetectionBox]:
        if protocol.range_m is None or not boxes:
            return list(boxes)
        if protocol.range_axes == "model":
            centers = transform_points(invert_transform(T_global_model), [box.translation for box in boxes])
        else:
            centers = np.array([box.ego_translation for box in boxes])
        inside = (np.abs(centers[:, :2]) < np.asarray(protocol.range_m)).all(axis=1)
        return [box for box, keep in zip(boxes, inside, strict=True) if keep]


def evaluate_detection(
    agents: Mapping[str, Agents | None], truth: DetectionTruth, protocol: DetectionProtocol | None = None
) -> DetectionResult:
    """Scores detected agents.

    Args:
        agents: by sample token; None, or no entry, is a sample without predictions.
        truth: of the samples that count; predictions of others are left aside.
        protocol: None takes "nuscenes".

    Raises:
        DataError: as `DetectionTruth` does.
    """
    from nuscenes.eval.common.data_classes import EvalBoxes

    protocol = protocol or read_detection_protocol("nuscenes")
    config = devkit_config(protocol)
    boxes = EvalBoxes()
    for token in truth.tokens:
        found = agents.get(token)
        own = [] if found is None else detection_boxes(found, truth.T_global_model[token], token)
        own.sort(key=lambda box: -box.detection_score)
        boxes.add_boxes(token, own[: config.max_boxes_per_sample])
    return evaluate_boxes(boxes, truth, protocol)


def evaluate_boxes(boxes: EvalBoxes, truth: DetectionTruth, protocol: DetectionProtocol) -> DetectionResult:
    """Scores the devkit's own boxes, in the global frame: of every sample of the truth."""
    from nuscenes.eval.detection.evaluate import DetectionEval

    class InMemory(DetectionEval):
        """The devkit's evaluation of boxes that were never in a file."""

        def __init__(self, config: DetectionConfig, gt_boxes: EvalBoxes, pred_boxes: EvalBoxes) -> None:
            self.cfg, self.gt_boxes, self.pred_boxes, self.verbose = config, gt_boxes, pred_boxes, False

    config = devkit_config(protocol)
    true = truth.filtered(truth.boxes, config, protocol)
    ours = truth.filtered(truth.with_distances(boxes), config, protocol)
    metrics, curves = InMemory(config, true, ours).evaluate()
    summary = metrics.serialize()
    names = list(config.class_names)
    num_truth, num_predictions = _count(true.all, names), _count(ours.all, names)
    counted = [name for name in names if num_truth[name] or protocol.missing_classes == "count_as_zero"]
    nothing = dict.fromkeys(ERRORS, float("nan"))
    class_ap = {name: summary["mean_dist_aps"][name] if name in counted else float("nan") for name in names}
    class_errors = {name: summary["label_tp_errors"][name] if name in counted else nothing for name in names}
    errors = {key: _mean(class_errors[name][key] for name in counted) for key in ERRORS}
    mean_ap = _mean(class_ap[name] for name in counted)
    # An error that no counted class has stands for nothing: it scores as the worst.
    scores = [1 - min(1.0, error) if np.isfinite(error) else 0.0 for error in errors.values()]
    nd_score = (config.mean_ap_weight * mean_ap + sum(scores)) / (config.mean_ap_weight + len(scores))
    return DetectionResult(
        protocol, mean_ap, nd_score, errors, class_ap, class_errors, num_truth, num_predictions, summary,
        curves.serialize(),
    )  # fmt: skip


def devkit_config(protocol: DetectionProtocol) -> DetectionConfig:
    """The devkit's configuration that a protocol builds on."""
    from nuscenes.eval.detection.config import config_factory

    return config_factory(protocol.devkit_config)


def _count(boxes: Iterable[DetectionBox], names: Sequence[str]) -> dict[str, int]:
    found = [box.detection_name for box in boxes]
    return {name: found.count(name) for name in names}


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
