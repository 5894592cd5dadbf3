import json

import pytest
from click.testing import CliRunner

from aln_p3_core.commands.recipes import command
from aln_p3_core.config import RECIPES, from_dict, get_recipe
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.recipes import TRAINING_RECIPES, training_recipe


def test_lists_every_recipe_with_its_size():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    drivers, trainings = ([line.split() for line in part.splitlines()] for part in result.output.split("\n\n"))
    assert [row[0] for row in drivers] == ["recipe", "nano", "tiny", "base"]
    assert [row[0] for row in trainings] == ["training", *TRAINING_RECIPES]
    assert ["nano_speak", "nano", "yes", "8", "align", "600"] in trainings
    assert "39.9 M" in result.output and "58.4 M" in result.output


def test_prints_one_recipe_as_json_that_builds_it_again():
    result = CliRunner().invoke(command, ["tiny"])
    assert from_dict(json.loads(result.output)) == get_recipe("tiny")


@pytest.mark.parametrize("name", [name for name in TRAINING_RECIPES if name not in RECIPES])
def test_prints_a_training_with_its_driver(name):
    result = CliRunner().invoke(command, [name])
    printed = json.loads(result.output)
    driver, config = training_recipe(name)
    assert from_dict(printed["driver"]) == driver
    assert printed["training"]["stages"][0]["steps"] == config.stages[0].steps


def test_an_unknown_recipe_is_told_all_names():
    error = CliRunner().invoke(command, ["huge"]).exception
    assert isinstance(error, ConfigError) and "there are nano, tiny, base, nano_planner, nano_speak" in str(error)
