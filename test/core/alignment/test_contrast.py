"""The losses of matched vectors, against numbers done by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from aln_p3_core.alignment.contrast import PairLoss
from aln_p3_core.alignment.pairs import Pairs
from aln_p3_core.alignment.settings import ContrastSettings

NEGATIVE = ContrastSettings(duplicates="negative", temperature="fixed")
IGNORED = ContrastSettings(temperature="fixed")


def pairs_of(vision: torch.Tensor, language: torch.Tensor, keys: torch.Tensor | None = None) -> Pairs:
    own = torch.eye(len(vision)) if keys is None else keys
    return Pairs(vision, language, own, torch.arange(len(vision)) // 2)


def drawn(count: int, width: int = 5) -> Pairs:
    made = torch.Generator().manual_seed(4)
    return pairs_of(torch.randn(count, width, generator=made), torch.randn(count, width, generator=made))


def test_clip_is_the_mean_cross_entropy_of_both_directions() -> None:
    pairs = drawn(4)
    loss, measures = PairLoss("clip", NEGATIVE)(pairs)
    vision, language = functional.normalize(pairs.vision_NK), functional.normalize(pairs.language_NK)
    scores = language @ vision.T / 0.07
    total = 0.0
    for table in (scores, scores.T):
        for row in range(4):
            total -= math.log(math.exp(table[row, row]) / sum(math.exp(value) for value in table[row]))
    assert float(loss) == pytest.approx(total / 8, rel=1e-4)
    assert float(measures["scale"]) == pytest.approx(1 / 0.07)
    assert float(measures["retrieval"]) == pytest.approx(float((scores.argmax(1) == torch.arange(4)).float().mean()))


def test_mse_and_cosine() -> None:
    pairs = pairs_of(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert float(PairLoss("mse", NEGATIVE)(pairs)[0]) == pytest.approx((1 + 2) / 2)
    assert float(PairLoss("cosine", NEGATIVE)(pairs)[0]) == pytest.approx((0 + 1) / 2)


def test_texts_of_one_meaning_are_no_negatives() -> None:
    """Two parked cars: what their tokens differ in is not to be learnt from their common caption."""
    vision = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0]])
    language = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    keys = torch.tensor([[1.0, 0.0], [0.98, 0.199], [0.0, 1.0]])
    pairs = pairs_of(vision, language, keys)
    counted, told = PairLoss("clip", NEGATIVE)(pairs)
    ignored, freed = PairLoss("clip", IGNORED)(pairs)
    assert float(ignored) < 0.01 < 0.3 < float(counted)
    assert float(told["retrieval"]) == pytest.approx(2 / 3) and float(freed["retrieval"]) == 1
    assert float(told["chance"]) == pytest.approx(1 / 3) and float(freed["chance"]) == pytest.approx(
        (0.5 + 0.5 + 1 / 3) / 3
    )
    strict, _ = PairLoss("clip", replace(IGNORED, duplicate_similarity=0.999))(pairs)
    torch.testing.assert_close(strict, counted)


def test_negatives_of_the_own_frame_only() -> None:
    pairs = drawn(4)
    found, _ = PairLoss("clip", replace(NEGATIVE, negatives="frame"))(pairs)
    parts = [
        PairLoss("clip", NEGATIVE)(Pairs(*(value[i : i + 2] for value in
            (pairs.vision_NK, pairs.language_NK, pairs.keys_NW, pairs.frame_N))))[0]
        for i in (0, 2)
    ]  # fmt: skip
    torch.testing.assert_close(found, (parts[0] + parts[1]) / 2)


def test_older_pairs_are_further_negatives_unless_they_mean_the_same() -> None:
    pairs, loss = drawn(3), PairLoss("clip", IGNORED)
    alone = float(loss(pairs)[0])
    older = pairs_of(pairs.vision_NK.clone(), pairs.language_NK.clone(), torch.eye(6)[3:, :3] + 1e-3)
    assert float(loss(pairs, older)[0]) > alone + 0.1
    same = replace(older, keys_NW=pairs.keys_NW)
    everywhere = Pairs(same.vision_NK[:1], same.language_NK[:1], torch.ones(1, 3), same.frame_N[:1])
    tolerant = PairLoss("clip", replace(IGNORED, duplicate_similarity=0.5))
    assert float(tolerant(pairs, everywhere)[0]) == pytest.approx(alone)


def test_a_learned_scale_stays_below_its_limit_and_can_come_back() -> None:
    loss = PairLoss("clip", ContrastSettings(scale=14.0, scale_max=15.0))
    optimizer = torch.optim.SGD(loss.parameters(), lr=50.0)
    pairs = drawn(3)
    agreeing = replace(pairs, language_NK=pairs.vision_NK)
    for given, wanted in ((agreeing, 15.0), (replace(agreeing, language_NK=-pairs.vision_NK), 0.0)):
        optimizer.zero_grad()
        loss(given)[0].backward()
        optimizer.step()
        scale = float(loss(given)[1]["scale"])
        assert scale <= 15.0001 and (scale < 14.9 if not wanted else True)


def test_a_fixed_scale_is_no_parameter_but_is_saved() -> None:
    loss = PairLoss("clip", ContrastSettings(temperature="fixed", scale=20.0))
    assert not list(loss.parameters()) and loss.state_dict()["log_scale"] == pytest.approx(math.log(20.0))
