"""Settings that contradict each other are refused at once."""

from typing import Any

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.training.recipes import TRAINING_RECIPES, training_recipe
from aln_p3_core.training.settings import PARTS
from aln_p3_core.training.settings_check import check_settings, check_shuffled


@pytest.mark.parametrize("name", TRAINING_RECIPES)
def test_the_recipes_are_fine(name: str) -> None:
    check_settings(*training_recipe(name))


def test_a_driver_that_stays_as_it_is_chooses_no_checkpoint() -> None:
    """Its score is the same at every validation, so that the first one would be the best."""
    trainings = {name: training_recipe(name)[1] for name in TRAINING_RECIPES}
    staying = {
        name: training.run.best_by
        for name, training in trainings.items()
        if all(set(stage.frozen) >= set(PARTS) for stage in training.stages)
    }
    assert "nano_speak" in staying
    assert all(measure.startswith("language") for measure in staying.values()), staying


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("nano", {"stages.0.frozen": ["neck", "bev"]}, "stages.0.frozen names bev; there are backbone"),
        ("nano", {"augmentation.flip_probability": 0.5}, "mirrors the traffic's side"),
        ("nano", {"run.best_by": "car_ap_2m"}, "no measure to minimise; there are score, plan_l2"),
        ("tiny", {"run.best_by": "plan_l2_withheld"}, "no measure to minimise"),
        (
            "nano",
            {"run.backbone_weights": "a.pth", "driver.backbone.pretrained": False},
            "names weights that driver.backbone.pretrained=false would not load",
        ),
        ("nano", {"run.batch_size": 0}, "run.batch_size must be 1 or more"),
        (
            "nano_joint",
            {"run.batch_size": 1, "alignment.shuffled_words": True},
            "alignment.shuffled_words takes the words of the other frames",
        ),
        ("nano", {"stages.0.steps": 0}, "stages.0.steps must be 1 or more"),
        ("nano", {"run.best_by": "language"}, "no measure to minimise"),
        ("nano_joint", {"explainer": None}, "need an explainer"),
        ("nano_joint", {"texts": None}, "needs texts"),
        (
            "nano_joint",
            {"data.store": "perception"},
            r"what the explainer reads.*stages\.1\.frozen to .*planner",
        ),
        ("nano_joint", {"data.store": "bev"}, r"add backbone, neck, bev_encoder to stages\.1\.frozen"),
        ("nano_planner", {"stages.0.frozen": ["neck"]}, r"what the planner reads.*stages\.0\.frozen to backbone"),
        ("nano_planner", {"stages.0.perception_weight": 1.0}, "trains no perception"),
        ("nano_speak", {"augmentation.flip_probability": 0.5}, "left and right"),
        ("nano_joint", {"texts.per_frame": 0}, "texts.per_frame must be 1 or more"),
        ("nano_joint", {"texts.shares.caption": -1.0}, r"texts\.shares\.caption must be 0 or more, got -1"),
        ("nano_joint", {"stages.1.driver_rate": -1.0}, r"stages\.1\.driver_rate must be 0 or more"),
        ("nano_joint", {"alignment.pool.prompts": 1}, "pool.prompts must be at least 2"),
        ("nano", {"optimizer.learning_rate": 0}, "optimizer.learning_rate must be above 0, got 0"),
        ("nano", {"optimizer.learning_rate": -1e-4}, "optimizer.learning_rate must be above 0, got -0.0001"),
        ("nano", {"optimizer.ema_decay": 1.0}, "ema_decay must be 0 or more and below 1, got 1"),
        ("nano", {"stages.0.rate": 0.0}, r"stages\.0\.rate must be above 0"),
        ("nano", {"run.seed": -1}, "run.seed must be 0 or more and at most 4294967295, got -1"),
        ("nano", {"run.seed": 2**32}, "run.seed must be 0 or more and at most 4294967295"),
        ("nano", {"run.threads": -2}, "run.threads must be 0 or more"),
        ("nano", {"data.workers": -1}, "data.workers must be 0 or more"),
        ("nano", {"data.prefetch": 0}, "data.prefetch must be 1 or more"),
        ("nano", {"data.balance_speeds": 1.5}, "data.balance_speeds must be 0 or more and at most 1"),
        ("nano", {"losses.plan": -1.0}, "losses.plan must be 0 or more"),
    ],
)
def test_refusals(recipe: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings(*training_recipe(recipe, changes))


def test_every_process_has_other_frames_whose_words_it_can_take() -> None:
    """Two processes with a frame each would align it with its own words, and the control would be none."""
    shuffled = {"alignment.shuffled_words": True}
    two, four = (training_recipe("nano_joint", {**shuffled, "run.batch_size": size})[1] for size in (2, 4))
    check_shuffled(two, processes=1)
    check_shuffled(four, processes=2)
    with pytest.raises(ConfigError, match=r"run\.batch_size must be 4 or more"):
        check_shuffled(two, processes=2)
    check_shuffled(training_recipe("nano_joint", {"run.batch_size": 2})[1], processes=2)


def test_what_is_right_for_one_recipe() -> None:
    check_settings(*training_recipe("nano", {"run.best_by": "plan_l2_3s_withheld"}))
    check_settings(*training_recipe("nano", {"augmentation.flip_probability": 0.5, "stages.0.plan": False}))
    check_settings(*training_recipe("nano_joint", {"run.best_by": "language.explanation"}))
    behind = {"data.store": "bev", "stages.1.frozen": ["backbone", "neck", "bev_encoder"]}
    check_settings(*training_recipe("nano_joint", behind))
    # The driver alone, on the same data and steps.
    check_settings(*training_recipe("nano_joint", {"explainer": None, "texts": None, "alignment": None}))
