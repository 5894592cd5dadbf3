from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.protocol import PLANNING_PROTOCOLS, PlanningProtocol, read_planning_protocol

FOLDER = Path(__file__).parents[3] / "aln_p3_core" / "evaluation" / "protocols"


@pytest.mark.parametrize("title", PLANNING_PROTOCOLS)
def test_protocols_of_the_tree_are_read(title: str) -> None:
    protocol = read_planning_protocol(title)
    assert isinstance(protocol, PlanningProtocol)
    assert protocol.title == title
    assert f"{protocol.name}.yaml" == PLANNING_PROTOCOLS[title]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    tree = yaml.safe_load((FOLDER / "planning_p3_v1.yaml").read_text())
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(tree | {"name": "own_v1", "ego_width_m": 2}))
    assert read_planning_protocol(own) == replace(read_planning_protocol("p3"), name="own_v1", ego_width_m=2.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ego_lenght_m": 4.0}, "ego_lenght_m"),
        ({"values": "median"}, "values"),
        ({"agent_kinds": ["vehicle", "bird"]}, "bird"),
        ({"agent_range_m": [1, 2, 3]}, "values to unpack"),
        ({"curbs": "yes please"}, "curbs"),
        ({"ego_width_m": 0}, "above 0"),
        ({"outlines": "grid"}, "grid"),
        ({"point_lookup_m": 49.75}, "point_lookup_m"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, change: dict[str, object], word: str) -> None:
    tree = yaml.safe_load((FOLDER / "planning_p3_v1.yaml").read_text())
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(tree | change))
    with pytest.raises(ConfigError, match=word):
        read_planning_protocol(own)


def test_missing_settings_and_files_are_told(tmp_path: Path) -> None:
    tree = yaml.safe_load((FOLDER / "planning_p3_v1.yaml").read_text())
    del tree["samples"]
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match="samples"):
        read_planning_protocol(own)
    with pytest.raises(ConfigError, match="uniad"):
        read_planning_protocol("unaid")
    own.write_text("- no mapping")
    with pytest.raises(ConfigError, match="mapping"):
        read_planning_protocol(own)
