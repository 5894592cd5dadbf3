"""Texts of like length together, so that little is computed for padding."""

from __future__ import annotations

from collections.abc import Sequence

#: What a group costs beside its tokens, in tokens: smaller matrices are multiplied less well (two cores, 135M).
GROUP_COST = 200


def length_groups(lengths: Sequence[int], cost: int = GROUP_COST) -> list[list[int]]:
    """Rows in groups, each to be padded to its longest: the split with the fewest tokens in all.

    Args:
        lengths: of the rows, in tokens.
        cost: of a group, in tokens.

    Returns:
        Rows of each group, groups and rows from short to long. One group where splitting saves nothing.
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    # best[n]: cost of the n shortest rows, and where their last group begins.
    best = [(0, 0)]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        best.append(min((best[begin][0] + (end - begin) * longest + cost, begin) for begin in range(end)))
    groups: list[list[int]] = []
    end = len(order)
    while end:
        begin = best[end][1]
        groups.insert(0, order[begin:end])
        end = begin
    return groups
