"""Study files: reading, refusing, and what their hash stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from study_helpers import small_study, small_tree

from aln_p3_core.errors import ConfigError
from aln_p3_core.studies.results import planned_tests
from aln_p3_core.studies.study_file import parse_study, read_study, shipped_studies


def test_shipped_studies_are_whole() -> None:
    assert "alignment" in shipped_studies()
    for name in shipped_studies():
        study = read_study(name)
        assert study.variants and study.tests.primary


def test_the_alignment_study_has_the_variants_that_it_needs() -> None:
    study = read_study("alignment")
    seeds = {variant.name: variant.seeds for variant in study.variants}
    assert {name: seeds[name] for name in ("driver_alone", "none", "all")} == dict.fromkeys(
        ("driver_alone", "none", "all"), 5
    )
    assert all(count == 3 for name, count in seeds.items() if name not in ("driver_alone", "none", "all"))
    assert {"p1a", "p2a", "p3a", "frozen_driver", "shuffled"} <= set(seeds)
    weights = {f"alignment.{term}.weight": 0.0 for term in ("p1a", "p2a", "p3a")}
    assert study.variant("none").settings == weights and study.variant("all").settings == {}
    # Three measures of all against none; collisions only against the driver alone, which says nothing.
    assert len(planned_tests(study, study.tests.confirmatory)) == 4


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_name_settings_that_exist(name: str) -> None:
    from aln_p3_core.training.recipes import training_recipe
    from aln_p3_core.training.settings_check import check_settings

    study = read_study(name)
    for variant in study.variants:
        recipe = variant.recipe or study.training.recipe
        check_settings(*training_recipe(recipe, {**study.training.settings, **variant.settings}))


def test_the_control_learns_the_words_that_its_reference_learns() -> None:
    """It may differ in what the alignments see alone, or it would speak worse whatever they do."""
    settings = read_study("alignment").variant("shuffled").settings
    assert settings and all(name.startswith("alignment.") for name in settings)


@pytest.mark.parametrize("name", ["alignment_pilot", "alignment_forms"])
def test_what_goes_with_a_study_has_its_training(name: str) -> None:
    pilot, study = read_study(name), read_study("alignment")
    assert pilot.training == study.training
    shared = [variant for variant in pilot.variants if variant.name in ("none", "all")]
    assert len(shared) == 2 and all(v.settings == study.variant(v.name).settings for v in shared)


def test_a_training_is_taken_from_a_study_that_has_one() -> None:
    study = read_study("alignment")
    of_another = {**small_tree(), "training": "alignment"}
    assert parse_study(yaml.safe_dump(of_another), "small").training == study.training
    assert parse_study(yaml.safe_dump(of_another), "small").hash != small_study().hash
    for name, message in (("nothing", "there are alignment"), ("alignment_pilot", "takes that of 'alignment'")):
        with pytest.raises(ConfigError, match=message):
            parse_study(yaml.safe_dump({**small_tree(), "training": name}), "small")


def test_the_hash_is_of_what_decides_and_of_nothing_else() -> None:
    study = small_study()
    assert small_study(roots={"world": "elsewhere"}).hash == study.hash
    assert small_study(cost={"train": 5}).hash == study.hash
    comment = "# a remark\n" + yaml.safe_dump(small_tree())
    assert parse_study(comment, "small").hash == study.hash
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda tree: tree["variants"]["all"]["settings"].update({"losses.plan": 3.0}),
        lambda tree: tree["variants"]["all"].update(seeds=4),
        lambda tree: tree["tests"].update(primary=["collision_vad"]),
        lambda tree: tree["training"]["settings"].update({"stages.0.steps": 3}),
        lambda tree: tree["evaluation"][0].update(scenes=1),
    ]
    hashes = {study.hash}
    for change in changes:
        tree = small_tree()
        change(tree)
        hashes.add(parse_study(yaml.safe_dump(tree), "small").hash)
    assert len(hashes) == 1 + len(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("tests"), "lacks 'tests'"),
        (lambda t: t.update(variant=1), "unknown entries variant"),
        (lambda t: t["training"].pop("recipe"), "training lacks recipe"),
        (lambda t: t["tests"].update(primary=["colision"]), "no measure 'colision'"),
        (lambda t: t["tests"].update(confirmatory=[["al", "none"]]), "no variant 'al'"),
        (lambda t: t["tests"].update(split="heldout"), "'heldout' is not evaluated"),
        (
            lambda t: t["variants"]["all"]["settings"].update({"run.seed": 7}),
            "changes run: .* share seed, batches",
        ),
        (lambda t: t["variants"]["all"]["settings"].update({"stages.0.steps": 7}), "changes stages.N.steps"),
        (lambda t: t["variants"]["all"].update(recipe="nano_planner"), "variant all changes run, data:"),
        (lambda t: t["variants"]["all"].update(seeds="3"), "variants.all.seeds must be a whole number, got '3'"),
        (lambda t: t["variants"].update(all="with everything"), "variants.all must be a mapping"),
        (lambda t: t.update(variants=["none", "all"]), "variants are a mapping by name"),
        (lambda t: t["tests"].update(primary="collision_vad"), "tests.primary must be a list of texts"),
        (lambda t: t["tests"].update(confirmatory=[["all", "none", "alone"]]), "confirmatory must be a list of pairs"),
        (lambda t: t["tests"].update(command="givn"), "tests.command is given or none, not 'givn'"),
        (lambda t: t["training"].update(data="world"), "training.data must be a list of texts"),
        (lambda t: t["training"]["settings"].update({"losses.plam": 1.0}), "did you mean losses.plan"),
        (lambda t: t["anchors"]["collision_vad"].update(change="-27%"), 'must be such as "-27 %"'),
        (lambda t: t["variants"]["all"].update(seeds=0), "needs one seed"),
        (lambda t: t["evaluation"].append(t["evaluation"][0]), "two evaluations evaluate_val"),
        (lambda t: t["evaluation"][0].update(data="moon"), "names data moon"),
        (lambda t: t["evaluation"][0].update(variants=["al"]), "no variant 'al'"),
        (lambda t: t["evaluation"][0].update(suites=[]), "needs either suites or routes"),
        (lambda t: t["evaluation"][0].pop("data"), "evaluation evaluate_val needs data"),
        (lambda t: t["training"].update(checkpoint="best"), "last or driver"),
        (lambda t: t.update({7: "seven"}), "the name 7 is no text: put it in quotes"),
        (lambda t: t["variants"].update({False: {"description": "no words"}}), "small.variants: the name False is no"),
        (lambda t: t["training"]["settings"].update({1: 2}), "small.training.settings: the name 1 is no text"),
        (lambda t: t["evaluation"][0].update({2: 2}), "small.evaluation: the name 2 is no text"),
        (lambda t: t.update(roots="out/world"), "roots must be a mapping, got 'out/world'"),
        (lambda t: t.update(roots=["world"]), "roots must be a mapping"),
        (lambda t: t.update(pilot=[1]), "pilot must be a mapping"),
        (lambda t: t.update(pilot={"l2_vad": {"seed_sd": float("nan")}}), "pilot.l2_vad: all numbers are finite"),
        (lambda t: t.update(cost={"train": "long"}), "cost.train must be seconds, 0 or more, got 'long'"),
        (lambda t: t.update(evaluation=["val"]), "evaluation.0 must be a mapping, got 'val'"),
        (lambda t: t["evaluation"][0].update(suites=["planing"]), "names suites planing; there are planning"),
        (lambda t: t["evaluation"][0].update(scenes=-1), "scenes and seeds are 0 or more"),
        (lambda t: t["evaluation"][0].update(split="../val"), "'../val' cannot be the name of a variant or split"),
        (lambda t: t["variants"].update({"a/b": {"description": "nested"}}), "'a/b' cannot be the name"),
        (lambda t: t["variants"]["all"].update(name="every"), "variants.all has an entry name"),
        (lambda t: t["variants"]["all"]["settings"].update({"losses.plan": -1}), "variant all: losses.plan must be 0"),
        (lambda t: t["variants"]["all"].update(recipe="huge"), "variant all: no training is named 'huge'"),
        (lambda t: t["tests"].update(primary=[]), "tests.primary must name one measure"),
        (lambda t: t["tests"].update(alpha=5), "tests.alpha must be above 0 and below 1, got 5"),
        (lambda t: t["tests"].update(resamplings=0), "tests.resamplings must be 1 or more"),
        (lambda t: t["tests"].update(confirmatory=[["all", "all"]]), "compare all with itself"),
        (lambda t: t["tests"].update(reference="nobody"), "no variant 'nobody' in small; there are all, alone, none"),
    ],
)
def test_refusals_say_what_is_wrong(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    tree = small_tree()
    change(tree)
    with pytest.raises(ConfigError, match=message):
        parse_study(yaml.safe_dump(tree), "small")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"title: \xff\xfe")
    with pytest.raises(ConfigError, match="is no text in UTF-8"):
        read_study(tmp_path / "study.yaml")
    with pytest.raises(ConfigError, match="nor a file"):
        read_study(tmp_path)
    for text in ("", "- a\n- b\n", "just words", "42"):
        with pytest.raises(ConfigError, match="must be a mapping with title"):
            parse_study(text, "x")


def test_no_study_of_that_name() -> None:
    with pytest.raises(ConfigError, match=r"it is none of .*alignment"):
        read_study("alinment")
    with pytest.raises(ConfigError, match="no YAML"):
        parse_study("title: [", "x")
