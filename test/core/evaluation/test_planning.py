from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_helpers import STRAIGHT, box, made_truth, planar, shifted

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.planning import evaluate_planning, step_values
from aln_p3_core.evaluation.planning_truth import PlanningTruth
from aln_p3_core.evaluation.protocol import PLANNING_PROTOCOLS, PlanningProtocol, read_planning_protocol
from aln_p3_core.geometry import invert_transform

PROTOCOLS = [read_planning_protocol(name) for name in PLANNING_PROTOCOLS]
VAD, UNIAD, P3 = PROTOCOLS


def joined(*parts: PlanningTruth) -> PlanningTruth:
    """Samples with as many objects and lines, one after the other."""
    values: dict[str, Any] = {}
    for field in fields(PlanningTruth):
        found = [getattr(part, field.name) for part in parts]
        values[field.name] = sum(found, ()) if isinstance(found[0], tuple) else np.concatenate(found)
    return PlanningTruth(**values)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.title)
def test_the_true_path_has_no_error(protocol: PlanningProtocol) -> None:
    steps = step_values(made_truth(objects=[box(3.5, 10.0)]), STRAIGHT[None], protocol)
    assert (steps.l2 == 0).all()
    assert (steps.collision == 0).all()


def test_means_up_to_a_horizon_and_values_at_it() -> None:
    plan = STRAIGHT + np.stack([np.arange(1, 7), np.zeros(6)], axis=1)
    truth = made_truth()
    table = evaluate_planning(truth, {"off": plan[None]}, PROTOCOLS)
    vad = [table.row("off", "vad").value("l2", "mean", h) for h in ("1s", "2s", "3s", "avg")]
    np.testing.assert_allclose(vad, [1.5, 2.5, 3.5, 2.5])
    uniad = [table.row("off", "uniad").value("l2", "at", h) for h in ("1s", "2s", "3s", "avg")]
    np.testing.assert_allclose(uniad, [2.0, 4.0, 6.0, 4.0])
    p3 = table.row("off", "p3")
    assert (p3.value("l2", "mean", "3s"), p3.value("l2", "at", "3s")) == (3.5, 6.0)
    assert np.isnan(table.row("off", "vad").value("l2", "at", "3s"))
    assert np.isnan(p3.value("curb", "mean", "1s"))  # no map


def test_collisions_by_protocol() -> None:
    """Something stands where the plan is at step 4, and the true path goes beside it."""
    truth = made_truth(path=shifted(4.0, 0.0), objects=[box(0.0, 16.5)])
    for protocol, measure in zip(PROTOCOLS, ("mean", "at", "mean"), strict=True):
        row = evaluate_planning(truth, {"into": STRAIGHT[None]}, [protocol]).rows[0]
        assert row.value("collision", measure, "avg") > 0, protocol.title
    assert (
        evaluate_planning(truth, {"with": truth.ego_future_model}, [P3]).rows[0].value("collision", "mean", "3s") == 0
    )


def test_steps_at_which_the_truth_is_in_contact() -> None:
    truth = made_truth(objects=[box(0.0, 12.5)])  # the true path goes through it
    vad, p3 = (step_values(truth, STRAIGHT[None], protocol) for protocol in (VAD, P3))
    assert (vad.collision == 0).all()
    contact = p3.true_contact[0]
    assert contact.any() and not contact.all()
    np.testing.assert_array_equal(np.isnan(p3.collision[0]), contact)
    # Left out of the mean, not counted as free in it.
    into = np.tile([0.0, 12.0], (1, 6, 1))
    assert step_values(truth, into, P3).horizon("collision", 3.0, "mean") == [1.0]
    assert step_values(truth, into, VAD).horizon("collision", 3.0, "mean") < [1.0]


def test_samples_that_count() -> None:
    whole, cut = made_truth(scene="a"), made_truth(known=3, scene="b")
    truth = joined(whole, cut)
    plans = np.stack([shifted(3.0, 4.0)] * 2)
    rows = {row.protocol.title: row for row in evaluate_planning(truth, {"off": plans}, PROTOCOLS).rows}
    assert rows["vad"].counts["l2", "mean", "1s"] == 1
    assert rows["vad"].value("l2", "mean", "1s") == 5.0
    # Without truth the plan counts as perfect: 2.5 m at 3 s from 5 m and nothing.
    assert rows["uniad"].counts["l2", "at", "3s"] == 2
    assert rows["uniad"].value("l2", "at", "3s") == 2.5
    assert rows["p3"].counts["l2", "mean", "1s"] == 2
    assert rows["p3"].counts["l2", "mean", "2s"] == 1
    assert rows["p3"].value("l2", "at", "3s") == 5.0


def test_plans_that_are_not_there_do_not_count() -> None:
    truth = made_truth()
    plans = np.where(np.arange(6)[:, None] < 2, STRAIGHT, np.nan)[None]
    for protocol in PROTOCOLS:
        steps = step_values(truth, plans, protocol)
        np.testing.assert_array_equal(np.isfinite(steps.l2[0]), [True, True, False, False, False, False])
    assert np.isnan(step_values(truth, plans, P3).horizon("l2", 2.0, "mean")).all()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="shape"):
        evaluate_planning(made_truth(), {"short": np.zeros((1, 5, 2))}, [P3])


def test_how_often_the_truth_itself_is_in_contact_is_told() -> None:
    truth = made_truth(objects=[box(0.0, 12.5)])
    contact = step_values(truth, STRAIGHT[None], P3).true_contact[0]
    row = evaluate_planning(truth, {"true": STRAIGHT[None]}, [P3]).rows[0]
    assert row.value("true_contact", "mean", "3s") == contact.mean() > 0


def test_bands_need_more_than_one_scene_and_hold_the_mean() -> None:
    truth = joined(*(made_truth(scene=f"scene-{i}") for i in range(6)))
    plans = STRAIGHT + np.arange(6)[:, None, None] * [1.0, 0.0]
    row = evaluate_planning(truth, {"off": plans}, [P3]).rows[0]
    band = row.bands["l2", "mean", "avg"]
    assert band.low < band.mean == 2.5 < band.high
    told = evaluate_planning(truth.select([0]), {"off": plans[:1]}, [P3]).to_json()
    assert told["planning_p3_v1"]["off"]["l2_mean_avg"] == {"mean": 0.0, "low": None, "high": None, "samples": 1}


@given(st.integers(0, 2**32 - 1))
def test_p3_does_not_care_where_the_world_lies_or_how_the_model_frame_is_turned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    objects = [
        box(rng.uniform(-8, 8), rng.uniform(0, 25), rng.uniform(-3, 3), (rng.uniform(-3, 3), rng.uniform(-3, 3)), kind)
        for kind in ("vehicle", "pedestrian", "other", "vehicle")
    ]
    lines = np.cumsum(rng.uniform(-3, 6, (3, 8, 2)), axis=1)
    path, plan = (np.cumsum(rng.uniform((-1, 0), (1, 6), (6, 2)), axis=0) for _ in range(2))
    truth = made_truth(path, objects, lines=lines)
    steps = step_values(truth, plan[None], P3)

    elsewhere = np.stack([planar(rng.uniform(-500, 500), rng.uniform(-500, 500), rng.uniform(-3, 3)) for _ in range(7)])
    moved = step_values(made_truth(path, objects, lines=lines, T_global_ego=elsewhere), plan[None], P3)
    turn = planar(0.0, 0.0, rng.uniform(-3, 3))
    rotation = turn[:2, :2].T
    turned_objects = []
    for boxes, kind in objects:
        own = boxes.copy()
        own[:, :2] = boxes[:, :2] @ rotation
        own[:, 6] += np.arctan2(turn[1, 0], turn[0, 0])
        turned_objects.append((own, kind))
    T_ego_turned = truth.T_ego_model[0] @ invert_transform(turn)
    turned_truth = made_truth(path @ rotation, turned_objects, lines=lines @ rotation, T_ego_model=T_ego_turned)
    turned = step_values(turned_truth, (plan @ rotation)[None], P3)
    for other in (moved, turned):
        np.testing.assert_allclose(other.l2, steps.l2, atol=1e-6)
        np.testing.assert_array_equal(other.collision, steps.collision)
        np.testing.assert_array_equal(other.true_contact, steps.true_contact)
        assert steps.curb is not None and other.curb is not None
        np.testing.assert_array_equal(other.curb, steps.curb)


def test_samples_do_not_mix() -> None:
    truths = [made_truth(objects=[box(x, 12.5)], scene=f"{x}") for x in (0.5, 3.0, 30.0)]
    plans = np.stack([STRAIGHT, shifted(2.0, 0.0), shifted(1.0, 1.0)])
    for protocol in PROTOCOLS:
        together = step_values(joined(*truths), plans, protocol)
        for n, truth in enumerate(truths):
            alone = step_values(truth, plans[n : n + 1], protocol)
            np.testing.assert_array_equal(together.collision[n], alone.collision[0])
            np.testing.assert_array_equal(together.l2[n], alone.l2[0])


def test_variants_are_protocols_too() -> None:
    truth = made_truth(path=shifted(4.0, 0.0), objects=[box(0.0, 12.5, kind="pedestrian")])
    blind = replace(P3, agent_kinds=("vehicle",))
    rows = evaluate_planning(truth, {"into": STRAIGHT[None]}, [P3, blind]).rows
    assert [row.value("collision", "mean", "3s") > 0 for row in rows] == [True, False]
