"""Protocols of detection, map and motion: the files of the tree, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.perception_protocol import (
    DETECTION_PROTOCOLS,
    MAP_PROTOCOLS,
    MOTION_PROTOCOLS,
    read_detection_protocol,
    read_map_protocol,
    read_motion_protocol,
)

READERS: dict[str, Callable[..., Any]] = {
    "detection": read_detection_protocol,
    "map": read_map_protocol,
    "motion": read_motion_protocol,
}
NAMED = {"detection": DETECTION_PROTOCOLS, "map": MAP_PROTOCOLS, "motion": MOTION_PROTOCOLS}
FOLDER = Path(str(files("aln_p3_core.evaluation"))) / "protocols"


@pytest.mark.parametrize("kind", READERS)
def test_every_file_of_the_tree_can_be_asked_for_by_its_title(kind: str) -> None:
    assert {path.name for path in FOLDER.glob(f"{kind}_*.yaml")} == set(NAMED[kind].values())
    for title, file in NAMED[kind].items():
        protocol = READERS[kind](title)
        assert (protocol.title, f"{protocol.name}.yaml") == (title, file)


def changed(tmp_path: Path, file: str, **changes: Any) -> Path:
    tree = yaml.safe_load((FOLDER / file).read_text()) | changes
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in tree.items() if value != "LEFT OUT"}))
    return path


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    protocol = read_map_protocol(changed(tmp_path, "map_p3_v1.yaml", thresholds=[2], range_m=None))
    assert protocol.thresholds == (2.0,) and protocol.range_m is None


@pytest.mark.parametrize(
    ("kind", "file", "changes", "told"),
    [
        ("map", "map_p3_v1.yaml", {"thresold": 1}, "unknown settings \\['thresold'\\]"),
        ("map", "map_p3_v1.yaml", {"similarity": "LEFT OUT"}, "missing settings \\['similarity'\\]"),
        ("map", "map_p3_v1.yaml", {"similarity": "frechet"}, "similarity"),
        ("map", "map_p3_v1.yaml", {"thresholds": []}, "thresholds"),
        ("map", "map_p3_v1.yaml", {"range_m": [1, 2, 3]}, "range_m"),
        ("map", "map_p3_v1.yaml", {"resample_predictions": "yes, please"}, "resample_predictions"),
        ("map", "map_p3_v1.yaml", {"resample_predictions": False}, "resampled"),
        ("map", "map_vad_iou_v1.yaml", {"outline_m": None}, "outline_m"),
        ("motion", "motion_p3_v1.yaml", {"groups": {"car": ["cart"]}}, "cart"),
        ("motion", "motion_p3_v1.yaml", {"matched_beside": ["car"]}, "each once"),
        ("motion", "motion_p3_v1.yaml", {"score_above": True}, "score_above"),
        ("motion", "motion_p3_v1.yaml", {"assignment": "least_distance"}, "best_f1"),
        ("detection", "detection_range_v1.yaml", {"range_axes": None}, "range_axes"),
        ("detection", "detection_range_v1.yaml", {"range_m": 15}, "range_m"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, kind: str, file: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        READERS[kind](changed(tmp_path, file, **changes))


def test_an_unknown_name_tells_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vip3d, p3"):
        read_motion_protocol("waymo")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        read_motion_protocol(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="YAML"):
        read_motion_protocol(tmp_path / "broken.yaml")
