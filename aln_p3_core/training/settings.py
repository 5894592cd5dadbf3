"""Settings of a training: small frozen dataclasses, every field with a line of its own.

`TrainingConfig` is the whole of it; `training.recipes` has the named ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aln_p3_core.alignment.settings import AlignmentSettings
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.training.text_settings import TextSettings

ImageStore = Literal["pixels", "features", "bev", "perception"]
PrecisionName = Literal["fp32", "bf16"]

#: Parts of the network that a stage may freeze.
PARTS = ("backbone", "neck", "bev_encoder", "agent_decoder", "map_decoder", "motion", "planner")


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which frames are learnt from, and how they are read.

    splits: scenes to learn from, by split name.
    validation_split: scenes to choose the best checkpoint by.
    clip_frames: frames in a clip, the learnt one included; the earlier ones only build the memory.
    clip_spares: earlier frames that are dropped by lot, so that intervals vary (VAD drops one).
    fresh_start_probability: share of clips that start without any memory.
    store: what is read from the memory-mapped store: prepared "pixels", or "features", the output of the backbone's
        frozen part (`DriverNetwork.image_prefix`; no picture augmentation then), or "bev", the map of a frozen BEV
        encoder, for stages that train what comes behind it, or "perception", all that a planner or an explainer reads,
        for stages that train nothing else.
    workers: processes that read ahead; 0 reads in the training process.
    prefetch: batches that each worker keeps ready.
    validation_samples: frames of the validation split that are used, evenly spread; 0 takes all.
    balance_commands: share of the sampling weight that is spread evenly over the three commands (0: as recorded).
    balance_speeds: likewise over standing, slowing down, speeding up and steady driving.
    hidden_causes: plans whose recorded reason is one of these (`decision.cause` of expert_plan.json) are not learnt:
        what no camera sees, such as "route_end".
    scenes_limit: first scenes of each split only; 0 takes all.
    """

    splits: tuple[str, ...] = ("train",)
    validation_split: str = "val"
    clip_frames: int = 3
    clip_spares: int = 1
    fresh_start_probability: float = 0.1
    store: ImageStore = "pixels"
    workers: int = 1
    prefetch: int = 4
    validation_samples: int = 0
    balance_commands: float = 0.5
    balance_speeds: float = 0.5
    hidden_causes: tuple[str, ...] = ()
    scenes_limit: int = 0

    @property
    def only_validated(self) -> str | None:
        """The validation split, unless it is learnt from as well."""
        return None if self.validation_split in self.splits else self.validation_split


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """What is changed in a clip before it is learnt. A camera's pictures are changed alike in all frames of a clip.

    photometric_probability: brightness, contrast, saturation and hue.
    grid_mask_probability: a grid of squares is blanked (GridMask).
    grid_mask_ratio: share of a period of the grid that is blanked, along each side.
    flip_probability: the whole scene is mirrored, cameras and targets too. Right for perception only: in a mirrored
        town people drive on the other side. Refused in stages that learn to plan.
    camera_dropout_probability: one camera is taken away.
    ego_status_dropout_probability: the ego status is withheld (zeros), for recipes that read it.
    """

    photometric_probability: float = 0.5
    grid_mask_probability: float = 0.7
    grid_mask_ratio: float = 0.5
    flip_probability: float = 0.0
    camera_dropout_probability: float = 0.02
    ego_status_dropout_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """AdamW with warm-up and cosine decay (method: VAD, section 6.6).

    learning_rate: peak, for the global batch.
    backbone_rate: times the learning rate, for the backbone.
    weight_decay: AdamW's; none for biases, norms and embeddings.
    clip_norm: of the gradient of the driver, of the explainer and of the alignments, each by itself.
    warm_up_steps: linear, from a third of the peak.
    final_rate: share of the peak at the last step.
    ema_decay: of the averaged weights that are validated and shipped; 0 switches averaging off.
    """

    learning_rate: float = 2e-4
    backbone_rate: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 35.0
    warm_up_steps: int = 500
    final_rate: float = 1e-3
    ema_decay: float = 0.999


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights of the terms (method: VAD, section 6.6) and their thresholds.

    agent_class, agent_box, forecast, forecast_mode: agents and their motion.
    map_class, map_points, map_direction: vector map.
    plan: L1 of the plan of the given command.
    plan_across: distance of the plan from the driven path, whatever the speed (ours; 0 is VAD's own loss).
    plan_boundary, plan_collision, plan_direction: the three vectorised constraints.
    agent_heatmap: centres of agents, for recipes whose queries start at a heat map's peaks (ours).
    bev_raster: dense maps of agents and lines predicted from the BEV by a head that exists in training only
        (ours: it makes small trainings converge; 0 is VAD's own loss).
    signal_ahead: color of the traffic light that counts for the ego, told from the planner's features by a head that
        exists in training only, in roots that say which it is (ours; 0 is VAD's own loss).
    focal_alpha, focal_gamma: of the sigmoid focal losses.
    match_class, match_box, match_map_points: costs of the assignment.
    velocity_weight: of the two velocity entries of a box's code.
    constraint_score: predicted lines and agents below do not constrain the plan.
    boundary_distance_m: a plan nearer to a boundary than this is pushed away.
    collision_side_m, collision_ahead_m: a plan nearer to a vehicle than these, beside and along, is pushed away.
    collision_range_m: vehicles farther than this from the plan's point are left out.
    direction_range_m: a divider farther than this says nothing about the direction.
    still_m: a plan shorter than this has no direction.
    released: reproduce the released code where it errs (parity only).
    """

    agent_class: float = 2.0
    agent_box: float = 0.25
    forecast: float = 0.2
    forecast_mode: float = 0.2
    map_class: float = 2.0
    map_points: float = 1.0
    map_direction: float = 0.005
    plan: float = 1.0
    plan_across: float = 0.0
    plan_boundary: float = 1.0
    plan_collision: float = 1.0
    plan_direction: float = 0.5
    agent_heatmap: float = 1.0
    bev_raster: float = 0.0
    signal_ahead: float = 0.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    match_class: float = 2.0
    match_box: float = 0.25
    match_map_points: float = 1.0
    velocity_weight: float = 0.2
    constraint_score: float = 0.5
    boundary_distance_m: float = 1.0
    collision_side_m: float = 1.5
    collision_ahead_m: float = 3.0
    collision_range_m: float = 3.0
    direction_range_m: float = 2.0
    still_m: float = 1.0
    released: bool = False


@dataclass(frozen=True, slots=True)
class StageSettings:
    """One stage of a training; stages follow each other with an own schedule each.

    name: told in logs and plots.
    steps: optimiser steps.
    plan: whether planning is learnt (else its four terms and the traffic light's are off).
    perception_weight: times the weights of agents, motion and map; with 0 these losses are not computed.
    rate: times the learning rate.
    frozen: parts of the network that are not trained: "backbone", "neck", "bev_encoder", "agent_decoder",
        "map_decoder", "motion", "planner". With all of them the driver's losses are not computed.
    driver_rate: times `rate`, for the driver's parameters (trainings with an explainer).
    language: weight of the language loss, in trainings with an explainer.
    language_to_driver: whether the language loss teaches the driver too, or the explainer only.
    alignment: times the weights of the alignments, in trainings that have them; 0 leaves them out of the stage.
    heads_only: of the alignments only their own heads and prompts learn, from what driver and explainer say: while
        these are new, what they ask for is noise.
    """

    name: str = "together"
    steps: int = 1000
    plan: bool = True
    perception_weight: float = 1.0
    rate: float = 1.0
    frozen: tuple[str, ...] = ()
    driver_rate: float = 1.0
    language: float = 1.0
    language_to_driver: bool = True
    alignment: float = 1.0
    heads_only: bool = False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The loop itself.

    seed: of weights, order and augmentation.
    batch_size: clips in one optimiser step, over all processes.
    precision: "bf16" computes in bfloat16 where that is safe (autocast); weights stay float32.
    validate_every, checkpoint_every, draw_every: optimiser steps; 0 only at the end.
    keep_checkpoints: how many of the resumable checkpoints stay.
    best_by: measure of the validation that chooses the best checkpoint; smaller is better.
    threads: CPU threads of each process; 0 leaves torch's choice.
    backbone_weights: file of the backbone's ImageNet weights, where the recipe begins with them
        (`driver.backbone.pretrained`): a state dict of torchvision's ResNet-50. "" takes the installed ones.
    """

    seed: int = 0
    batch_size: int = 8
    precision: PrecisionName = "fp32"
    validate_every: int = 500
    checkpoint_every: int = 100
    draw_every: int = 500
    keep_checkpoints: int = 2
    best_by: str = "score"
    threads: int = 0
    backbone_weights: str = ""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything about a training but the driver's own recipe and the data's place.

    explainer: the language side that is trained with the driver, or none (null).
    texts: what it learns to say; goes with `explainer`.
    alignment: what ties driver and explainer to each other; none (null) builds no alignment at all.
    """

    run: RunSettings = field(default_factory=RunSettings)
    data: DataSettings = field(default_factory=DataSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    stages: tuple[StageSettings, ...] = (StageSettings(),)
    explainer: ExplainerConfig | None = None
    texts: TextSettings | None = None
    alignment: AlignmentSettings | None = None
