"""RViz is started in the frames of the topic set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aln_p3_ros.bringup.graph import graph
from aln_p3_ros.bringup.rviz import rviz_file
from aln_p3_ros.resources import share_path

SHIPPED = share_path("rviz", "aln_p3.rviz")


def frames_of(path: Path) -> dict[str, set[str]]:
    """The frames that a file names, by key."""

    def walk(tree: Any) -> Iterator[tuple[str, str]]:
        if isinstance(tree, dict):
            for key, value in tree.items():
                if key.endswith("Frame") and isinstance(value, str):
                    yield key, value
                else:
                    yield from walk(value)
        elif isinstance(tree, list):
            for entry in tree:
                yield from walk(entry)

    found: dict[str, set[str]] = {}
    for key, value in walk(yaml.safe_load(path.read_text())):
        found.setdefault(key, set()).add(value)
    return found


def rviz_of(topics: str) -> Path:
    plan = graph("view").plan({"rviz": "true", "topics": topics})
    (rviz,) = (node for node in plan.nodes if node.name == "rviz2")
    assert rviz.arguments[0] == "-d"
    return Path(rviz.arguments[1])


def test_the_shipped_file_where_the_frames_are_its_own():
    assert rviz_file() == SHIPPED == rviz_of("nuscenes_replay")


@pytest.mark.parametrize(
    ("topics", "odom", "base"),
    [("carla_ros_bridge", "map", "ego_vehicle"), ("awsim_autoware", "map", "base_link")],
)
def test_a_topic_set_brings_its_frames(topics: str, odom: str, base: str):
    path = rviz_of(topics)
    assert frames_of(SHIPPED) == {
        **{"Fixed Frame": {"odom"}, "Reference Frame": {"base_link"}, "Target Frame": {"base_link"}},
        "Frame": {"Local"},  # how covariances are drawn
    }
    assert frames_of(path) == {
        **{"Fixed Frame": {odom}, "Reference Frame": {base}, "Target Frame": {base}},
        "Frame": {"Local"},
    }
    # All else is as it was.
    text = path.read_text().replace(base, "base_link").replace(f"Fixed Frame: {odom}", "Fixed Frame: odom")
    assert yaml.safe_load(text) == yaml.safe_load(SHIPPED.read_text())
