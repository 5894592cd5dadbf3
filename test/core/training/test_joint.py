"""Driver, explainer and alignments as one module: where gradients go, and what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from clip_helpers import random_batch
from torch import Tensor
from words_helpers import small_joint

from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.errors import CheckpointError
from aln_p3_core.explainer.prompts import prompt_for
from aln_p3_core.explainer.tasks import Task
from aln_p3_core.training.batch import TrainingBatch
from aln_p3_core.training.explainer_side import ExplainerSide, joint_module
from aln_p3_core.training.forward import clip_outputs
from aln_p3_core.training.frame_texts import AgentCaption, FrameTexts, TextItem
from aln_p3_core.training.joint import JointModule
from aln_p3_core.training.settings import PARTS, StageSettings

FROZEN = StageSettings(name="align", plan=False, perception_weight=0.0, frozen=PARTS)


def made(models: Path, seed: int = 0, **overrides: Any) -> JointModule:
    driver, config = small_joint(models, **overrides)
    torch.manual_seed(seed)
    return joint_module(driver, config, DriverNetwork(driver, load_pretrained=False))


def spoken_batch(module: JointModule) -> TrainingBatch:
    batch = random_batch(module.network.config)
    batch.texts = [
        FrameTexts(
            (
                TextItem(Task.EXPLANATION, prompt_for(Task.EXPLANATION), f"Narration: it goes {i}. Reasoning: so."),
                TextItem(Task.CAPTION, prompt_for(Task.CAPTION), pick=0.9),
                TextItem(Task.MOTION, prompt_for(Task.MOTION), pick=0.2),
                TextItem(Task.QUESTION, "How many cars?", f"{i}"),
            ),
            tuple(AgentCaption(agent, f"Car {agent} of {i} drives", f"drives {agent} {i}") for agent in range(3)),
            f"Narration: it goes {i}. Reasoning: so.",
        )
        for i in range(2)
    ]
    return batch


def gradients(module: JointModule, stage: StageSettings, batch: TrainingBatch | None = None) -> dict[str, Tensor]:
    """Of one step, by parameter; parameters without one are left out."""
    module.begin_stage(stage)
    module.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    loss, _ = module(batch or spoken_batch(module), stage)
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def moved(found: dict[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) and bool(value.any()) for name, value in found.items())


def test_terms_are_named_and_sum_to_the_loss(models: Path) -> None:
    module = made(models)
    stage = StageSettings(name="joint")
    module.begin_stage(stage)
    loss, terms = module(spoken_batch(module), stage)
    assert float(loss.detach()) == pytest.approx(sum(map(float, terms.values())), rel=1e-5)
    assert {f"language.{task.value}" for task in Task} | {"align.p1a", "align.p2a", "align.p3a", "plan"} <= set(terms)
    for name in ("language.explanation", "language.caption", "language.motion", "align.p1a", "align.p2a", "align.p3a"):
        assert float(terms[name]) > 0, name
    assert float(terms["language.plan"]) == 0
    assert module.measures["align.p1a.pairs"] == 6 and module.measures["align.p3a.pairs"] == 2


def test_shuffled_words_are_aligned_and_the_true_ones_learnt(models: Path) -> None:
    true, mixed = made(models), made(models, alignment__shuffled_words=True)
    stage = StageSettings(name="joint")
    told = []
    for module in (true, mixed):
        module.begin_stage(stage)
        torch.manual_seed(0)
        told.append(module(spoken_batch(module), stage)[1])
    terms = {name for name, value in told[0].items() if not torch.equal(value, told[1][name])}
    assert terms == {"align.p1a", "align.p2a", "align.p3a"}
    # In evaluation nothing is a control. The queues hold the same texts in another order, which may move a last digit.
    words = [module.eval()(spoken_batch(module), stage)[1] for module in (true, mixed)]
    for name in terms:
        torch.testing.assert_close(words[0][name], words[1][name])


@pytest.mark.parametrize(("term", "side"), [("p2a", "motion"), ("p3a", "planner")])
@pytest.mark.parametrize(("to_driver", "to_explainer"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("language_to_driver", [True, False])
def test_p2a_and_p3a_teach_whom_they_shall(
    models: Path, term: str, side: str, to_driver: bool, to_explainer: bool, language_to_driver: bool
) -> None:
    """Neither the features nor the tokens that the words were told from may lead back where they must not."""
    others: dict[str, Any] = {f"alignment__{name}__weight": 0.0 for name in ("p1a", "p2a", "p3a") if name != term}
    own = {f"alignment__{term}__to_driver": to_driver, f"alignment__{term}__to_explainer": to_explainer}
    module = made(models, **others, **own)
    module.begin_stage(StageSettings())
    batch = spoken_batch(module)
    outputs = clip_outputs(module.network, batch)
    words = module.read(outputs, batch.targets, batch.texts, to_driver=language_to_driver)
    module.aligned(words, outputs).total.backward()
    found = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    assert moved(found, f"network.{side}.") is to_driver
    assert moved(found, "network.") is to_driver
    assert moved(found, "explainer.") is to_explainer
    assert moved(found, f"alignment.{term}.")


def test_what_an_alignment_keeps_from_the_driver_words_still_teach_it(models: Path) -> None:
    """And what is looked at twice is counted once: statistics and random numbers stay those of one look."""
    only: dict[str, Any] = {"alignment__p1a__weight": 0.0, "alignment__p2a__weight": 0.0}
    kept, open_to = (made(models, **only, alignment__p3a__to_driver=way) for way in (False, True))
    stage = StageSettings(plan=False, perception_weight=0.0)
    assert moved(gradients(kept, stage), "network.agent_decoder.")
    after = torch.rand(1)
    gradients(open_to, stage)
    assert torch.equal(after, torch.rand(1))
    spread = [module.explainer.mixer.spread for module in (kept, open_to)]
    torch.testing.assert_close(spread[0].mean, spread[1].mean)
    torch.testing.assert_close(spread[0].variance, spread[1].variance)


def test_every_trained_parameter_gets_a_gradient_and_the_language_model_none(models: Path) -> None:
    module = made(models)
    stage = StageSettings(name="joint")
    for batch in (spoken_batch(module), random_batch(module.network.config)):
        batch.texts = batch.texts or [FrameTexts(), FrameTexts()]
        found = gradients(module, stage, batch)
        frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
        lora = {name for name in found if "lora_" in name}
        assert lora and not any(name.startswith("explainer.language_model.") for name in found.keys() - lora)
        wanted = {name for name, _ in module.named_parameters() if name.startswith(("explainer.", "alignment."))}
        assert wanted - frozen <= set(found)


def test_a_frozen_driver_stays_and_its_losses_are_left_out(models: Path) -> None:
    module = made(models)
    module.begin_stage(FROZEN)
    batch = spoken_batch(module)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    _, terms = module(batch, FROZEN)
    assert not any(name.startswith(("plan", "agent", "map")) for name in terms)
    found = gradients(module, FROZEN)
    assert not moved(found, "network.") and not moved(found, "criterion.")
    assert moved(found, "explainer.mixer.") and moved(found, "alignment.p3a")
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())


def test_language_teaches_the_driver_only_where_it_may(models: Path) -> None:
    """With words alone in the loss, the driver's gradient is theirs."""
    words: dict[str, Any] = {f"alignment__{term}__weight": 0.0 for term in ("p1a", "p2a", "p3a")}
    module = made(models, **words)
    stage = StageSettings(plan=False, perception_weight=0.0)
    assert moved(gradients(module, stage), "network.agent_decoder.")
    closed = StageSettings(plan=False, perception_weight=0.0, language_to_driver=False)
    found = gradients(module, closed)
    assert not moved(found, "network.") and moved(found, "explainer.")


@pytest.mark.parametrize(("to_driver", "to_explainer"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("language_to_driver", [True, False])
def test_p1a_teaches_whom_it_shall(models: Path, to_driver: bool, to_explainer: bool, language_to_driver: bool) -> None:
    module = made(
        models,
        alignment__p2a__weight=0.0,
        alignment__p3a__weight=0.0,
        alignment__p1a__to_driver=to_driver,
        alignment__p1a__to_explainer=to_explainer,
    )
    stage = StageSettings(plan=False, perception_weight=0.0, language=0.0, language_to_driver=language_to_driver)
    found = gradients(module, stage)
    assert moved(found, "network.agent_decoder.") is to_driver
    assert moved(found, "explainer.mixer.instance.") is to_explainer
    assert moved(found, "alignment.p1a.")


def test_without_alignment_weights_the_same_is_learnt_as_without_alignment(models: Path) -> None:
    weights: dict[str, Any] = {f"alignment__{term}__weight": 0.0 for term in ("p1a", "p2a", "p3a")}
    none = made(models, **weights)
    absent = made(models, alignment=None)
    stage = StageSettings(name="joint")
    one, two = gradients(none, stage), gradients(absent, stage)
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_new_heads_may_learn_before_anybody_listens_to_them(models: Path) -> None:
    none: dict[str, Any] = {f"alignment__{term}__weight": 0.0 for term in ("p1a", "p2a", "p3a")}
    stage = StageSettings(name="joint", heads_only=True)
    found, without = gradients(made(models), stage), gradients(made(models, **none), stage)
    heads = {name for name in found if name.startswith("alignment.")}
    assert {name.split(".")[1] for name in heads if bool(found[name].any())} >= {"p1a", "p2a", "p3a"}
    assert found.keys() - heads == without.keys()
    for name, value in without.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_without_words_the_driver_learns_as_alone(models: Path) -> None:
    module = made(models)
    stage = StageSettings(language=0.0, alignment=0.0)
    found = gradients(module, stage)
    assert not moved(found, "explainer.") and moved(found, "network.planner.")
    _, terms = module(spoken_batch(module), stage)
    assert not any(name.startswith(("language", "align")) for name in terms)


def test_what_is_saved_leaves_the_language_model_out_and_comes_back(models: Path) -> None:
    one, two = made(models), made(models, seed=1)
    state = one.saved_state()
    assert not any(name.startswith("explainer.language_model") and "lora_" not in name for name in state)
    two.load_saved_state(state)
    again = two.saved_state()
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
    with pytest.raises(CheckpointError, match="of another module"):
        two.load_saved_state({name: value for name, value in state.items() if name != "alignment.p1a.head.0.weight"})


def test_averaged_weights_speak_within_and_the_own_ones_come_back(models: Path) -> None:
    module = made(models)
    side = ExplainerSide(module, decay=0.9)
    side.update()
    module.begin_stage(StageSettings())
    with torch.no_grad():
        for parameter in module.explainer.mixer.parameters():
            parameter.add_(1.0)
    own = {name: value.clone() for name, value in module.explainer.trained_state_dict().items()}
    with side.averaged():
        inside = module.explainer.trained_state_dict()
        assert all(torch.equal(inside[name], value) for name, value in side.average.tensors.items())
        assert not module.training
        losses = side.losses(_outputs(module), spoken_batch(module), StageSettings())
        assert losses["language"] > 0 and losses["language.plan"] != losses["language.plan"]
    assert all(torch.equal(value, own[name]) for name, value in module.explainer.trained_state_dict().items())
    assert module.training


def test_a_blind_explainer_is_seen(models: Path) -> None:
    module = made(models)
    side = ExplainerSide(module, decay=0.0)
    module.begin_stage(StageSettings())
    outputs, batch = _outputs(module), spoken_batch(module)
    with side.averaged():
        reading = side.losses(outputs, batch, StageSettings())["language.reading"]
        module.explainer.mixer.spread.gain.zero_()  # all scenes have the base alone
        blind = side.losses(outputs, batch, StageSettings())["language.reading"]
    assert abs(reading) > 1e-6 and abs(blind) < 1e-6


def _outputs(module: JointModule) -> Any:

    return clip_outputs(module.network, spoken_batch(module))
