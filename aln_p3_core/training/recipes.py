"""How the drivers are trained, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aln_p3_core.alignment.settings import AlignmentSettings
from aln_p3_core.config import DriverConfig, get_recipe
from aln_p3_core.config import with_overrides as with_driver_overrides
from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.settings import get_explainer_recipe
from aln_p3_core.training.settings import (
    PARTS,
    AugmentationSettings,
    DataSettings,
    LossSettings,
    OptimizerSettings,
    RunSettings,
    StageSettings,
    TrainingConfig,
)
from aln_p3_core.training.settings_tree import with_settings
from aln_p3_core.training.text_settings import TextSettings, TextShares

#: Settings of the driver itself carry this in front of their names.
DRIVER_PREFIX = "driver."

#: Driver recipe of a training, where it has another name.
_DRIVERS = {"nano_planner": "nano", "nano_speak": "nano", "nano_joint": "nano", "aln_p3_base": "base"}

# nuScenes has 28130 training samples; VAD's 60 epochs with eight samples a step.
_VAD_STEPS = 28130 * 60 // 8
_VAD = TrainingConfig(
    run=RunSettings(validate_every=3516, checkpoint_every=500, draw_every=3516, precision="bf16"),
    data=DataSettings(clip_frames=3, workers=4, balance_commands=0.0, balance_speeds=0.0),
    augmentation=AugmentationSettings(photometric_probability=1.0, camera_dropout_probability=0.0),
    losses=LossSettings(agent_heatmap=0.0),
    stages=(StageSettings(name="end_to_end", steps=_VAD_STEPS),),
)

# The explainer learns while the driver stays as it is.
_ALIGN = StageSettings(name="align", plan=False, perception_weight=0.0, frozen=PARTS)
# All learn together; the driver slowly, since it can drive already.
_JOINT = StageSettings(name="joint", driver_rate=0.1)

# On the shipped driver, for two CPU cores. Its loss is that of `nano` and `nano_planner` together, without the dense
# maps, whose head would have to be learnt anew.
_NANO_WORDS = TrainingConfig(
    run=RunSettings(batch_size=8, validate_every=200, checkpoint_every=100, draw_every=200),
    data=DataSettings(
        store="features", clip_frames=2, clip_spares=0, validation_samples=120, balance_commands=0.35,
        balance_speeds=0.35, hidden_causes=("route_end",),
    ),
    augmentation=AugmentationSettings(
        photometric_probability=0.0, grid_mask_probability=0.0, ego_status_dropout_probability=0.5
    ),
    optimizer=OptimizerSettings(
        learning_rate=5e-4, backbone_rate=0.2, warm_up_steps=50, final_rate=0.02, ema_decay=0.99
    ),
    losses=LossSettings(map_points=3.0, match_map_points=3.0, plan=4.0, plan_across=2.0, signal_ahead=1.0),
    explainer=get_explainer_recipe("nano"),
    texts=TextSettings(),
    alignment=AlignmentSettings(),
)  # fmt: skip

TRAINING_RECIPES: dict[str, TrainingConfig] = {
    # For two CPU cores and an evening: the lower half of the backbone stays as ImageNet left it, so that its output is
    # computed once; the dense losses make up for the few epochs. No frame of a clip is left out: without ego status the
    # speed is what the memory tells, and it would tell two speeds (at 10 Hz the memory of 0.5 s ago is read as well).
    "nano": TrainingConfig(
        run=RunSettings(batch_size=8, validate_every=400, checkpoint_every=100, draw_every=400),
        data=DataSettings(
            store="features", clip_frames=2, clip_spares=0, validation_samples=240, balance_commands=0.35,
            balance_speeds=0.35, hidden_causes=("route_end",),
        ),
        augmentation=AugmentationSettings(
            photometric_probability=0.0, grid_mask_probability=0.0, ego_status_dropout_probability=0.5
        ),
        optimizer=OptimizerSettings(learning_rate=5e-4, backbone_rate=0.2, warm_up_steps=200, final_rate=0.02),
        losses=LossSettings(bev_raster=1.0, map_points=3.0, match_map_points=3.0, plan=4.0),
        stages=(StageSettings(name="together", steps=3000),),
    ),
    # The planner alone, on what a trained perception says: seconds an epoch. Follows `nano`, with --init.
    "nano_planner": TrainingConfig(
        run=RunSettings(batch_size=64, validate_every=250, checkpoint_every=250, draw_every=1000),
        data=DataSettings(store="perception", balance_commands=0.35, balance_speeds=0.35, hidden_causes=("route_end",)),
        augmentation=AugmentationSettings(
            photometric_probability=0.0, grid_mask_probability=0.0, ego_status_dropout_probability=0.5
        ),
        optimizer=OptimizerSettings(learning_rate=1e-3, warm_up_steps=100, final_rate=0.02),
        losses=LossSettings(plan=4.0, plan_across=2.0, signal_ahead=1.0),
        stages=(
            StageSettings(
                name="planner", steps=2000, perception_weight=0.0,
                frozen=("backbone", "neck", "bev_encoder", "agent_decoder", "map_decoder", "motion"),
            ),
        ),
    ),
    # The explainer on a driver that stays as it is: follows the driver's training, with --init.
    "nano_speak": replace(
        _NANO_WORDS,
        run=replace(_NANO_WORDS.run, best_by="language"),  # the driver's score stays as it is
        data=replace(_NANO_WORDS.data, store="perception"),
        stages=(replace(_ALIGN, steps=600),),
    ),
    # The same, and then both together.
    "nano_joint": replace(_NANO_WORDS, stages=(replace(_ALIGN, steps=200), replace(_JOINT, steps=400))),
    "tiny": _VAD,
    "base": with_settings(_VAD, {"data.clip_frames": 4}),
    # Full size: follows `base`, with --init. Five passes as Hint-AD, then ten as MTA; their rate, and up to 20 texts.
    "aln_p3_base": replace(
        _VAD,
        data=replace(_VAD.data, clip_frames=4, validation_samples=600),
        stages=(replace(_ALIGN, steps=28130 * 5 // 8), replace(_JOINT, steps=28130 * 10 // 8)),
        explainer=get_explainer_recipe("base"),
        texts=TextSettings(
            per_frame=20, pairs=32, shares=TextShares(caption=0.3, question=0.3, drivelm=0.15, command=0.05)
        ),
        alignment=AlignmentSettings(text_encoder="openai/clip-vit-large-patch14"),
    ),
}  # fmt: skip


def training_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> tuple[DriverConfig, TrainingConfig]:
    """The driver and the training of a recipe, with dotted settings changed.

    `{"driver.bev.rows": 40}` changes the driver, `{"optimizer.learning_rate": 1e-4}` the training.

    Raises:
        ConfigError: for an unknown recipe or setting, or a value of the wrong kind.
    """
    if name not in TRAINING_RECIPES:
        raise ConfigError(f"no training is named {name!r}; there are {', '.join(TRAINING_RECIPES)}")
    driver = get_recipe(_DRIVERS.get(name, name))
    # A training begins as VAD's did. The recipe itself has no such weights: where nothing is learnt, all are loaded.
    driver = replace(driver, backbone=replace(driver.backbone, pretrained=True))
    changes = dict(overrides or {})
    of_driver = {
        key.removeprefix(DRIVER_PREFIX): changes.pop(key) for key in list(changes) if key.startswith(DRIVER_PREFIX)
    }
    return with_driver_overrides(driver, of_driver), with_settings(TRAINING_RECIPES[name], changes)
