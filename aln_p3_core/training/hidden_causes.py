"""Plans that answer to what no camera sees, such as the end of the trip: they are not learnt."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.datasets.nuscenes import NuScenesDataset


def answers_to(dataset: NuScenesDataset, tokens: Iterable[str], causes: Collection[str]) -> NDArray[np.bool_]:
    """[n] whether the plan that is stored for a sample says that its cause is one of these.

    False where no plan is stored, or it does not say why (a human's).

    Raises:
        DataError: when the root's file is broken.
    """
    plans = (dataset.stored_plan(token) if causes else None for token in tokens)
    decisions = (None if plan is None else plan.decision for plan in plans)
    return np.array([decision is not None and decision.get("cause") in causes for decision in decisions], dtype=bool)
