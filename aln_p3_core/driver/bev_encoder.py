"""The BEV encoder: learned BEV queries look at the warped memory and at the cameras (BEVFormer).

Suffixes: B batch, N cameras, R BEV rows (y), S BEV columns (x), C = R * S cells, D width, V feature tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.attention import FeedForward, exact
from aln_p3_core.driver.bev_attention import SpatialAttention, TemporalAttention
from aln_p3_core.driver.camera_geometry import CameraGeometry
from aln_p3_core.driver.deformable_attention import Sizes
from aln_p3_core.driver.io import DriverInputs
from aln_p3_core.driver.memory_warp import cell_centers, released_rotation, released_shift, warp_memory
from aln_p3_core.driver.tap import tap

_CAN_BUS_WIDTH = 18


class GridPosition(nn.Module):
    """Learned position of a cell: a half for its column, then a half for its row."""

    def __init__(self, rows: int, columns: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.rand(rows, width // 2))
        self.columns = nn.Parameter(torch.rand(columns, width // 2))

    def forward(self) -> Tensor:
        """[R * S, D]."""
        rows, columns = len(self.rows), len(self.columns)
        column_part = self.columns[None].expand(rows, -1, -1)
        row_part = self.rows[:, None].expand(-1, columns, -1)
        return torch.cat([column_part, row_part], dim=-1).flatten(0, 1)


class CanBusEncoder(nn.Module):
    """The 18 numbers of the CAN vector, unnormalised as released, to one vector for all BEV queries."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(_CAN_BUS_WIDTH, hidden)
        self.output = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, can_bus_B18: Tensor) -> Tensor:
        """[B, D]."""
        return self.norm(torch.relu(self.output(torch.relu(self.hidden(can_bus_B18)))))


class BevEncoderLayer(nn.Module):
    """Temporal attention, norm, spatial attention, norm, feed-forward, norm."""

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        width, heads, bev, dropout = config.embed_dims, config.heads, config.bev, config.dropout
        self.temporal = TemporalAttention(width, heads, bev.temporal_points, dropout)
        self.temporal_norm = nn.LayerNorm(width)
        self.spatial = SpatialAttention(
            width, heads, config.backbone.levels, bev.spatial_points, bev.pillar_heights, dropout
        )
        self.spatial_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, config.ffn_dims, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(
        self,
        name: str,
        query_BCD: Tensor,
        position_CD: Tensor,
        reference_BC2: Tensor,
        size: tuple[int, int],
        memory_BCD: Tensor | None,
        second_BCD: Tensor | None,
        features_GVD: Tensor,
        feature_sizes: Sizes,
        geometry: CameraGeometry,
    ) -> Tensor:
        x = self.temporal(query_BCD, position_CD, reference_BC2, size, memory_BCD, second_BCD)
        tap(f"{name}.temporal", x)
        x = self.spatial(self.temporal_norm(x), features_GVD, feature_sizes, geometry)
        tap(f"{name}.spatial", x)
        x = self.feed_forward(self.spatial_norm(x))
        tap(f"{name}.feed_forward", x)
        x = self.feed_forward_norm(x)
        tap(f"{name}.out", x)
        return x


class BevEncoder(nn.Module):
    """Camera features and memory to the BEV map.

    compatibility "vad_release": the memory is turned about `rotate_center`, all reference points (also
    those of the current map) carry the shift, and the second map of the temporal pair is the encoder's
    initial query in every layer. The released code is right for a batch of one only; here every sample of a
    batch gets what it would get alone. "none": the memory is warped exactly, nothing is shifted, and the second
    map is the running query.
    """

    def __init__(self, config: DriverConfig) -> None:
        super().__init__()
        self.config = config
        bev, width = config.bev, config.embed_dims
        self.released = config.compatibility == "vad_release"
        self.queries = nn.Parameter(torch.randn(bev.rows * bev.columns, width))
        self.position = GridPosition(bev.rows, bev.columns, width)
        self.level_embeddings = nn.Parameter(torch.randn(config.level_embeddings, width))
        self.camera_embeddings = nn.Parameter(torch.randn(len(config.cameras), width))
        self.can_bus = CanBusEncoder(config.can_bus_hidden, width) if config.ego_status == "bev" else None
        self.layers = nn.ModuleList(BevEncoderLayer(config) for _ in range(bev.layers))

    def forward(self, maps: list[Tensor], inputs: DriverInputs, geometry: CameraGeometry) -> Tensor:
        """BEV map [B, R, S, D] from feature maps [B * N, D, h, w], fine to coarse."""
        bev = self.config.bev
        size = (bev.rows, bev.columns)
        batch = len(inputs.images_BNCHW)
        features_GVD, sizes = self._tokens(maps)
        query = self._initial_query(inputs, batch)
        tap("bev_encoder.query", query)
        position_CD = self.position()
        tap("bev_encoder.position", position_CD)
        reference = cell_centers(*size, query.device).expand(batch, -1, -1)
        if self.released:
            shift = released_shift(self.config, _require(inputs.can_bus_B18, "can_bus_B18"))
            tap("bev_encoder.shift", shift)
            reference = reference + shift[:, None]
        tap("bev_encoder.reference", reference)
        memory = self._memory(inputs, query.dtype)
        # The released encoder keeps its initial query as the second map of every layer.
        initial = query if self.released and memory is not None else None
        valid_B = inputs.history_valid_B
        for i, layer in enumerate(self.layers):
            second = None if memory is None else (query if initial is None else initial)
            earlier = memory
            if memory is not None and valid_B is not None:
                # What starts afresh reads its own query in place of both maps, as without a memory.
                earlier = torch.where(valid_B[:, None, None], memory, query)
                if initial is not None:
                    second = torch.where(valid_B[:, None, None], initial, query)
            query = layer(
                f"bev_encoder.layer{i}",
                query,
                position_CD,
                reference,
                size,
                earlier,
                second,
                features_GVD,
                sizes,
                geometry,
            )
        return query.unflatten(1, size)

    def _tokens(self, maps: list[Tensor]) -> tuple[Tensor, Sizes]:
        cameras = len(self.camera_embeddings)
        levels, sizes = [], []
        for level, feature in enumerate(maps):
            sizes.append((feature.shape[-2], feature.shape[-1]))
            tokens = feature.permute(0, 2, 3, 1).flatten(1, 2)
            embedding = self.camera_embeddings + self.level_embeddings[level]
            levels.append(tokens.unflatten(0, (-1, cameras)) + embedding[:, None])
        features = torch.cat(levels, dim=2) if len(levels) > 1 else levels[0]
        tap("bev_encoder.features", features)
        return features.flatten(0, 1), sizes

    def _initial_query(self, inputs: DriverInputs, batch: int) -> Tensor:
        if self.can_bus is None:
            return self.queries.expand(batch, -1, -1)
        status_BD = exact(self.can_bus, _require(inputs.can_bus_B18, "can_bus_B18"))
        tap("bev_encoder.can_bus", status_BD)
        return self.queries + status_BD[:, None].to(self.queries.dtype)

    def _memory(self, inputs: DriverInputs, dtype: torch.dtype) -> Tensor | None:
        if inputs.prev_bev_BRSD is None:
            return None
        if self.released:
            bev = self.config.bev
            center = self.config.rotate_center or (bev.columns / 2, bev.rows / 2)
            yaw_degrees = _require(inputs.can_bus_B18, "can_bus_B18")[:, -1]
            memory = released_rotation(inputs.prev_bev_BRSD, yaw_degrees, center)
        else:
            transform = _require(inputs.T_prev_cur_B44, "T_prev_cur_B44")
            memory = warp_memory(self.config, inputs.prev_bev_BRSD, transform)
        tap("bev_encoder.memory", memory)
        return memory.flatten(1, 2).to(dtype)


def _require(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"this recipe reads {name}, but the inputs do not hold it")
    return value
