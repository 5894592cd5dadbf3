"""Recipes: found by name, changed by key, refused with a reason."""

from __future__ import annotations

import json

import pytest

from aln_p3_core.config import RECIPES, DriverConfig, from_dict, get_recipe, to_dict, with_overrides
from aln_p3_core.errors import ConfigError


@pytest.mark.parametrize("name", ["nano", "tiny", "base"])
def test_recipes_survive_json(name: str) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    assert from_dict(json.loads(json.dumps(to_dict(recipe)))) == recipe


def test_an_unknown_recipe_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="no recipe is named 'huge'; there are nano, tiny, base"):
        get_recipe("huge")


def test_overrides_change_one_setting_and_leave_the_recipe_alone() -> None:
    before = to_dict(RECIPES["nano"])
    changed = with_overrides(get_recipe("nano"), {"bev.rows": 60, "ego_status": "planner", "memory.interval_s": 1})
    assert (changed.bev.rows, changed.ego_status, changed.memory.interval_s) == (60, "planner", 1.0)
    assert changed.bev.columns == RECIPES["nano"].bev.columns
    assert to_dict(RECIPES["nano"]) == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"bev.row": 60}, "unknown setting 'bev.row'; did you mean bev.rows"),
        ({"bev": 60}, "unknown setting 'bev'"),
        ({"bev.rows": "60"}, "bev.rows must be a int, got '60'"),
        ({"bev.rows": True}, "bev.rows must be a int, got True"),
        ({"cameras": "CAM_FRONT"}, "cameras must be a list"),
        ({"image.width": 400}, "multiples of 32"),
        ({"ego_status": "planer"}, "ego_status must be one of none, bev, planner, got 'planer'"),
        ({"image.color": "RGB"}, "image.color must be one of rgb, bgr"),
        ({"backbone.kind": "resnet18"}, "backbone.kind must be one of resnet50"),
        ({"agents.query_source": "heat_map"}, "must be one of learned, heatmap"),
        ({"bev.layers": 0}, "bev.layers must be 1 or more, got 0"),
        ({"planner.steps": -1}, "planner.steps must be 1 or more"),
        ({"planner.refinements": -1}, "planner.refinements must be 0 or more"),
        ({"image.mean": [1.0]}, "three numbers each"),
        ({"image.std": [1.0, 0.0, 1.0]}, "deviations above 0"),
        ({"heads": 7}, "embed_dims"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_overrides(get_recipe("nano"), overrides)


def test_released_weights_need_the_can_vector() -> None:
    with pytest.raises(ConfigError, match="ego_status='bev'"):
        with_overrides(get_recipe("tiny"), {"ego_status": "none"})


def test_unknown_keys_in_a_stored_recipe_are_refused() -> None:
    tree = to_dict(get_recipe("nano"))
    with pytest.raises(ConfigError, match=r"unknown settings \['colour'\]"):
        from_dict(tree | {"colour": 1})
    tree["bev"]["depth"] = 3
    with pytest.raises(ConfigError, match=r"unknown settings \['bev\.depth'\]"):
        from_dict(tree)


def test_the_range_gives_the_extent() -> None:
    assert DriverConfig(name="x").extent == (30.0, 60.0)
