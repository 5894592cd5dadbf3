"""Settings by dotted names."""

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.training.recipes import DRIVER_PREFIX, TRAINING_RECIPES, training_recipe
from aln_p3_core.training.settings_tree import flatten, with_settings


@pytest.mark.parametrize("name", TRAINING_RECIPES)
def test_every_setting_has_a_doc_line_and_can_be_set_to_what_it_is(name: str) -> None:
    driver, config = training_recipe(name)
    for setting, value, meaning in flatten(config):
        assert meaning, setting
        assert with_settings(config, {setting: value}) == config
    for setting, _, _ in flatten(driver, DRIVER_PREFIX):
        assert setting.startswith("driver.")


def test_changes_reach_their_place_and_nothing_else() -> None:
    driver, config = training_recipe("nano", {"driver.bev.rows": 40, "stages.0.steps": 7, "optimizer.learning_rate": 1})
    assert driver.bev.rows == 40 and driver.bev.columns == 50
    assert config.stages[0].steps == 7 and config.stages[0].name == TRAINING_RECIPES["nano"].stages[0].name
    assert config.optimizer.learning_rate == 1.0 and isinstance(config.optimizer.learning_rate, float)
    assert training_recipe("nano", {"data.splits": ["a", "b"]})[1].data.splits == ("a", "b")


def test_groups_may_be_left_out_but_not_be_replaced() -> None:
    _, config = training_recipe("nano_joint", {"explainer": None, "texts": None, "alignment": None})
    assert config.explainer is None and config.texts is None and config.alignment is None
    _, config = training_recipe("nano_joint", {"explainer.adapter.kind": "barbell", "alignment.p1a.contrast.queue": 5})
    assert config.explainer is not None and config.explainer.adapter.kind == "barbell"
    with pytest.raises(ConfigError, match="change single ones of it"):
        training_recipe("nano_joint", {"explainer": "nano"})
    with pytest.raises(ConfigError, match="unknown setting"):
        training_recipe("nano", {"explainer.adapter.kind": "barbell"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer.learningrate", 1, "did you mean optimizer.learning_rate"),
        ("driver.bev.row", 1, "did you mean 'bev.rows'|bev.rows"),
        ("data.store", "picture", "'pixels' or 'features'"),
        ("run.batch_size", 2.5, "must be a int"),
        ("run.batch_size", True, "must be a int"),
        ("optimizer.learning_rate", float("nan"), "must be a finite number, got nan"),
        ("driver.memory.interval_s", -0.5, "memory.interval_s must be a finite number, 0 or more"),
        ("driver.memory.interval_s", 0, "memory.interval_s must be above 0"),
        ("driver.memory.max_gap_s", float("inf"), "must be a finite number"),
        ("driver.dropout", 1.0, "dropout must be below 1"),
        ("driver.bev.rows", 0, "bev.rows must be 1 or more"),
        ("stages.0.frozen", "backbone", "must be a list"),
        ("stages.1.steps", 5, "unknown setting"),
        ("zzzz", 1, "--settings"),
    ],
)
def test_refusals(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training_recipe("nano", {name: value})
