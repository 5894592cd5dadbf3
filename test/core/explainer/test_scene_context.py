from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from drawing_helpers import grey_frame
from explainer_helpers import made_up_context
from network_helpers import small_config, small_inputs, small_network

from aln_p3_core.driver.io import DriverOutputs
from aln_p3_core.driver.scene_builder import build_scene
from aln_p3_core.errors import DataError
from aln_p3_core.explainer.scene_context import (
    agent_rows,
    context_from_outputs,
    context_from_scene,
    join_contexts,
)
from aln_p3_core.explainer.settings import EXPLAINERS
from aln_p3_core.frame import Command, RouteCommand
from aln_p3_core.scene import DrivingScene

_CONFIG = replace(EXPLAINERS["nano"], max_agents=4, agent_score=0.0)


@pytest.fixture(scope="module")
def driven() -> tuple[DriverOutputs, DrivingScene]:
    """A small untrained driver's outputs of one frame, and the scene made of them, for the command "left"."""
    config = small_config()
    outputs = small_network(config)(small_inputs(config))
    # An untrained network's weights are all but alike; what it says of a box must not be.
    torch.manual_seed(1)
    boxes = outputs.agent_boxes_LBQ10
    outputs.agent_boxes_LBQ10 = boxes + 0.3 * torch.randn(boxes.shape)
    frame = replace(grey_frame(config.cameras), command=RouteCommand(Command.LEFT))
    with torch.no_grad():
        return outputs, build_scene(config, outputs, frame, with_tokens=True)


def test_scene_and_outputs_give_the_same_context(driven: tuple[DriverOutputs, DrivingScene]) -> None:
    outputs, scene = driven
    config = replace(_CONFIG, mixer=replace(_CONFIG.mixer, map_tokens=2))
    from_scene = context_from_scene(scene, config)
    queries = torch.from_numpy(scene.agents.query_ids[agent_rows(scene, config)])[None]
    valid, left = torch.ones_like(queries, dtype=torch.bool), torch.tensor([Command.LEFT.value])
    from_outputs = context_from_outputs(outputs, queries, valid, left, with_map=True)
    assert queries.shape == (1, 4)
    for field in fields(from_scene):
        told, computed = getattr(from_scene, field.name), getattr(from_outputs, field.name)
        torch.testing.assert_close(told, computed, rtol=1e-5, atol=1e-5, msg=field.name)
    assert from_scene.map_BVD is not None
    others = context_from_outputs(outputs, queries, valid, torch.tensor([Command.RIGHT.value]))
    assert not torch.allclose(others.plan_BT2, from_outputs.plan_BT2) and others.map_BVD is None


def test_padding_is_zero_and_gradients_reach_the_driver(driven: tuple[DriverOutputs, DrivingScene]) -> None:
    outputs, _ = driven
    queries, valid = torch.tensor([[3, 7, 0]]), torch.tensor([[True, True, False]])
    context = context_from_outputs(outputs, queries, valid, torch.tensor([0]))
    assert not context.agents_BAD[0, 2].any() and not context.agent_boxes_BA10[0, 2].any()
    states = outputs.agent_states_BQD
    (gradient,) = torch.autograd.grad(context.agents_BAD.sum(), states, retain_graph=True)
    assert sorted(set(gradient.nonzero()[:, 1].tolist())) == [3, 7]
    sources = (outputs.bev_BRSD, outputs.motion_BQM2D, outputs.ego_features_B2D, outputs.plan_offsets_B3T2)
    total = context.bev_BRSD.sum() + context.motion_BAM2D.sum() + context.ego_B2D.sum() + context.plan_BT2.sum()
    assert all(g.any() for g in torch.autograd.grad(total, sources, retain_graph=True))


def test_score_and_number_limit_the_agents(driven: tuple[DriverOutputs, DrivingScene]) -> None:
    _, scene = driven
    middle = float(np.sort(scene.agents.scores)[-3])
    assert agent_rows(scene, _CONFIG).tolist() == [0, 1, 2, 3]
    assert agent_rows(scene, replace(_CONFIG, agent_score=middle)).tolist() == [0, 1, 2]
    nobody = context_from_scene(scene, replace(_CONFIG, agent_score=1.0))
    assert nobody.agent_boxes_BA10.shape == (1, 0, 10) and len(nobody) == 1


def test_a_scene_without_tokens_is_refused(driven: tuple[DriverOutputs, DrivingScene]) -> None:
    with pytest.raises(DataError, match="with tokens"):
        context_from_scene(replace(driven[1], tokens=None), _CONFIG)


def test_select_repeats_scenes() -> None:
    context = made_up_context(2)
    chosen = context.select(torch.tensor([1, 0, 1]))
    assert len(chosen) == 3 and torch.equal(chosen.ego_B2D[2], context.ego_B2D[1])
    chosen.ego_B2D.sum().backward()
    assert context.ego_B2D.grad is not None and context.ego_B2D.grad[:, 0].tolist() == [1.0, 2.0]
    assert not context.detach().ego_B2D.requires_grad


def test_joined_contexts_are_padded() -> None:
    one, two = made_up_context(scenes=1, agents=3), made_up_context(scenes=2, agents=5)
    joined = join_contexts([one, two])
    assert len(joined) == 3 and joined.agents_BAD.shape[1] == 5
    assert not joined.agent_valid_BA[0, 3:].any() and not joined.agent_boxes_BA10[0, 3:].any()
    for field in fields(joined):
        first, rest, all_of_it = (getattr(context, field.name) for context in (one, two, joined))
        if first is None:
            assert all_of_it is None
            continue
        assert torch.equal(all_of_it[1:], rest)
        assert torch.equal(all_of_it[:1, : first.shape[1]] if "_BA" in field.name else all_of_it[:1], first)
