"""What a training may begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.training.begin import begins_pretrained, check_begin
from aln_p3_core.training.recipes import TRAINING_RECIPES, training_recipe

WITHOUT = {"driver.backbone.pretrained": False}
INIT = Path("driver.safetensors")


@pytest.mark.parametrize("recipe", ["nano", "tiny", "base"])
def test_trainings_that_begin_anew_begin_with_imagenets_weights(recipe: str) -> None:
    driver, config = training_recipe(recipe)
    assert driver.backbone.pretrained
    check_begin(driver, config, None, ())
    assert begins_pretrained(driver, None, ()) and begins_pretrained(driver, INIT, ("backbone",))
    assert not begins_pretrained(driver, INIT, ("planner",))


@pytest.mark.parametrize("recipe", ["nano", "tiny", "base"])
def test_a_frozen_stem_that_was_never_trained_is_refused(recipe: str) -> None:
    driver, config = training_recipe(recipe, WITHOUT)
    for init, fresh in ((None, ()), (INIT, ("backbone",))):
        with pytest.raises(ConfigError, match=r"would stay at random: .*driver\.backbone\.pretrained=true.*--init"):
            check_begin(driver, config, init, fresh)
    check_begin(driver, config, INIT, ())


def test_a_backbone_that_learns_as_a_whole_may_begin_at_random() -> None:
    whole: dict[str, Any] = {**WITHOUT, "driver.backbone.frozen_blocks": 0, "data.store": "pixels"}
    driver, config = training_recipe("nano", whole)
    check_begin(driver, config, None, ())
    driver, config = training_recipe("nano", whole | {"stages.0.frozen": ["backbone"]})
    with pytest.raises(ConfigError, match="would stay at random"):
        check_begin(driver, config, None, ())


def test_the_backbones_weights_are_named_once() -> None:
    driver, config = training_recipe("base", {"run.backbone_weights": "resnet.pth"})
    check_begin(driver, config, None, ())
    check_begin(driver, config, INIT, ("backbone",))
    with pytest.raises(ConfigError, match=r"run\.backbone_weights and --init driver\.safetensors both"):
        check_begin(driver, config, INIT, ())


@pytest.mark.parametrize("recipe", [name for name in TRAINING_RECIPES if name not in ("nano", "tiny", "base")])
def test_trainings_that_follow_another_need_its_driver(recipe: str) -> None:
    driver, config = training_recipe(recipe)
    with pytest.raises(ConfigError, match="begin with a trained driver"):
        check_begin(driver, config, None, ())
    check_begin(driver, config, INIT, ())
