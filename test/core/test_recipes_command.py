import json

from click.testing import CliRunner

from aln_p3_core.commands.recipes import command
from aln_p3_core.config import from_dict, get_recipe


def test_lists_every_recipe_with_its_size():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == ["recipe", "nano", "tiny", "base"]
    assert "39.9 M" in result.output and "58.4 M" in result.output


def test_prints_one_recipe_as_json_that_builds_it_again():
    result = CliRunner().invoke(command, ["tiny"])
    assert from_dict(json.loads(result.output)) == get_recipe("tiny")
