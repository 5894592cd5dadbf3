"""The report's chapter on the vector map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from map_helpers import ExpansionWriter
from perception_helpers import elements

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.evaluation.map import evaluate_map
from aln_p3_core.evaluation.map_lines import resample
from aln_p3_core.evaluation.open_loop import OpenLoop
from aln_p3_core.evaluation.perception_suite import map_suite
from aln_p3_core.evaluation.plan_rows import DriverRows
from aln_p3_core.evaluation.request import Request
from aln_p3_core.evaluation.sample_prediction import SamplePrediction


def test_lines_are_measured_against_all_vertices_of_the_map(make_root: Callable[..., Path], tmp_path: Path) -> None:
    street = ExpansionWriter()
    teeth = [(90.0 + k, 46.0 + 8 * (k % 2)) for k in range(31)]
    street.line("road_divider", teeth)
    root = make_root(samples=1)
    street.write(root)
    dataset = NuScenesDataset(root)
    (token,) = dataset.tokens
    few = dataset.targets(token).map_elements
    whole = dataset.map_truth(token)
    assert few is not None and whole is not None and whole.points_model.shape == (1, 31, 2)
    seen = elements([(0, 0.9, resample(whole.points_model)[0])])
    assert evaluate_map([seen], [few]).ap[0, 0] == 0, "20 even points cut its corners off"
    open_loop = OpenLoop(dataset, dataset.scenes, (), Request((), tmp_path, progress=False))
    plan = np.zeros((6, 2))
    main = [SamplePrediction(token, dataset.scenes[0], plan, map_elements=seen)]
    open_loop.__dict__["drivers"] = {"one": DriverRows(main, ())}
    _, results = map_suite(open_loop)
    for protocol in ("vad", "p3"):
        found = results["one"][protocol]["classes"]["divider"]
        assert found["by_threshold"] == {"0.5": 1.0, "1": 1.0, "1.5": 1.0}, protocol
