"""Boxes as TOD3Cap's released code sees them: predicted and true ones through nuScenes' own filters.

Boxes count within the class's range of nuScenes' detection benchmark, true ones with a LiDAR or radar point, and no
bicycle or motorcycle that stands in a bicycle rack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.datasets.tod3cap import ObjectCaption
from aln_p3_core.evaluation.detection import DetectionTruth, devkit_config
from aln_p3_core.evaluation.language.tod3cap import IGNORED, CaptionedBoxes
from aln_p3_core.evaluation.perception_protocol import read_detection_protocol
from aln_p3_core.geometry import FloatArray, make_transform, matrix_to_quaternion, transform_points

if TYPE_CHECKING:
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    from aln_p3_core.datasets.nuscenes import NuScenesDataset


class ReleasedTruth:
    """True boxes of samples, and the filters that predicted ones pass too.

    Attributes:
        boxes: true ones that count, with their captions, in the global frame.
        T_global_model: [4, 4] by token.
    """

    def __init__(self, dataset: NuScenesDataset, tokens: Sequence[str], captions: Mapping[str, ObjectCaption]) -> None:
        """
        Args:
            dataset, tokens: of the samples. captions: by annotation token; a box without one is `tod3cap.IGNORED`.

        Raises:
            DataError: as `DetectionTruth` does.
        """
        from nuscenes.eval.detection.utils import category_to_detection_name

        self._truth = DetectionTruth(dataset, tokens)
        self._protocol = read_detection_protocol("nuscenes")
        self.T_global_model: Mapping[str, FloatArray] = self._truth.T_global_model
        texts: dict[int, str] = {}
        for token in self._truth.tokens:
            # The devkit's boxes do not say which annotation they are of; they come in the sample's order.
            rows = [dataset.nusc.get("sample_annotation", t) for t in dataset.nusc.get("sample", token)["anns"]]
            named = [row["token"] for row in rows if category_to_detection_name(row["category_name"])]
            for box, annotation in zip(self._truth.boxes[token], named, strict=True):
                texts[id(box)] = captions[annotation].final if annotation in captions else IGNORED
        self.boxes = self._filtered(self._truth.boxes, texts)

    def predicted(self, stored: Mapping[str, Sequence[Mapping[str, Any]]]) -> CaptionedBoxes:
        """Predicted boxes that count, in the global frame.

        Args:
            stored: rows of nuScenes' detection format with a "caption", by sample token; samples of others are left
                aside.
        """
        from nuscenes.eval.common.data_classes import EvalBoxes
        from nuscenes.eval.detection.data_classes import DetectionBox

        boxes = EvalBoxes()
        texts: dict[int, str] = {}
        for token in self._truth.tokens:
            rows = stored.get(token, ())
            own = [DetectionBox.deserialize(row) for row in rows]
            texts |= {id(box): row["caption"] for box, row in zip(own, rows, strict=True)}
            boxes.add_boxes(token, own)
        return self._filtered(self._truth.with_distances(boxes), texts)

    def stored_row(self, token: str, about: Mapping[str, Any], caption: str) -> dict[str, Any]:
        """A described object (`said.Saying.about`) as a row of `predicted`."""
        T_global_model = self.T_global_model[token]
        half = about["heading"] / 2
        turn = make_transform([np.cos(half), 0.0, 0.0, np.sin(half)], [0.0, 0.0, 0.0])
        length, width, height = about["size_lwh"]
        return {
            "sample_token": token,
            "translation": transform_points(T_global_model, about["center"]).tolist(),
            "size": [width, length, height],
            "rotation": matrix_to_quaternion(T_global_model @ turn).tolist(),
            "velocity": [0.0, 0.0],
            "detection_name": about["class"],
            "detection_score": about["score"],
            "attribute_name": "",
            "caption": caption,
        }

    def _filtered(self, boxes: EvalBoxes, texts: Mapping[int, str]) -> CaptionedBoxes:
        kept = self._truth.filtered(boxes, devkit_config(self._protocol), self._protocol)
        rows: list[DetectionBox] = [box for token in self._truth.tokens for box in kept[token]]
        w, x, y, z = np.array([box.rotation for box in rows]).reshape(-1, 4).T
        return CaptionedBoxes(
            samples=[box.sample_token for box in rows],
            centers=np.array([box.translation for box in rows]).reshape(-1, 3),
            sizes_lwh=np.array([box.size for box in rows]).reshape(-1, 3)[:, [1, 0, 2]],
            headings=np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
            texts=[texts[id(box)] for box in rows],
        )
