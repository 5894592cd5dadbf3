"""The expansions of a nuScenes root, vector maps and CAN bus: which are missing.

Nothing fails without them: a scene without a map has no lines, one without CAN messages takes the ego's motion from its
poses. So whoever needs them asks here first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aln_p3_core.datasets.expansion_files import can_bus_file, map_file

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset

# Where the archive's folder comes to lie if it is extracted elsewhere than in maps/.
_MISPLACED = ("expansion", "maps", "")
_NAMED = 5


@dataclass(frozen=True, slots=True)
class MissingExpansions:
    """What some scenes of a root lack.

    Attributes:
        root: of the data.
        scenes: how many were asked for.
        maps: number of scenes without a map, by location.
        can_bus: names of scenes without CAN messages.
    """

    root: Path
    scenes: int
    maps: dict[str, int]
    can_bus: tuple[str, ...]

    @property
    def no_map_at_all(self) -> bool:
        """Whether none of the scenes has a map."""
        return self.scenes > 0 and sum(self.maps.values()) == self.scenes

    def lines(self) -> list[str]:
        """What to tell: a line for each location without a map, and one for the scenes without CAN messages."""
        told = []
        for location, count in self.maps.items():
            path = map_file(self.root, location)
            places = [self.root / folder / path.name for folder in _MISPLACED]
            found = "".join(f"; {place} belongs there" for place in places if place.is_file())
            told.append(
                f"no map of {location} ({count} of {self.scenes} scenes, without lines): {path} is missing{found}"
            )
        if self.can_bus:
            names = ", ".join(self.can_bus[:_NAMED]) + (", ..." if len(self.can_bus) > _NAMED else "")
            told.append(
                f"no CAN bus of {len(self.can_bus)} of {self.scenes} scenes ({names}), whose motion comes from poses: "
                f"{can_bus_file(self.root, 'SCENE')} is missing"
            )
        return told


def missing_expansions(dataset: NuScenesDataset, scenes: Sequence[str]) -> MissingExpansions:
    """What the named scenes lack; files are looked for, not read."""
    root = dataset.root
    without = {name: not map_file(root, name).is_file() for name in {dataset.location_of(scene) for scene in scenes}}
    maps = Counter(location for scene in scenes if without[location := dataset.location_of(scene)])
    can_bus = tuple(scene for scene in scenes if not can_bus_file(root, scene).is_file())
    return MissingExpansions(root, len(scenes), dict(sorted(maps.items())), can_bus)
