"""What kind of situation a sample is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.evaluation.plan_groups import RowErrors, group_blocks, horizon_picture, scene_table
from aln_p3_core.evaluation.report_blocks import Gallery, Table
from aln_p3_core.evaluation.report_cases import choose_cases
from aln_p3_core.evaluation.sample_facts import SampleFacts, facts_of, speed_bins

MakeRoot = Callable[..., Path]


def test_facts_come_from_poses_commands_and_the_worlds_file(make_root: MakeRoot) -> None:
    root = make_root(ego=lambda t: (0.5 * t * t, 0.0, 0.0), samples=5)
    scene = {"condition": "night", "facts": {"scenario": "cut_in"}}
    (root / "scenes.json").write_text(json.dumps({"scene-0001": scene}))
    dataset = NuScenesDataset(root)
    targets = {token: dataset.targets(token) for token in dataset.tokens}
    facts = list(facts_of(dataset, dataset.scenes, targets).values())
    assert [fact.token for fact in facts] == list(dataset.tokens)
    assert [fact.speed for fact in facts[1:-1]] == pytest.approx([0.5, 1.0, 1.5])
    assert {(fact.scenario, fact.condition) for fact in facts} == {("cut_in", "night")}


@pytest.mark.parametrize(
    ("speed", "name"), [(0.0, "below 0.5 m/s"), (0.5, "0.5-3 m/s"), (4.0, "3-6 m/s"), (30.0, "over 12 m/s")]
)
def test_bins_of_speed(speed: float, name: str) -> None:
    assert SampleFacts("t", "s", "left", "", "", speed).speed_bin == name
    assert name in speed_bins()


def made_up() -> tuple[list[SampleFacts], np.ndarray]:
    facts = [
        SampleFacts(f"t{i}", f"scene-{i // 2}", ("left", "straight")[i % 2], "merge", "", speed=float(i))
        for i in range(8)
    ]
    errors = np.arange(8.0)[:, None] * np.ones(6)
    errors[7, 3:] = np.nan
    return facts, errors


def test_errors_by_situation_count_whole_futures() -> None:
    facts, errors = made_up()
    rows = [RowErrors("a", errors), RowErrors("b", 2 * errors, in_plots=False)]
    blocks, results = group_blocks(rows, facts)
    assert list(results) == ["command", "speed"], "one scenario and no weather: nothing to compare"
    assert results["command"]["a"] == {"straight": pytest.approx(3.0), "left": pytest.approx(3.0)}
    assert results["command"]["samples"] == {"straight": 3, "left": 4}
    gallery, table = blocks[0], blocks[1]
    assert isinstance(gallery, Gallery) and len(gallery.pictures) == 2
    assert isinstance(table, Table) and table.columns[1:] == ("straight (3)", "left (4)")
    assert table.rows[1] == ("b", "6.00", "6.00")
    assert horizon_picture(rows, facts).data.startswith(b"\x89PNG")


def test_a_line_for_each_scene() -> None:
    facts, errors = made_up()
    values = {"a": errors.mean(axis=1), "b": 2 * errors.mean(axis=1)}
    scenes = scene_table("L2", values, facts, {"scene-3": "Merge"})
    assert scenes.columns == ("scene", "samples", "a", "b")
    assert scenes.rows[0] == ("scene-0", "2", "0.50", "1.00")
    assert scenes.rows[3] == ("scene-3 Merge", "1", "6.00", "12.00"), "the other one is not known"
    shares = scene_table("collisions", {"a": np.full(8, 0.25)}, facts, {}, share=True)
    assert shares.rows[0] == ("scene-0", "2", "25.00")


def test_cases_are_of_different_scenes() -> None:
    facts, errors = made_up()
    scores = errors.mean(axis=1)
    assert choose_cases(scores, facts, 3, best=False) == [6, 5, 3]
    assert choose_cases(scores, facts, 3, best=True) == [0, 2, 4]
    assert choose_cases(scores, facts, 3, best=True, moving=True) == [2, 4, 6], "a car that stands shows nothing"
