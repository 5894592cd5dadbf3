"""All alignments together: what they learn, whom they teach, and what they do without words."""

from __future__ import annotations

import dataclasses

import alignment_helpers as helpers
import pytest
import torch
from alignment_helpers import FLOATS, built, made_up, only, with_gradients

from aln_p3_core.alignment.alignment import Alignment
from aln_p3_core.alignment.io import AlignmentInputs
from aln_p3_core.alignment.settings import AlignmentSettings
from aln_p3_core.errors import ConfigError, DataError

TERMS = ("p1a", "p2a", "p3a")
VISION = {
    "p1a": ("instances_PD",),
    "p2a": ("motion_PM2D", "mode_logits_PM", "trajectories_PMT2"),
    "p3a": ("ego_B2D", "plan_BT2"),
}
LANGUAGE = {"p2a": "motion_states_PE", "p3a": "explanation_states_BE"}
EMBEDDING = {"p2a": "motion_embeddings_PW", "p3a": "explanation_embeddings_BW"}


def learned(module: Alignment, steps: int, batch: int = 32) -> dict[str, float]:
    """Measures on pairs that were not learnt."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    seen = made_up(1024, 1024, seed=1)
    for step in range(steps):
        rows = slice(step * batch % 1024, step * batch % 1024 + batch)
        optimizer.zero_grad()
        module(helpers.part(seen, rows, rows)).total.backward()
        optimizer.step()
    module.eval()
    return {name: float(value) for name, value in module(made_up(100, 100, seed=2)).measures.items()}


def test_texts_find_their_partners_with_the_default_settings() -> None:
    found = learned(built(), steps=160)
    for term in TERMS:
        assert found[f"{term}.pairs"] == 100 and found[f"{term}.chance"] < 0.1
        assert found[f"{term}.retrieval"] > 0.5, found


@pytest.mark.parametrize("changes", [{"pool__residual": True}, {"pool__share_sides": False, "pool__share_terms": True}])
def test_other_pools_learn_too(changes: dict[str, object]) -> None:
    found = learned(built(p1a__weight=0.0, **changes), steps=100)
    assert found["p2a.retrieval"] > 0.4 and found["p3a.retrieval"] > 0.4, found


def test_a_queue_helps_where_a_batch_has_hardly_any_frames() -> None:
    alone = learned(only("p3a", contrast__queue=0), steps=250, batch=2)
    queued = learned(only("p3a", contrast__queue=32), steps=250, batch=2)
    assert queued["p3a.retrieval"] > alone["p3a.retrieval"] + 0.15


@pytest.mark.parametrize("form", ["mse", "cosine", "clip"])
@pytest.mark.parametrize("term", TERMS)
def test_every_form_falls_when_it_is_learnt(term: str, form: str) -> None:
    module, inputs = only(term, form=form, contrast__queue=0), made_up(12, 12)
    optimizer = torch.optim.Adam(module.parameters(), lr=2e-3)
    values = []
    for _ in range(12):
        optimizer.zero_grad()
        result = module(inputs)
        values.append(float(result.total.detach()))
        result.total.backward()
        optimizer.step()
    assert values[-1] < 0.9 * values[0]
    assert ("scale" in str(result.measures)) == (form == "clip")


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("to_driver", [True, False])
@pytest.mark.parametrize("to_explainer", [True, False])
def test_who_learns_is_a_setting(term: str, to_driver: bool, to_explainer: bool) -> None:
    inputs = with_gradients(made_up(6, 6))
    only(term, to_driver=to_driver, to_explainer=to_explainer)(inputs).total.backward()
    reached = {name for name in FLOATS if (grad := getattr(inputs, name).grad) is not None and bool(grad.any())}
    if term == "p1a":
        # The mixer's tokens: the two ways part behind them (test_gradient_routes).
        assert reached == ({"instances_PD"} if to_driver or to_explainer else set())
    else:
        assert reached == {*(VISION[term] if to_driver else ()), *([LANGUAGE[term]] if to_explainer else [])}


@pytest.mark.parametrize("term", ["p2a", "p3a"])
def test_against_the_text_embedding_the_language_model_is_not_asked(term: str) -> None:
    inputs = with_gradients(dataclasses.replace(made_up(6, 6)))
    setattr(inputs, LANGUAGE[term], None)
    result = only(term, language="text")(inputs)
    result.total.backward()
    assert getattr(inputs, VISION[term][0]).grad.any() and float(result.total.detach()) > 0


@pytest.mark.parametrize(("vision", "used"), [("token", 0), ("trajectory", 1)])
def test_one_kind_of_vision_alone(vision: str, used: int) -> None:
    inputs = with_gradients(made_up(6, 6))
    only("p3a", vision=vision)(inputs).total.backward()
    reached = [given is not None and given.grad is not None for given in (inputs.ego_B2D, inputs.plan_BT2)]
    assert reached == [used == 0, used == 1]


@pytest.mark.parametrize("mute", ["no masks", "nothing valid"])
def test_without_words_the_loss_is_zero_and_every_parameter_has_a_gradient(mute: str) -> None:
    inputs = AlignmentInputs()
    if mute == "nothing valid":
        inputs = with_gradients(made_up(4, 3))
        inputs.caption_valid_P = inputs.motion_valid_P = torch.zeros(4, dtype=torch.bool)
        inputs.explanation_valid_B = torch.zeros(3, dtype=torch.bool)
    module = built(p1a__form="clip")
    result = module(inputs)
    result.total.backward()
    assert float(result.total.detach()) == 0
    assert all(p.grad is not None and not p.grad.any() for p in module.parameters())
    assert result.measures["p1a.pairs"] == 0 and result.measures["p1a.retrieval"].isnan()


def test_rows_without_words_count_as_if_they_were_not_there() -> None:
    inputs = made_up(7, 7)
    module = built(p1a__form="clip").eval()
    wanted = module(helpers.part(inputs, slice(0, 4), slice(0, 4)))
    few = torch.arange(7) < 4
    inputs.caption_valid_P = inputs.motion_valid_P = inputs.explanation_valid_B = few
    for name in FLOATS:
        getattr(inputs, name)[4:] = torch.nan
    found = module(inputs)
    torch.testing.assert_close(found.total, wanted.total)
    assert found.total.isfinite() and found.measures.keys() == wanted.measures.keys()


def test_one_pair_alone_has_nothing_to_be_told_from() -> None:
    inputs = with_gradients(made_up(1, 1))
    result = built(p1a__weight=0.0)(inputs)
    result.total.backward()
    assert float(result.total.detach()) == 0 and inputs.ego_B2D.grad.isfinite().all()  # type: ignore[union-attr]


def test_total_is_the_sum_of_weighted_terms() -> None:
    inputs = made_up(5, 5)
    once, thrice = built(p3a__weight=0.1).eval()(inputs), built(p3a__weight=0.3).eval()(inputs)
    torch.testing.assert_close(3 * once.terms["p3a"], thrice.terms["p3a"])
    torch.testing.assert_close(once.total, torch.stack(list(once.terms.values())).sum())
    assert not any(value.requires_grad for value in (*once.terms.values(), *once.measures.values()))


def test_a_term_without_weight_is_not_built_and_changes_nothing_else() -> None:
    torch.manual_seed(3)
    ahead = torch.rand(4)
    torch.manual_seed(3)
    full = Alignment(AlignmentSettings(), helpers.WIDTHS)
    assert torch.equal(torch.rand(4), ahead), "building moved torch's random numbers"
    alone, all_of_them = only("p3a").state_dict(), built().state_dict()
    assert alone and not any(name.startswith(("p1a", "p2a")) for name in alone)
    assert all(torch.equal(value, all_of_them[name]) for name, value in alone.items())
    assert len(list(full.parameters())) > len(alone)
    nothing = built(p1a__weight=0.0, p2a__weight=0.0, p3a__weight=0.0)
    assert not list(nothing.parameters()) and float(nothing(made_up(2, 2)).total) == 0


def test_shared_pools_are_one() -> None:
    assert len(built(pool__share_terms=True).pools) == 1 and len(built().pools) == 2


def test_computed_in_float32_under_autocast() -> None:
    module, inputs = built().eval(), made_up(5, 5)
    wanted = module(inputs).total
    with torch.autocast("cpu", torch.bfloat16):
        found = module(inputs).total
    torch.testing.assert_close(found, wanted)


def test_what_is_missing_or_misshapen_is_named() -> None:
    inputs = made_up(3, 3)
    inputs.motion_states_PE = None
    with pytest.raises(DataError, match="motion_states_PE"):
        built()(inputs)
    inputs = made_up(3, 3)
    inputs.ego_B2D = torch.zeros(3, 5)
    with pytest.raises(DataError, match=r"ego_B2D of \[rows, 16\], got \[3, 5\]"):
        built()(inputs)


@pytest.mark.parametrize(
    "changes",
    [
        {"p2a__weight": -1.0},
        {"p3a__contrast__scale": 200.0},
        {"pool__width": 7},
        {"pool__gain": 0.0},
        {"p2a__contrast__duplicate_similarity": -1.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        built(**changes)
