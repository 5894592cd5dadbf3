"""Which predicted agent is which true object: by centre, under a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.targets import Targets
from aln_p3_core.evaluation.perception_protocol import MotionProtocol
from aln_p3_core.scene import AGENT_CLASSES, Agents

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
# Released code computes in single precision; who is within 2 m, and whose score is above 0.6, may hang on it.
SingleArray = NDArray[np.float32]

# Groups: what is matched beside, and what takes no part at all.
BESIDE, NO_PART = -1, -2
# Farther than everything.
_FAR = np.float32(1e6)


@dataclass(frozen=True, slots=True, eq=False)
class MotionTruth:
    """Objects of one sample. A = objects, T = steps.

    Attributes:
        centers_model: [A, 2] m.
        class_ids: [A] index into `scene.AGENT_CLASSES`.
        futures_model: [A, T, 2] m.
        future_mask: [A, T] known steps.
        counted: [A] objects that count; others are matched, and then ignored with their predictions.
    """

    centers_model: SingleArray
    class_ids: IntArray
    futures_model: SingleArray
    future_mask: BoolArray
    counted: BoolArray

    def __len__(self) -> int:
        return len(self.class_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Outcome for one sample. P = predictions, A = objects.

    Attributes:
        truth_of: [P] index of the object, -1 for none.
        groups: [P] index into the protocol's groups, BESIDE or NO_PART.
        kept: [P] predictions above the score, where that is fixed; all where it is not.
        ignored: [P] matched to an object that does not count.
    """

    truth_of: IntArray
    groups: IntArray
    kept: BoolArray
    ignored: BoolArray


def motion_truth(targets: Targets, protocol: MotionProtocol) -> MotionTruth:
    """Objects of a sample's targets: within the protocol's range and seen, or marked as not counted."""
    counted = targets.valid.copy()
    if protocol.range_m is not None:
        x, y = protocol.range_m
        counted &= targets.in_range((-x, -y, -np.inf, x, y, np.inf))
    keep = counted if protocol.outside_truth == "dropped" else np.ones(len(targets), dtype=bool)
    return MotionTruth(
        targets.centers_model[keep, :2].astype(np.float32),
        targets.class_ids[keep],
        targets.futures_model[keep].astype(np.float32),
        targets.future_mask[keep],
        counted[keep],
    )


def group_table(protocol: MotionProtocol, class_names: Sequence[str] = AGENT_CLASSES) -> IntArray:
    """[C] group of each class: index into the protocol's groups, BESIDE or NO_PART."""
    table: Mapping[str, int] = {
        **dict.fromkeys(protocol.matched_beside, BESIDE),
        **{name: index for index, names in enumerate(protocol.groups.values()) for name in names},
    }
    return np.array([table.get(name, NO_PART) for name in class_names], dtype=np.int64)


def match(agents: Agents, truth: MotionTruth, protocol: MotionProtocol) -> Matching:
    """Matches predictions of one sample to its objects."""
    groups, true_groups = (group_table(protocol)[ids] for ids in (agents.class_ids, truth.class_ids))
    kept = np.ones(len(agents), dtype=bool)
    if not isinstance(protocol.score_above, str):
        kept = np.asarray(agents.scores, dtype=np.float32) > np.float32(protocol.score_above)
    centers = np.asarray(agents.centers_model[:, :2], dtype=np.float32)
    distances = np.linalg.norm(centers[:, None] - truth.centers_model[None], axis=-1)
    takes_part = (kept & (groups != NO_PART))[:, None] & (true_groups != NO_PART)
    possible = takes_part & (distances <= np.float32(protocol.match_distance_m))
    if not protocol.across_groups:
        possible &= groups[:, None] == true_groups[None]
    distances = np.where(possible, distances, _FAR)
    truth_of = np.full(len(agents), -1)
    if protocol.assignment == "least_distance":
        _least_distance(distances, kept, truth_of)
    else:
        _best_score_first(distances, agents.scores, truth_of)
    ignored = np.zeros(len(agents), dtype=bool)
    found = truth_of >= 0
    ignored[found] = ~truth.counted[truth_of[found]]
    if protocol.range_m is not None and protocol.outside_truth == "ignored":
        # What is seen beyond the range is no mistake: nothing there counts.
        ignored |= ~found & (np.abs(centers) >= np.asarray(protocol.range_m)).any(axis=1)
    return Matching(truth_of, groups, kept, ignored)


def _least_distance(distances: SingleArray, kept: BoolArray, truth_of: IntArray) -> None:
    """Hungarian. Rows without any partner take part, as in the released code: ties are broken alike."""
    from scipy.optimize import linear_sum_assignment

    rows = np.flatnonzero(kept)
    chosen, columns = linear_sum_assignment(distances[rows])
    good = distances[rows[chosen], columns] < _FAR
    truth_of[rows[chosen[good]]] = columns[good]


def _best_score_first(distances: SingleArray, scores: SingleArray, truth_of: IntArray) -> None:
    left = distances.copy()
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        if left.shape[1] and (left[row] < _FAR).any():
            column = int(left[row].argmin())
            truth_of[row] = column
            left[:, column] = _FAR
