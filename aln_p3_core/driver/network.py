"""The driver's network: images in, agents, map, motion and plan out (VAD, arXiv 2303.12077).

Stages are separate methods, so that a caller can time, overlap or capture them:
`extract_features` (backbone and neck), `encode_bev`, `decode`, `plan`. Suffixes: aln_p3_core/driver/io.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from aln_p3_core.config import DriverConfig
from aln_p3_core.driver.agent_decoder import AgentDecoder, AgentDecoderOutputs
from aln_p3_core.driver.backbone import make_backbone
from aln_p3_core.driver.bev_encoder import BevEncoder
from aln_p3_core.driver.camera_geometry import CameraGeometry, GeometryCache
from aln_p3_core.driver.io import DriverInputs, DriverOutputs
from aln_p3_core.driver.map_decoder import MapDecoder, MapDecoderOutputs
from aln_p3_core.driver.motion import Motion, MotionOutputs
from aln_p3_core.driver.neck import make_neck
from aln_p3_core.driver.planner import Planner
from aln_p3_core.driver.tap import tap

Precision = Literal["fp32", "bf16", "fp16"]
#: Parts that make the BEV map.
ENCODER = ("backbone", "neck", "bev_encoder")
PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(slots=True)
class Perception:
    """What the planner reads: agents, map lines and motion."""

    agents: AgentDecoderOutputs
    lines: MapDecoderOutputs
    motion: MotionOutputs


class DriverNetwork(nn.Module):
    """The whole driver as one module. Works at any batch size.

    In every precision the last layer of each head, reference points and sampling locations stay in float32:
    a box is a logit times sixty metres, and bfloat16 has three digits.
    """

    def __init__(self, config: DriverConfig, load_pretrained: bool = True, backbone_weights: str = "") -> None:
        """
        Args:
            config: recipe.
            load_pretrained: False skips the backbone's ImageNet weights: for when others will be loaded.
            backbone_weights: file of these; "" for the installed ones.

        Raises:
            CheckpointError: when the recipe asks for them and they are not there, or do not fit.
        """
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.backbone, load_pretrained, image=config.image, weights=backbone_weights)
        self.neck = make_neck(config, self.backbone.channels)
        self.bev_encoder = BevEncoder(config)
        self.agent_decoder = AgentDecoder(config)
        self.map_decoder = MapDecoder(config)
        self.motion = Motion(config)
        self.planner = Planner(config)
        self._geometry = GeometryCache(config)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the backbone: what `images_BNCHW` is cast to."""
        return next(self.backbone.parameters()).dtype

    def forward(self, inputs: DriverInputs) -> DriverOutputs:
        """The stages one after the other."""
        geometry = self.geometry(inputs)
        features = self.extract_features(inputs.images_BNCHW)
        bev = self.encode_bev(features, inputs, geometry)
        return self.plan(bev, self.decode(bev), inputs, features)

    def geometry(self, inputs: DriverInputs) -> CameraGeometry:
        """Visible (camera, cell) pairs; cached by the exact calibration, so a fixed rig computes them once."""
        height, width = inputs.images_BNCHW.shape[-2:]
        return self._geometry.get(inputs.model2img_BN44, inputs.camera_valid_BN, (height, width))

    def extract_features(self, images_BNCHW: Tensor) -> list[Tensor]:
        """Feature maps [B * N, D, h, w], fine to coarse."""
        return self.features_from_prefix(self.image_prefix(images_BNCHW))

    def image_prefix(self, images_BNCHW: Tensor) -> Tensor:
        """The backbone's frozen part [B * N, C, h, w], which a training may compute once and keep."""
        return self.backbone.prefix(images_BNCHW.flatten(0, 1).to(self.dtype, memory_format=torch.channels_last))

    def features_from_prefix(self, prefix: Tensor) -> list[Tensor]:
        """Feature maps [B * N, D, h, w], fine to coarse, from `image_prefix`."""
        maps = self.backbone.suffix(prefix)
        for i, feature in enumerate(maps):
            tap(f"backbone.{i}", feature)
        features = self.neck(maps)
        for i, feature in enumerate(features):
            tap(f"neck.{i}", feature)
        return features

    def encode_bev(
        self, features: list[Tensor], inputs: DriverInputs, geometry: CameraGeometry | None = None
    ) -> Tensor:
        """BEV map [B, R, S, D]. Pass `geometry` to keep its computation out of a timed or captured stage."""
        bev = self.bev_encoder(features, inputs, geometry if geometry is not None else self.geometry(inputs))
        tap("bev", bev)
        return bev

    def decode(self, bev_BRSD: Tensor) -> Perception:
        """Agents, map and motion from the BEV map."""
        agents = self.agent_decoder(bev_BRSD)
        lines = self.map_decoder(bev_BRSD)
        return Perception(agents, lines, self.motion(agents, lines))

    def plan(
        self, bev_BRSD: Tensor, perception: Perception, inputs: DriverInputs, features: list[Tensor]
    ) -> DriverOutputs:
        """The plan, and everything that led to it."""
        return self.plan_from_tokens(bev_BRSD, perception, self.planner.image_tokens(features), inputs.ego_status_B8)

    def plan_from_tokens(
        self,
        bev_BRSD: Tensor,
        perception: Perception,
        image_BKD: Tensor | None,
        ego_status_B8: Tensor | None,
        command_B: Tensor | None = None,
    ) -> DriverOutputs:
        """As `plan`, with what the planner reads of a picture (`Planner.image_tokens`) in place of the feature maps.
        With `command_B` only the plan of that command is complete."""
        agents, lines, motion = perception.agents, perception.lines, perception.motion
        tokens = self.planner.tokens(motion, agents, lines, bev_BRSD, image_BKD)
        plan, ego = self.planner(tokens, ego_status_B8, command_B)
        return DriverOutputs(
            bev_BRSD=bev_BRSD,
            agent_logits_LBQC=agents.logits_LBQC,
            agent_boxes_LBQ10=agents.boxes_LBQ10,
            agent_forecasts_BQMT2=motion.forecasts_BQMT2,
            agent_mode_logits_BQM=motion.mode_logits_BQM,
            agent_states_BQD=agents.states_BQD,
            motion_BQM2D=motion.motion_BQM2D,
            map_logits_LBVC=lines.logits_LBVC,
            map_points_LBVP2=lines.points_LBVP2,
            map_tokens_BVD=lines.tokens_BVD,
            ego_features_B2D=ego,
            plan_offsets_B3T2=plan,
            agent_heatmap_BCRS=agents.heatmap_BCRS,
        )

    def set_precision(self, precision: Precision | torch.dtype) -> DriverNetwork:
        """Casts the heavy parts; whatever carries coordinates stays in float32.

        Use this instead of `.to(dtype)`, which would cast those too.
        """
        dtype = PRECISIONS[precision] if isinstance(precision, str) else precision
        self.float()
        heavy = [
            self.backbone,
            self.neck,
            self.bev_encoder,
            self.agent_decoder.layers,
            self.map_decoder.layers,
            self.map_decoder.polyline_encoder,
            self.motion.agent_interaction,
            self.motion.map_interaction,
            self.planner.agent_fusion,
            self.planner.rounds,
        ]
        if self.agent_decoder.proposals is not None:
            heavy += [self.agent_decoder.proposals.hidden, self.agent_decoder.proposals.content]
        for module in heavy:
            module.to(dtype)
        for head in (*self.map_decoder.point_heads, self.motion.forecast_head, self.motion.mode_head):
            head[:-1].to(dtype)
        if self.bev_encoder.can_bus is not None:
            self.bev_encoder.can_bus.float()
        return self

    def fuse_for_inference(self) -> DriverNetwork:
        """Folds the batch norms into the convolutions and lays these out for channels-last images.

        For inference only, and after loading weights: the state dict changes.
        """
        self.eval().requires_grad_(False)
        self.backbone.fuse_batch_norms()
        for part in (self.backbone, self.neck):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own stubs
        return self
