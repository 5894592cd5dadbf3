"""P3A: one pair a frame."""

from __future__ import annotations

import torch
from alignment_helpers import made_up, only


def test_negatives_are_other_frames_whatever_is_set() -> None:
    inputs = made_up(1, 5)
    frame, batch = (only("p3a", contrast__negatives=kind)(inputs).total.detach() for kind in ("frame", "batch"))
    torch.testing.assert_close(frame, batch)
    assert float(batch) > 0.1


def test_without_a_memory_of_duplicates_no_embedding_is_asked_for() -> None:
    inputs = made_up(1, 5)
    wanted = only("p3a")(inputs).total
    inputs.explanation_embeddings_BW = None
    found = only("p3a", contrast__duplicates="negative")(inputs).total
    torch.testing.assert_close(found, wanted)
