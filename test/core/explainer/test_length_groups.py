"""Groups of rows: whole, and never dearer than one batch or than another split."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from aln_p3_core.explainer.length_groups import length_groups


def tokens(lengths: list[int], groups: list[list[int]], cost: int) -> int:
    return sum(len(group) * max(lengths[row] for row in group) + cost for group in groups)


@given(st.lists(st.integers(1, 220), min_size=1, max_size=7), st.integers(0, 150))
def test_no_split_is_cheaper(lengths: list[int], cost: int) -> None:
    groups = length_groups(lengths, cost)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    for count in range(len(lengths)):
        for cuts in combinations(range(1, len(lengths)), count):
            edges = [0, *cuts, len(lengths)]
            other = [order[a:b] for a, b in pairwise(edges)]
            assert tokens(lengths, groups, cost) <= tokens(lengths, other, cost)


def test_one_long_text_does_not_stretch_the_others() -> None:
    assert length_groups([30, 95, 31, 29, 30, 32] * 4, 40) == [
        [3, 9, 15, 21, 0, 4, 6, 10, 12, 16, 18, 22, 2, 8, 14, 20, 5, 11, 17, 23],
        [1, 7, 13, 19],
    ]
    assert length_groups([30, 30], 100) == [[0, 1]]
