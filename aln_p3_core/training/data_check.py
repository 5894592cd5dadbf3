"""Whether a root has what a training learns from."""

from __future__ import annotations

from collections.abc import Sequence

from aln_p3_core.datasets.expansion_files import map_file
from aln_p3_core.datasets.expansions import missing_expansions
from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.training.settings import PARTS, TrainingConfig

# Losses that learn map lines from the map expansion.
_LINE_LOSSES = ("map_class", "map_points", "map_direction", "bev_raster")


def learns_lines(config: TrainingConfig) -> bool:
    """Whether some stage learns map lines."""
    perception = {part for part in PARTS if part != "planner"}
    learns = any(stage.perception_weight > 0 and perception - set(stage.frozen) for stage in config.stages)
    return learns and any(getattr(config.losses, name) > 0 for name in _LINE_LOSSES)


def check_expansions(
    dataset: NuScenesDataset, learnt: Sequence[str], checked: Sequence[str], config: TrainingConfig
) -> list[str]:
    """What the scenes of a training lack of maps and CAN messages, as lines to tell.

    Args:
        dataset: a root.
        learnt, checked: its scenes to learn from and to validate with.
        config: of the training.

    Raises:
        DataError: when lines are to be learnt and no scene to learn from has a map: all would be taught that there are
            none.
    """
    own = missing_expansions(dataset, learnt)
    if own.no_map_at_all and learns_lines(config):
        zero = " ".join(f"--set losses.{name}=0" for name in _LINE_LOSSES)
        raise DataError(
            f"{dataset.root} has no map expansion for any scene that is learnt: every street would be learnt as one "
            f"without lines. Extract the map expansion (v1.3) so that its files are "
            f"{map_file(dataset.root, 'LOCATION')} ({'; '.join(own.lines()[: len(own.maps)])}), or learn no lines: "
            f"{zero}"
        )
    return missing_expansions(dataset, list(dict.fromkeys([*learnt, *checked]))).lines()
