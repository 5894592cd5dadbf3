from __future__ import annotations

import numpy as np

from aln_p3_core.evaluation.metric_line import compare


def test_nan_equals_nan_and_nothing_else() -> None:
    assert compare("f", "n", [1.0, np.nan], [1.0, np.nan]).ok
    assert not compare("f", "n", [1.0, 0.0], [1.0, np.nan], 10.0).ok


def test_largest_difference_decides() -> None:
    line = compare("f", "n", [1.0, 2.0], [1.0, 2.5], 0.4)
    assert (line.max_abs, line.ok) == (0.5, False)
    assert compare("f", "n", [1.0, 2.0], [1.0, 2.5], 0.5).ok


def test_other_shape_is_no_match() -> None:
    line = compare("f", "n", [1.0], [1.0, 1.0], 10.0)
    assert not line.ok
    assert "shape" in line.note
