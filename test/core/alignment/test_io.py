"""Tensors into the alignments: what is handed on, and whose words they are."""

from __future__ import annotations

from dataclasses import fields

import torch

from aln_p3_core.alignment.io import AlignmentInputs


def test_the_control_gives_every_row_the_words_of_another_and_leaves_the_driver_alone() -> None:
    rows = torch.arange(5.0)[:, None] + torch.arange(5)
    inputs = AlignmentInputs(
        scene_of_pair_P=torch.tensor([0, 0, 1, 1, 1]),
        instances_PD=rows,
        caption_embeddings_PW=rows,
        caption_valid_P=torch.tensor([True, False, True, True, True]),
        ego_B2D=rows[:2],
        explanation_states_BE=rows[:2],
    )
    mixed = inputs.with_words_of_others()
    assert mixed.scene_of_pair_P is inputs.scene_of_pair_P
    assert mixed.instances_PD is inputs.instances_PD and mixed.ego_B2D is inputs.ego_B2D
    assert mixed.caption_embeddings_PW is not None and mixed.caption_valid_P is not None
    assert mixed.caption_embeddings_PW[:, 0].tolist() == [2, 3, 4, 0, 1]
    # Whether there are words goes with them.
    assert mixed.caption_valid_P.tolist() == [True, True, True, True, False]
    assert mixed.explanation_states_BE is not None and mixed.explanation_states_BE[:, 0].tolist() == [1, 0]
    assert mixed.motion_states_PE is None


def test_every_field_of_words_is_exchanged() -> None:
    """A field of words that is added later must not stay behind."""
    names = [entry.name for entry in fields(AlignmentInputs)]
    rows = {name: torch.arange(4) for name in names}
    mixed = AlignmentInputs(**rows).with_words_of_others()
    moved = {name for name in names if not torch.equal(getattr(mixed, name), rows[name])}
    assert moved == {name for name in names if name.startswith(("caption_", "motion_", "explanation_"))} - {
        "motion_PM2D"
    }


def test_detached_leads_nowhere() -> None:
    inputs = AlignmentInputs(instances_PD=torch.ones(2, 3, requires_grad=True))
    assert inputs.instances_PD is not None and inputs.instances_PD.requires_grad
    found = inputs.detached().instances_PD
    assert found is not None and not found.requires_grad
