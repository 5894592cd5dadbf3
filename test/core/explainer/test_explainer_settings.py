from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.settings import (
    EXPLAINERS,
    AdapterSettings,
    ExplainerConfig,
    TokenMixerSettings,
    explainer_from_dict,
    explainer_to_dict,
    get_explainer_recipe,
)
from aln_p3_core.training.settings_tree import doc_lines, flatten, with_settings


@pytest.mark.parametrize("name", EXPLAINERS)
def test_recipes_survive_the_way_through_json(name: str) -> None:
    recipe = get_explainer_recipe(name)
    assert explainer_from_dict(explainer_to_dict(recipe)) == recipe


def test_every_setting_is_explained() -> None:
    def undocumented(cls: type) -> list[str]:
        return [f"{cls.__name__}.{field.name}" for field in fields(cls) if field.name not in doc_lines(cls)]

    config = EXPLAINERS["nano"]
    groups = [type(getattr(config, f.name)) for f in fields(config) if is_dataclass(getattr(config, f.name))]
    assert len(groups) == 3
    assert [name for cls in groups for name in undocumented(cls)] == []
    assert set(undocumented(ExplainerConfig)) <= {
        "ExplainerConfig.name", "ExplainerConfig.mixer", "ExplainerConfig.language_model", "ExplainerConfig.adapter",
    }  # fmt: skip


def test_settings_change_by_dotted_names() -> None:
    changed = with_settings(EXPLAINERS["nano"], {"adapter.kind": "barbell", "adapter.targets": ["q_proj"]})
    assert (changed.adapter.kind, changed.adapter.targets) == ("barbell", ("q_proj",))
    assert "mixer.map_tokens" in [name for name, _, _ in flatten(changed)]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"name": "x", "mixers": {}}, "unknown settings"),
        ({"name": "x", "mixer": {"depth": 3}}, r"mixer\.depth"),
        ({"name": "x", "adapter": {"kind": "full"}}, "'lora' or 'barbell'"),
        ({"name": "x", "adapter": {"rank": 1.5}}, "must be a int"),
        ({"name": "x", "adapter": {"targets": "q_proj"}}, "list of names"),
        ({"name": "x", "mixer": 3}, "group of settings"),
        ({}, "need a name"),
    ],
)
def test_wrong_settings_are_refused(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        explainer_from_dict(tree)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"multiple of mixer\.heads"):
        TokenMixerSettings(width=250, heads=8)
    with pytest.raises(ConfigError, match="fraction"):
        AdapterSettings(front_fraction=0.7, back_fraction=0.5)
    with pytest.raises(ConfigError, match="agent_score"):
        replace(EXPLAINERS["nano"], agent_score=2.0)
    with pytest.raises(ConfigError, match="there are nano, base"):
        get_explainer_recipe("large")
