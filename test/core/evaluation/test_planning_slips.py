from __future__ import annotations

from planning_helpers import STRAIGHT, box, made_truth, shifted

from aln_p3_core.evaluation.planning import evaluate_planning
from aln_p3_core.evaluation.planning_slips import SLIPS, slip_protocols, slip_table


def test_a_line_for_every_slip_and_row() -> None:
    truth = made_truth(path=shifted(4.0, 0.0), objects=[box(0.0, 12.5, kind="pedestrian")])
    table = evaluate_planning(truth, {"into": STRAIGHT[None]}, slip_protocols())
    shown = {row[0]: row for row in slip_table(table).rows}
    assert set(shown) == {"p3", "vad", "uniad", *SLIPS}
    collision = slip_table(table).columns.index("collision mean, %")
    assert shown["no pedestrians"][collision] == "0.00"
    assert float(shown["p3"][collision] or 0) > 0
