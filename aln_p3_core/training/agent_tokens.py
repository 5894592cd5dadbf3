"""Which annotation each target agent of a stored frame comes from, so that captions find their objects."""

from __future__ import annotations

import numpy as np

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.errors import DataError
from aln_p3_core.geometry import invert_transform, transform_points
from aln_p3_core.training.frame_store import FrameStore

# Stored centres are float32: at 60 m within some micrometres of the annotation's.
_SAME_M = 0.01


def agent_annotations(dataset: NuScenesDataset, store: FrameStore, index: int) -> tuple[str, ...]:
    """Annotation tokens of the target agents of a frame, in the order of `FrameTargets.agent_boxes_A10`.

    The store keeps those agents that the recipe learns (class, range, visibility) without their names: they are found
    again by their centres.

    Raises:
        DataError: when an agent lies where nothing is annotated: the annotations have changed since.
    """
    centers_A3 = store.agent_centers(index).astype(np.float64)
    if not len(centers_A3):
        return ()
    token = store.token_at(index)
    rows = [dataset.nusc.get("sample_annotation", name) for name in dataset.nusc.get("sample", token)["anns"]]
    annotated = np.array([row["translation"] for row in rows], dtype=np.float64).reshape(-1, 3)
    annotated = transform_points(invert_transform(store.frame(index).T_global_model), annotated)
    apart_AN = np.linalg.norm(centers_A3[:, None] - annotated[None], axis=-1)
    if not len(rows) or apart_AN.min(axis=1).max() > _SAME_M:
        raise DataError(
            f"sample {token}: a stored object lies where {dataset.root} annotates none; "
            "delete the store's folder, so that it is made again"
        )
    return tuple(rows[place]["token"] for place in apart_AN.argmin(axis=1))
