"""What tests of predictions share."""

from __future__ import annotations

import numpy as np

from aln_p3_core.evaluation.predictions import SamplePrediction


def arrays(predictions: list[SamplePrediction]) -> list[np.ndarray]:
    """All numbers of predictions, in order."""
    found = []
    for p in predictions:
        assert p.plans_model is not None and p.agents is not None and p.map_elements is not None
        found += [p.plan_model, p.plans_model, p.agents.scores, p.agents.forecasts_model, p.map_elements.points_model]
    return found
