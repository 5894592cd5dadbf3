"""Multi-scale deformable sampling in plain torch.

Sampling is bilinear with zeros outside; a location in 0..1 is pixel `location * size - 0.5` (Deformable
DETR; the golden cases of the released operator are a test).

Two forms compute the same sum. On a CPU every corner of every point is a row of one table, and a query is a
weighted bag of rows: each row is read once and the samples are never stored. `grid_sample` is used
elsewhere, for its GPU kernel, and in exported graphs, because every runtime has it.

Suffixes: G groups (a camera, or a sample of the batch), Q queries, H heads, L levels, P points, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aln_p3_core.driver.bag_gradients import differentiable_bags
from aln_p3_core.driver.camera_geometry import CameraGeometry
from aln_p3_core.driver.portable import is_portable

Sizes = Sequence[tuple[int, int]]


def deformable_sampling(value_GVHd: Tensor, sizes: Sizes, locations_GQHLP2: Tensor, weights_GQHLP: Tensor) -> Tensor:
    """Weighted sums of bilinear samples.

    Args:
        value_GVHd: values of all levels, one after the other, each row by row.
        sizes: (height, width) of every level.
        locations_GQHLP2: x, y in 0..1 over the level's map.
        weights_GQHLP: weight of every sample.

    Returns:
        [G, Q, H * d] in the dtype of the values.
    """
    scale = locations_GQHLP2.new_tensor([[w, h] for h, w in sizes])
    x, y = (locations_GQHLP2 * scale[:, None] - 0.5).unbind(-1)
    return sample_pixels(value_GVHd, sizes, x, y, weights_GQHLP)


def sample_pixels(value_GVHd: Tensor, sizes: Sizes, x_GQHLP: Tensor, y_GQHLP: Tensor, weights_GQHLP: Tensor) -> Tensor:
    """`deformable_sampling` with the locations in pixels (pixel centres at whole numbers)."""
    groups, queries = x_GQHLP.shape[:2]
    if value_GVHd.is_cuda or is_portable():
        return _sample_with_grid(value_GVHd, sizes, x_GQHLP, y_GQHLP, weights_GQHLP)
    group_Q = torch.arange(groups, device=x_GQHLP.device).repeat_interleave(queries)
    x, y, weights = (t.flatten(0, 1) for t in (x_GQHLP, y_GQHLP, weights_GQHLP))
    return _sample_with_bags(value_GVHd, sizes, x, y, weights, group_Q[:, None]).unflatten(0, (groups, queries))


def sample_two_maps(
    value_2GVHd: Tensor, size: tuple[int, int], x_GQH2P: Tensor, y_GQH2P: Tensor, weights_GQH2P: Tensor
) -> Tensor:
    """Sums samples of two maps, one level each: [G, Q, H * d].

    `value_2GVHd` holds the first map of every sample, then the second ones; or the one map that serves as
    both, [G, ...].
    """
    groups, queries, heads, _, points = x_GQH2P.shape
    one_map = len(value_2GVHd) == groups
    if value_2GVHd.is_cuda or is_portable():
        if one_map:
            value_2GVHd = value_2GVHd.repeat(2, 1, 1, 1)
        planes = (t.permute(3, 0, 1, 2, 4).flatten(0, 1).unsqueeze(3) for t in (x_GQH2P, y_GQH2P, weights_GQH2P))
        return _sample_with_grid(value_2GVHd, [size], *planes).unflatten(0, (2, groups)).sum(0)
    x, y, weights = (t.reshape(groups * queries, heads, 1, -1) for t in (x_GQH2P, y_GQH2P, weights_GQH2P))
    group_Q = torch.arange(groups, device=x_GQH2P.device).repeat_interleave(queries)
    second = torch.tensor([0, 0 if one_map else groups], device=x_GQH2P.device).repeat_interleave(points)
    group_QP = group_Q[:, None] + second
    return _sample_with_bags(value_2GVHd, [size], x, y, weights, group_QP).unflatten(0, (groups, queries))


def sample_pairs(
    value_GVHd: Tensor, sizes: Sizes, x_KHLP: Tensor, y_KHLP: Tensor, weights_KHLP: Tensor, geometry: CameraGeometry
) -> Tensor:
    """Samples for each (camera, cell) pair from its camera's maps: [K, H * d]. Locations are in pixels."""
    if not len(x_KHLP):
        return value_GVHd.new_zeros(0, value_GVHd.shape[2] * value_GVHd.shape[3])
    if is_portable():
        return _sample_stacked_maps(value_GVHd, sizes, x_KHLP, y_KHLP, weights_KHLP, geometry.group_K)
    if value_GVHd.is_cuda:
        padded = geometry.padded_GL
        planes = (
            t.index_select(0, padded.flatten()).unflatten(0, padded.shape) for t in (x_KHLP, y_KHLP, weights_KHLP)
        )
        return _sample_with_grid(value_GVHd, sizes, *planes).flatten(0, 1).index_select(0, geometry.slot_K)
    return _sample_with_bags(value_GVHd, sizes, x_KHLP, y_KHLP, weights_KHLP, geometry.group_K[:, None])


def _sample_with_grid(
    value_GVHd: Tensor, sizes: Sizes, x_GQHLP: Tensor, y_GQHLP: Tensor, weights_GQHLP: Tensor
) -> Tensor:
    groups, _, heads, width = value_GVHd.shape
    queries = x_GQHLP.shape[1]
    total: Tensor | None = None
    start = 0
    # The grid must have the type of the maps, and three digits are too few for a coordinate.
    value = value_GVHd.float()
    for level, (h, w) in enumerate(sizes):
        maps = value[:, start : start + h * w].permute(0, 2, 3, 1).reshape(groups * heads, width, h, w)
        start += h * w
        x = (x_GQHLP[:, :, :, level] + 0.5) * (2.0 / w) - 1.0
        y = (y_GQHLP[:, :, :, level] + 0.5) * (2.0 / h) - 1.0
        grid = torch.stack([x, y], dim=-1).transpose(1, 2).flatten(0, 1)
        samples = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weights = weights_GQHLP[:, :, :, level].transpose(1, 2).reshape(groups * heads, 1, queries, -1)
        part = (samples * weights).sum(-1)
        total = part if total is None else total + part
    assert total is not None
    return total.unflatten(0, (groups, heads)).permute(0, 3, 1, 2).flatten(2).to(value_GVHd.dtype)


def _sample_stacked_maps(
    value_GVHd: Tensor, sizes: Sizes, x_KHLP: Tensor, y_KHLP: Tensor, weights_KHLP: Tensor, group_K: Tensor
) -> Tensor:
    """`sample_pairs` with one `grid_sample` a level, for any order of the pairs: [K, H * d].

    All maps of a level lie below each other in one, a row of zeros above and below each.
    """
    groups, _, heads, width = value_GVHd.shape
    total: Tensor | None = None
    start = 0
    for level, (h, w) in enumerate(sizes):
        maps = value_GVHd[:, start : start + h * w].float().unflatten(1, (h, w))
        start += h * w
        height = groups * (h + 2)
        stacked = F.pad(maps, (0, 0, 0, 0, 0, 0, 1, 1)).permute(3, 4, 0, 1, 2).reshape(heads, width, height, w)
        x = x_KHLP[:, :, level].clamp(-1.0, float(w))
        y = y_KHLP[:, :, level].clamp(-1.0, float(h)) + (group_K * (h + 2) + 1)[:, None, None]
        grid = torch.stack([(x + 0.5) * (2.0 / w) - 1.0, (y + 0.5) * (2.0 / height) - 1.0], dim=-1).transpose(0, 1)
        samples = F.grid_sample(stacked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        part = (samples * weights_KHLP[:, :, level].transpose(0, 1)[:, None]).sum(-1)
        total = part if total is None else total + part
    assert total is not None
    return total.permute(2, 0, 1).flatten(1).to(value_GVHd.dtype)


def _sample_with_bags(
    value_GVHd: Tensor, sizes: Sizes, x_QHLP: Tensor, y_QHLP: Tensor, weights_QHLP: Tensor, group_QP: Tensor
) -> Tensor:
    """[Q, H * d] in the dtype of the values. `group_QP` [Q, 1 or P]: whose maps a sample reads.

    Every map gets a border of zeros, one pixel at the low side and two at the high side, and coordinates are
    clamped into it: samples outside need no mask, and a point beyond the border adds exactly nothing. The
    four corners share one index, each against the table moved by a corner.
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (value_GVHd, x_QHLP, weights_QHLP)):
        return _sample_with_bags_and_gradients(value_GVHd, sizes, x_QHLP, y_QHLP, weights_QHLP, group_QP)
    queries, heads, _, points = x_QHLP.shape
    rows_Nd, rows_per_group, starts = _bordered_table(value_GVHd, sizes)
    device = x_QHLP.device
    total: Tensor | None = None
    head = torch.arange(heads, device=device)
    origin_QHP = (group_QP[:, None] * rows_per_group) * heads + head[:, None]
    for level, (h, w) in enumerate(sizes):
        # Fresh large tensors cost page faults, so everything that can happens in place.
        x, y = x_QHLP[:, :, level].clamp(-1.0, w), y_QHLP[:, :, level].clamp(-1.0, h)
        x0, y0 = x.floor(), y.floor()
        fx, fy = x.sub_(x0), y.sub_(y0)
        # Exact in float32: a map with its border has far fewer than 2 ** 24 rows.
        corner = x0.add_(y0, alpha=w + 3).mul_(heads).long()
        corner += origin_QHP + (starts[level] + w + 4) * heads
        weights = weights_QHLP[:, :, level]
        right = fx.mul_(weights)
        left = weights - right
        low_left, low_right = left * fy, fy.mul_(right)
        corners = (left.sub_(low_left), right.sub_(low_right), low_left, low_right)
        steps = (0, heads, (w + 3) * heads, (w + 4) * heads)
        index = corner.view(queries * heads, points)
        for corner_weights, step in zip(corners, steps, strict=True):
            bags = F.embedding_bag(
                index,
                rows_Nd[step:],
                per_sample_weights=corner_weights.to(rows_Nd.dtype).view(index.shape),
                mode="sum",
            )
            total = bags if total is None else total.add_(bags)
    assert total is not None
    return total.view(queries, -1)


def _sample_with_bags_and_gradients(
    value_GVHd: Tensor, sizes: Sizes, x_QHLP: Tensor, y_QHLP: Tensor, weights_QHLP: Tensor, group_QP: Tensor
) -> Tensor:
    """`_sample_with_bags` without changing anything in place: one bag of four corners for every point."""
    queries, heads = x_QHLP.shape[:2]
    rows_Nd, rows_per_group, starts = _bordered_table(value_GVHd.float(), sizes)
    head = torch.arange(heads, device=rows_Nd.device)
    origin_QHP = (group_QP[:, None] * rows_per_group) * heads + head[:, None]
    indices, shares = [], []
    for level, (h, w) in enumerate(sizes):
        x, y = x_QHLP[:, :, level].clamp(-1.0, w), y_QHLP[:, :, level].clamp(-1.0, h)
        x0, y0 = x.detach().floor(), y.detach().floor()
        corner = y0.mul(w + 3).add_(x0).mul_(heads).long()
        corner += origin_QHP + (starts[level] + w + 4) * heads
        steps = torch.tensor([0, heads, (w + 3) * heads, (w + 4) * heads], device=corner.device)
        indices.append((corner[..., None] + steps).flatten(2))
        fx, fy, weights = x - x0, y - y0, weights_QHLP[:, :, level].float()
        right = fx * weights
        left = weights - right
        low_left, low_right = left * fy, right * fy
        shares.append(torch.stack([left - low_left, right - low_right, low_left, low_right], dim=-1).flatten(2))
    index, share = (t[0] if len(t) == 1 else torch.cat(t, dim=-1) for t in (indices, shares))
    bags = differentiable_bags(rows_Nd, index.flatten(0, 1), share.flatten(0, 1))
    return bags.view(queries, -1).to(value_GVHd.dtype)


def _bordered_table(value_GVHd: Tensor, sizes: Sizes) -> tuple[Tensor, int, list[int]]:
    """Rows [N, d] of all bordered maps (pixel-major, head fastest), pixels per group, first pixel of each level.

    A few rows more at the end let every corner of a clamped point stay inside the table.
    """
    groups, _, heads, width = value_GVHd.shape
    areas = [(h + 3) * (w + 3) for h, w in sizes]
    starts = [sum(areas[:level]) for level in range(len(areas))]
    per_group = sum(areas)
    rows = value_GVHd.new_zeros(groups * per_group + max(w for _, w in sizes) + 5, heads, width)
    grouped = rows[: groups * per_group].view(groups, per_group, heads, width)
    source = 0
    for (h, w), start, area in zip(sizes, starts, areas, strict=True):
        padded = grouped[:, start : start + area].view(groups, h + 3, w + 3, heads, width)
        padded[:, 1 : h + 1, 1 : w + 1] = value_GVHd[:, source : source + h * w].unflatten(1, (h, w))
        source += h * w
    return rows.view(-1, width), per_group, starts


def predict_samples(
    inputs: Sequence[Tensor], offsets: nn.Linear, weights: nn.Linear, heads: int, share_over: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sampling offsets x, y (pixels) and weights, each [..., H, samples] in float32.

    Args:
        inputs: parts [..., D] of the layers' input; together they stand for their concatenation, which is
            never made.
        offsets, weights: the layers; offsets are ordered head, sample, (x, y).
        heads: number of heads.
        share_over: how many neighbouring samples share a softmax.
    """
    # One product that yields all x, then all y, then all logits: planes, not pairs.
    matrix = torch.cat([offsets.weight[0::2], offsets.weight[1::2], weights.weight])
    bias = torch.cat([offsets.bias[0::2], offsets.bias[1::2], weights.bias])
    parts = matrix.chunk(len(inputs), dim=1)
    predicted = F.linear(inputs[0], parts[0], bias)
    for x, part in zip(inputs[1:], parts[1:], strict=True):
        predicted = predicted + F.linear(x, part)
    x, y, logits = (t.float().unflatten(-1, (heads, -1)) for t in predicted.chunk(3, dim=-1))
    return x, y, _softmax_in_groups(logits, share_over)


def _softmax_in_groups(logits: Tensor, size: int) -> Tensor:
    """Softmax over runs of `size` neighbours of the last dimension."""
    if torch.is_grad_enabled() or logits.is_cuda or torch.is_autocast_enabled("cpu") or is_portable():
        return logits.unflatten(-1, (-1, size)).softmax(-1).flatten(-2)
    # A product with ones sums short runs far faster than a reduction. The maximum is one for all heads, and
    # e ** -85 is the least that float32 holds: only a head whose best logit lies some 70 below it is flattened.
    flat = logits.flatten(-2)
    exponentials = flat.sub(flat.amax(-1, keepdim=True)).clamp_(min=-85.0).exp_()
    ones_in_blocks = torch.eye(flat.shape[-1] // size).repeat_interleave(size, 0).repeat_interleave(size, 1)
    return exponentials.div_(exponentials @ ones_in_blocks).view_as(logits)


def init_ring_offsets(layer: nn.Linear, heads: int, groups: int, points: int) -> None:
    """Starts the sampling offsets on rings: each head looks its own way, each point one pixel farther."""
    nn.init.zeros_(layer.weight)
    angles = torch.arange(heads, dtype=torch.float32) * (2 * math.pi / heads)
    ring = torch.stack([angles.cos(), angles.sin()], dim=-1)
    ring = ring / ring.abs().max(dim=-1, keepdim=True).values
    distance = torch.arange(1, points + 1, dtype=torch.float32)
    offsets = ring[:, None, None, :] * distance[None, None, :, None]
    with torch.no_grad():
        layer.bias.copy_(offsets.expand(heads, groups, points, 2).reshape(-1))


class BevCrossAttention(nn.Module):
    """Deformable attention of decoder queries to the BEV map, residual included."""

    def __init__(self, width: int, heads: int, points: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.points, self.dropout = heads, points, dropout
        self.offsets = nn.Linear(width, heads * points * 2)
        self.weights = nn.Linear(width, heads * points)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        init_ring_offsets(self.offsets, heads, 1, points)
        init_attention(self.weights, self.value, self.output)

    def forward(self, query_BQD: Tensor, position_BQD: Tensor, reference_BQ2: Tensor, bev_BRSD: Tensor) -> Tensor:
        """`reference_BQ2` is x, y in 0..1 over the BEV (float32). Returns [B, Q, D]."""
        rows, columns = bev_BRSD.shape[1:3]
        positioned = query_BQD + position_BQD
        x, y, weights = predict_samples([positioned], self.offsets, self.weights, self.heads, self.points)
        x = x + (reference_BQ2[..., 0, None, None] * columns - 0.5)
        y = y + (reference_BQ2[..., 1, None, None] * rows - 0.5)
        value = self.value(bev_BRSD.flatten(1, 2)).unflatten(-1, (self.heads, -1))
        planes = (t.unsqueeze(-2) for t in (x, y, weights))
        sampled = sample_pixels(value, [(rows, columns)], *planes)
        return query_BQD + F.dropout(self.output(sampled), self.dropout, self.training)


def init_attention(weights: nn.Linear, value: nn.Linear, output: nn.Linear) -> None:
    """Equal weights at the start, Xavier projections (Deformable DETR, appendix A.4)."""
    nn.init.zeros_(weights.weight)
    nn.init.zeros_(weights.bias)
    for layer in (value, output):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
