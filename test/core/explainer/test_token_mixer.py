from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from explainer_helpers import BEV_SHAPE, STEPS, TINY_MIXER, WIDTH, made_up_context
from torch import Tensor

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer.scene_context import SceneContext
from aln_p3_core.explainer.settings import EXPLAINERS, TokenMixerSettings
from aln_p3_core.explainer.token_mixer import BevTokens, HolisticTokenMixer, sine_embedding


def _mixer(**changes: Any) -> HolisticTokenMixer:
    torch.manual_seed(0)
    settings = replace(TINY_MIXER, **changes)
    sizes = {"driver_width": WIDTH, "steps": STEPS, "bev_shape": BEV_SHAPE}
    mixer = HolisticTokenMixer(settings, **sizes, language_width=24, token_scale=0.1)  # type: ignore[arg-type]
    return mixer.eval()


def _mixed(mixer: HolisticTokenMixer, context: SceneContext, scenes: list[int], focuses: list[int]) -> Tensor:
    return mixer(context, torch.tensor(scenes), torch.tensor(focuses)).context_XKE


@pytest.mark.parametrize(
    "rows, columns", [(50, 50), (100, 100), (200, 200), (20, 12), (16, 8), (3, 3), (4, 11), (25, 50)]
)
def test_any_map_becomes_nine_tokens_and_every_cell_is_read(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    tokens = BevTokens(replace(TINY_MIXER, bev_blocks=0), 8, (rows, columns))
    bev = torch.randn(1, rows, columns, 8, requires_grad=True)
    out = tokens(bev)
    assert out.shape == (1, 9, TINY_MIXER.width)
    # Through the convolutions alone: the norm over the whole map would connect every cell anyway.
    for layer in tokens.convolutions:
        if isinstance(layer, (torch.nn.GroupNorm, torch.nn.ReLU)):
            layer.forward = lambda maps: maps  # type: ignore[method-assign]
    tokens(bev).sum().backward()
    assert bev.grad is not None and bool((bev.grad.abs().sum(dim=-1) > 0).all())


def test_too_small_a_map_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 x 50 cells"):
        BevTokens(TINY_MIXER, 8, (2, 50))


@pytest.mark.parametrize("changes", [{}, {"instance_pooling": "sum"}, {"map_tokens": 3}, {"reads_boxes": False}])
def test_shapes(changes: dict[str, Any]) -> None:
    mixer, context = _mixer(**changes), made_up_context(with_map="map_tokens" in changes)
    mixed = mixer(context, torch.tensor([0, 1, 1]), torch.tensor([-1, 2, -1]))
    assert mixed.context_XKE.shape == (3, mixer.settings.tokens, 24)
    assert mixed.instances_BAI.shape == (2, 4, 16) and mixed.ego_BI.shape == mixed.plan_BI.shape == (2, 16)
    assert torch.equal(mixed.motion_BA2D, context.motion_BAM2D.mean(2))


def test_a_text_gets_the_same_context_alone_and_in_a_batch() -> None:
    mixer, context = _mixer(), made_up_context(3)
    scenes, focuses = [0, 2, 1, 2, 0, 0], [-1, 1, -1, -1, 3, -1]
    together = _mixed(mixer, context, scenes, focuses)
    for x, (scene, focus) in enumerate(zip(scenes, focuses, strict=True)):
        alone = _mixed(mixer, context.select(torch.tensor([scene])), [0], [focus])
        torch.testing.assert_close(together[x], alone[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(together[0], together[5])


@pytest.mark.parametrize("pooling", ["attend", "sum"])
def test_focus_sees_one_object_and_padding_is_never_seen(pooling: str) -> None:
    mixer, context = _mixer(instance_pooling=pooling), made_up_context(2)
    changed = replace(context, agents_BAD=context.agents_BAD.detach().clone())
    changed.agents_BAD[:, 1] += 1.0
    changed.agents_BAD[1, 3] += 5.0  # padding
    same = {True: (0, 2), False: (0, -1)}
    for equal, (scene, focus) in same.items():
        before, after = (_mixed(mixer, c, [scene], [focus]) for c in (context, changed))
        assert torch.allclose(before, after, atol=1e-6) is equal
    only_padding = replace(context, agents_BAD=context.agents_BAD.detach().clone())
    only_padding.agents_BAD[1, 3] += 5.0
    torch.testing.assert_close(_mixed(mixer, context, [1], [-1]), _mixed(mixer, only_padding, [1], [-1]))
    first, second = _mixed(mixer, context, [0, 0], [1, 2])
    assert not torch.allclose(first, second, atol=1e-3)


def test_a_scene_without_agents() -> None:
    empty = made_up_context(1, agents=0)
    mixed = _mixed(_mixer(), empty, [0], [-1])
    assert bool(mixed.isfinite().all())


def test_gradients_reach_every_token_of_the_driver() -> None:
    mixer, context = _mixer(map_tokens=2), made_up_context(2, with_map=True)
    out = _mixed(mixer, context, [0, 1], [-1, -1])
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    sources = (context.bev_BRSD, context.agents_BAD, context.motion_BAM2D, context.agent_boxes_BA10, context.ego_B2D,
               context.plan_BT2, context.map_BVD)  # fmt: skip
    assert all(s is not None and s.grad is not None and bool(s.grad.any()) for s in sources)
    assert all(p.grad is not None for p in mixer.parameters())


def test_context_starts_in_the_size_of_embeddings() -> None:
    deviation = _mixed(_mixer().train(), made_up_context(8), list(range(8)), [-1] * 8).detach().std()
    assert 0.08 < float(deviation) < 0.12


def test_missing_map_tokens_are_told() -> None:
    with pytest.raises(ConfigError, match="map tokens"):
        _mixed(_mixer(map_tokens=1), made_up_context(), [0], [-1])


def test_sine_embedding_tells_places_apart() -> None:
    embedded = sine_embedding(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [30.0, 0.0]]), 32)
    assert embedded.shape == (4, 32)
    assert bool((torch.pdist(embedded) > 0.1).all())
    # y's half first: the same x gives the same second half.
    assert torch.equal(embedded[0, 16:], embedded[2, 16:]) and torch.equal(embedded[0, :16], embedded[1, :16])


@pytest.mark.parametrize(("name", "bev", "width"), [("nano", (50, 50), 128), ("base", (200, 200), 256)])
def test_recipes_build(name: str, bev: tuple[int, int], width: int) -> None:
    settings: TokenMixerSettings = EXPLAINERS[name].mixer
    with torch.device("meta"):
        mixer = HolisticTokenMixer(settings, driver_width=width, steps=6, bev_shape=bev, language_width=576)
    count = sum(p.numel() for p in mixer.parameters())
    assert count < {"nano": 6.2e6, "base": 130e6}[name]


def test_what_all_scenes_share_lies_in_the_base_alone() -> None:
    mixer, context = _mixer().train(), made_up_context(8)
    scenes, focuses = list(range(8)), [-1] * 8
    with torch.no_grad():
        mixer.spread.base.fill_(3.0)
        # However large a part the scenes have in common before it, and however small their differences.
        mixer.out.weight.mul_(0.1)
        mixer.out.bias.fill_(50.0)
        context_XKE = _mixed(mixer, context, scenes, focuses)
    torch.testing.assert_close(context_XKE.mean(dim=0), torch.full_like(context_XKE[0], 3.0), rtol=0, atol=1e-3)
    deviation = context_XKE.std(dim=0, unbiased=False)
    assert deviation.median() == pytest.approx(0.1, rel=0.1), "the gain's"


def test_statistics_are_running_ones_outside_training() -> None:
    mixer, context = _mixer().train(), made_up_context(8)
    scenes, focuses = list(range(8)), [-1] * 8
    with torch.no_grad():
        for _ in range(200):
            learning = _mixed(mixer, context, scenes, focuses)
        before = mixer.spread.mean.clone()
        alone = _mixed(mixer, context, [0], [-1])  # one scene has no spread, even in training
        resting = _mixed(mixer.eval(), context, scenes, focuses)
    torch.testing.assert_close(mixer.spread.mean, before)
    torch.testing.assert_close(alone[0], resting[0], rtol=1e-4, atol=1e-5)
    # Running variances are unbiased ones.
    torch.testing.assert_close(resting, learning, rtol=0.1, atol=0.02)
