"""The queue of earlier pairs."""

from __future__ import annotations

import torch

from aln_p3_core.alignment.gathering import Gathering
from aln_p3_core.alignment.pairs import PairQueue, Sources
from aln_p3_core.alignment.settings import ContrastSettings


def sources(first: int, count: int) -> Sources:
    number = torch.arange(first, first + count).float()[:, None]
    paths = number[:, :, None].expand(-1, 2, 2)
    return Sources(number.requires_grad_(), paths, number + 100, number + 200, torch.arange(count))


def push(queue: PairQueue, given: Sources) -> None:
    queue.push(given, Gathering.of([len(given.frame_N)], torch.device("cpu"), together=True), 0)


def test_first_in_first_out_without_gradient() -> None:
    queue = PairQueue(5, features=1, steps=2, words=1, keys=1)
    assert len(queue.kept().frame_N) == 0
    push(queue, sources(0, 3))
    assert queue.kept().features_NF[:, 0].tolist() == [0, 1, 2]
    push(queue, sources(3, 3))
    kept = queue.kept()
    assert kept.features_NF[:, 0].tolist() == [3, 4, 5, 0, 1] and not kept.features_NF.requires_grad
    assert kept.paths_NT2[:, 1, 1].tolist() == [3, 4, 5, 0, 1]
    assert kept.words_NL[0, 0] == 103 and kept.keys_NW[0, 0] == 203
    push(queue, sources(10, 9))
    assert queue.kept().features_NF[:, 0].tolist() == [10, 11, 12, 13, 14]


def test_it_goes_with_the_state_dict() -> None:
    one, two = (PairQueue(4, features=1, steps=0, words=1, keys=0) for _ in range(2))
    given = sources(0, 2)
    given.paths_NT2, given.keys_NW = torch.zeros(2, 0, 2), torch.zeros(2, 0)
    push(one, given)
    two.load_state_dict(one.state_dict())
    assert torch.equal(two.kept().words_NL, one.kept().words_NL) and len(two.kept().frame_N) == 2


def test_there_is_none_where_it_would_not_be_used() -> None:
    asked = {"features": 1, "steps": 0, "words": 1, "keys": 1}
    assert PairQueue.of("clip", ContrastSettings(queue=2), **asked) is not None
    assert PairQueue.of("mse", ContrastSettings(queue=2), **asked) is None
    assert PairQueue.of("clip", ContrastSettings(queue=2, negatives="frame"), **asked) is None
    assert PairQueue.of("clip", ContrastSettings(), **asked) is None
