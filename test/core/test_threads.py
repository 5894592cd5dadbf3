"""Threads are given back, whatever happens within."""

import pytest
import torch

from aln_p3_core.runtime.threads import cpu_threads


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="within"), cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError("within")
    assert torch.get_num_threads() == before
