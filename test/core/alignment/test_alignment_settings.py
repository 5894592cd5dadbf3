"""Settings of the alignments: each is explained, and can be set from outside."""

from __future__ import annotations

import pytest

from aln_p3_core.alignment.settings import AlignmentSettings
from aln_p3_core.errors import ConfigError
from aln_p3_core.training.settings_tree import flatten, with_settings


def test_every_setting_has_a_line_of_its_own() -> None:
    listed = list(flatten(AlignmentSettings()))
    assert len(listed) > 40
    assert [name for name, _, told in listed if not told] == []


def test_settings_are_changed_by_name_one_after_the_other() -> None:
    changed = with_settings(AlignmentSettings(), {"p3a.form": "mse", "p3a.contrast.scale": 200, "pool.prompts": 8})
    assert changed.p3a.form == "mse" and changed.pool.prompts == 8
    with pytest.raises(ConfigError, match="'mse' or 'cosine' or 'clip'"):
        with_settings(AlignmentSettings(), {"p1a.form": "dot"})
