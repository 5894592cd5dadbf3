"""The interventions on a real explainer with random weights: it talks nonsense, the machinery is the real one."""

from __future__ import annotations

from pathlib import Path

import torch
from consistency_helpers import made_agents, made_plan, made_scene
from explainer_helpers import BEV_SHAPE, MODES, WIDTH, tiny_explainer

from aln_p3_core.evaluation.language import intervention
from aln_p3_core.evaluation.language.intervention import NamedScene, flip_commands, mask_causes
from aln_p3_core.explainer.scene_context import context_from_scene

_PLANS = (made_plan(6.0, turned=-1.2), made_plan(6.0, turned=1.2), made_plan(6.0))


def test_an_untrained_explainer_goes_through_both(tiny_language: Path) -> None:
    explainer = tiny_explainer(tiny_language).eval()
    agents = made_agents(("car", 0.0, 12.0, 0.0, 0.0), ("bus", 0.5, 20.0, 0.0, 0.0))
    scenes = [
        NamedScene("drive", made_scene(agents, _PLANS, token=str(i), width=WIDTH, modes=MODES, bev_shape=BEV_SHAPE))
        for i in range(3)
    ]
    masked = mask_causes(explainer, scenes, max_new_tokens=6)
    assert masked.scenes == 3 and masked.texts == ()
    flipped = flip_commands(explainer, scenes, batch=4, max_new_tokens=6)
    assert len(flipped.texts) == 3 and flipped.follows.mean == 0.0
    assert len({text.text for text in flipped.texts}) == 1


def test_what_is_masked_reaches_the_language_model(tiny_language: Path) -> None:
    """Its context changes with the masked agent, by the BEV form once more, and with the plan."""
    explainer = tiny_explainer(tiny_language).eval()
    agents = made_agents(("car", 0.0, 12.0, 0.0, 0.0), ("bus", 0.5, 20.0, 0.0, 0.0))
    scene = made_scene(agents, _PLANS, width=WIDTH, modes=MODES, bev_shape=BEV_SHAPE)
    context = context_from_scene(scene, explainer.config)
    read = [
        explainer.mixer(one, torch.tensor([0]), torch.tensor([-1])).context_XKE
        for one in (
            context,
            intervention.without_agent(context, 0),
            intervention.without_agent(context, 0, form="bev"),
            intervention.with_plan(context, _PLANS[0]),
        )
    ]
    assert all(not a.allclose(b) for k, a in enumerate(read) for b in read[:k])
