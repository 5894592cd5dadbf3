"""Nu-X's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aln_p3_core.datasets.nu_x import Explanation, load_nu_x
from aln_p3_core.errors import DataError


def test_explanations_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "Nu_X_train.json"
    path.write_text(json.dumps({"a1": {"narration": "the car stops", "reasoning": "the light is red"}}))
    assert load_nu_x(path) == {"a1": Explanation("the car stops", "the light is red")}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a1": {"narration": "the car', "no complete JSON file"),
        ("[]", "must hold an object by sample token, not a list"),
        ('{"a1": {"narration": "the car stops"}}', "sample a1 has nothing where the text 'reasoning' belongs"),
        ('{"a1": {"narration": 3, "reasoning": "x"}}', "sample a1 has 3 where the text 'narration' belongs"),
        ('{"a1": "the car stops"}', "sample a1 has nothing"),
    ],
)
def test_a_broken_file_is_named_with_entry_and_remedy(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "Nu_X_train.json"
    path.write_text(content)
    with pytest.raises(DataError, match="copy the published file again") as error:
        load_nu_x(path)
    assert told in str(error.value) and str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json cannot be read"):
        load_nu_x(tmp_path / "nothing.json")
