"""What a root lacks of maps and CAN messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from map_helpers import LOCATION, ExpansionWriter

from aln_p3_core.datasets.expansion_files import can_bus_file, map_file
from aln_p3_core.datasets.expansions import missing_expansions
from aln_p3_core.datasets.nuscenes import NuScenesDataset


def test_scenes_without_a_map_are_told_by_location_and_those_without_messages_by_name(
    make_root: Callable[..., Path],
) -> None:
    root = make_root()
    dataset = NuScenesDataset(root)
    found = missing_expansions(dataset, dataset.scenes)
    assert found.maps == {LOCATION: 1} and found.can_bus == ("scene-0001",) and found.no_map_at_all
    maps, can_bus = found.lines()
    assert maps == f"no map of {LOCATION} (1 of 1 scenes, without lines): {map_file(root, LOCATION)} is missing"
    assert (
        "no CAN bus of 1 of 1 scenes (scene-0001)" in can_bus and str(root / "can_bus" / "SCENE_pose.json") in can_bus
    )
    assert not missing_expansions(dataset, ()).lines() and not missing_expansions(dataset, ()).no_map_at_all


def test_a_file_beside_its_place_is_named(make_root: Callable[..., Path]) -> None:
    root = make_root()
    misplaced = root / "expansion" / f"{LOCATION}.json"
    misplaced.parent.mkdir()
    ExpansionWriter().write(root).rename(misplaced)
    dataset = NuScenesDataset(root)
    (maps, _) = missing_expansions(dataset, dataset.scenes).lines()
    assert maps.endswith(f"is missing; {misplaced} belongs there")


def test_a_whole_root_lacks_nothing(make_root: Callable[..., Path]) -> None:
    root = make_root()
    ExpansionWriter().write(root)
    can_bus_file(root, "scene-0001").parent.mkdir()
    can_bus_file(root, "scene-0001").write_text("[]")
    dataset = NuScenesDataset(root)
    found = missing_expansions(dataset, dataset.scenes)
    assert not found.lines() and not found.no_map_at_all
