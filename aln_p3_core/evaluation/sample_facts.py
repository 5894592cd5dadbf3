"""What kind of situation a sample is: by this, errors are told apart in reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from aln_p3_core.errors import DataError
from aln_p3_core.geometry import FloatArray

if TYPE_CHECKING:
    from aln_p3_core.datasets.nuscenes import NuScenesDataset
    from aln_p3_core.datasets.targets import Targets

#: What the embedded world says about its scenes.
SCENES_FILE = "scenes.json"
#: Upper ends of the bins of speed, m/s.
SPEED_BINS = (0.5, 3.0, 6.0, 9.0, 12.0, np.inf)


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """One sample.

    Attributes:
        token, scene: which one.
        command: of the route: "right", "left", "straight".
        scenario, condition: of the scene ("cut_in", "night"), "" where the data set does not tell.
        speed: of the ego, m/s.
    """

    token: str
    scene: str
    command: str
    scenario: str
    condition: str
    speed: float

    @property
    def speed_bin(self) -> str:
        """Such as "3-6 m/s"."""
        return speed_bins()[int(np.searchsorted(SPEED_BINS, self.speed, side="right").clip(0, len(SPEED_BINS) - 1))]


def speed_bins() -> list[str]:
    """Names of the bins in order; the first one is a standing car."""
    names = [f"below {SPEED_BINS[0]:g} m/s"]
    for low, high in pairwise(SPEED_BINS):
        names.append(f"{low:g}-{high:g} m/s" if np.isfinite(high) else f"over {low:g} m/s")
    return names


def facts_of(
    dataset: NuScenesDataset, scene_names: Sequence[str], targets: Mapping[str, Targets]
) -> dict[str, SampleFacts]:
    """Facts of the key frames of the scenes that have targets, by token, in order."""
    told = scene_facts(dataset)
    found = {}
    for name in scene_names:
        row = told.get(name, {})
        for token, speed in ego_speeds(dataset, name).items():
            if token not in targets:
                continue
            found[token] = SampleFacts(
                token=token,
                scene=name,
                command=targets[token].command.command.name.lower(),
                scenario=str(row.get("facts", {}).get("scenario", "")),
                condition=str(row.get("condition", "")),
                speed=speed,
            )
    return found


def scene_facts(dataset: NuScenesDataset) -> Mapping[str, Mapping[str, Any]]:
    """What `scenes.json` says, by scene name; empty without that file.

    Raises:
        DataError: when the file is broken.
    """
    path = dataset.root / SCENES_FILE
    if not path.is_file():
        return {}
    try:
        content: dict[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); record the data set again") from error
    return content


def ego_speeds(dataset: NuScenesDataset, scene_name: str) -> dict[str, float]:
    """Speeds at a scene's key frames by token, from the places before and after, m/s; 0 for a scene of one."""
    tokens = dataset.scene_tokens(scene_name)
    if len(tokens) < 2:
        return dict.fromkeys(tokens, 0.0)
    references = [dataset.reference_of(token) for token in tokens]
    seconds = np.array([stamp_ns for stamp_ns, _ in references]) * 1e-9
    places: FloatArray = np.array([pose[:2, 3] for _, pose in references])
    velocity = np.gradient(places, seconds - seconds[0], axis=0)
    return dict(zip(tokens, np.linalg.norm(velocity, axis=1).tolist(), strict=True))
