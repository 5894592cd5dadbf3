from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from explainer_helpers import BEV_SHAPE, MODES, STEPS, WIDTH, made_up_context, open_gates, tiny_config, tiny_explainer

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.explainer.explainer import Explainer
from aln_p3_core.explainer.settings import AdapterKind, AdapterSettings, ExplainerConfig, LanguageModelSettings
from aln_p3_core.explainer.tasks import Prompt, Task, TextSample

_KINDS: tuple[AdapterKind, ...] = ("lora", "barbell")
_SAMPLES = [
    TextSample(Task.EXPLANATION, "Why?", "Narration: the car stops. Reasoning: because the light is red.", 0),
    TextSample(Task.CAPTION, "Describe the object.", "Red car", 0, focus=1),
    TextSample(Task.CAPTION, "Describe the object.", "White truck", 0, focus=2),
    TextSample(Task.QUESTION, "How many cars are there?", "3", 1),
]


def _as_prompt(sample: TextSample) -> Prompt:
    return Prompt(sample.task, sample.prompt, sample.scene, sample.focus)


@pytest.mark.parametrize("kind", _KINDS)
def test_learns_a_handful_of_texts(tiny_language: Path, kind: AdapterKind) -> None:
    """LoRA until it says them word by word; a barbell, of a random model that it cannot change, only that it learns."""
    config, context = tiny_config(tiny_language, kind), made_up_context(2).detach()
    if kind == "lora":
        targets = ("q_proj", "v_proj", "o_proj", "up_proj", "down_proj")
        config = replace(config, adapter=AdapterSettings(rank=16, targets=targets))
    explainer = _explainer(config)
    if kind == "barbell":
        open_gates(explainer, 0.5)
    batch = explainer.encode(_SAMPLES)
    frozen = {name: p.clone() for name, p in explainer.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.Adam([p for p in explainer.parameters() if p.requires_grad], 1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=100)
    losses = []
    for _ in range(100):
        loss = explainer(context, batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < (0.05 if kind == "lora" else 0.9) * losses[0]
    assert all(torch.equal(p, frozen[n]) for n, p in explainer.named_parameters() if n in frozen)
    if kind == "lora":
        with torch.no_grad():
            for _ in range(150):  # the mixer's running statistics come to rest
                explainer(context, batch)
        answers = explainer.eval().generate(context, [_as_prompt(s) for s in _SAMPLES])
        assert [a.text for a in answers] == [s.answer for s in _SAMPLES]
        assert not any(a.truncated for a in answers)


def _explainer(config: ExplainerConfig) -> Explainer:
    torch.manual_seed(0)
    return Explainer(config, driver_width=WIDTH, modes=MODES, steps=STEPS, bev_shape=BEV_SHAPE)


@pytest.mark.parametrize("kind", _KINDS)
def test_gradients_reach_the_driver_from_loss_and_states(tiny_language: Path, kind: AdapterKind) -> None:
    explainer = tiny_explainer(tiny_language, kind)
    if kind == "barbell":
        open_gates(explainer)
    batch = explainer.encode(_SAMPLES)
    for part in ("loss", "answer_states_XE"):
        context = made_up_context(2)
        value = getattr(explainer(context, batch), part)
        (value * torch.linspace(0.1, 1, value.numel()).reshape(value.shape)).sum().backward()
        sources = (context.bev_BRSD, context.agents_BAD, context.motion_BAM2D, context.ego_B2D, context.plan_BT2)
        assert all(s.grad is not None and bool(s.grad.any()) for s in sources), part


def test_untrained_barbell_speaks_as_its_language_model(tiny_language: Path) -> None:
    explainer = tiny_explainer(tiny_language, "barbell")
    batch = explainer.encode(_SAMPLES)
    with torch.no_grad():
        loss = explainer(made_up_context(2), batch).loss_by_text_X
        other = explainer(made_up_context(2, seed=9), batch).loss_by_text_X
    assert torch.equal(loss, other)
    (answer,) = explainer.generate(made_up_context(1), [Prompt(Task.QUESTION, "Why?")], max_new_tokens=5)
    language = tiny_explainer(tiny_language, "barbell").language
    ids = [1, *language.tokenizer("Why?\n")["input_ids"]]
    assert explainer.barbell is not None
    with explainer.barbell.reading(torch.zeros(1, 1, 32)):
        said = explainer.language.model.generate(torch.tensor([ids]), max_new_tokens=5, do_sample=False)
    assert answer.text == language.tokenizer.decode(said[0, len(ids) :], skip_special_tokens=True).strip()


def test_loss_is_that_of_the_whole_model_with_labels(tiny_language: Path) -> None:
    explainer, context = tiny_explainer(tiny_language), made_up_context(2)
    batch = explainer.encode(_SAMPLES)
    with torch.no_grad():
        said = explainer(context, batch)
        for x in range(len(_SAMPLES)):
            ids, answer = batch.ids_XL[x][batch.valid_XL[x]], batch.answer_XL[x][batch.valid_XL[x]]
            tokens = explainer.language.embedding(torch.cat([torch.tensor([1]), ids]))
            soft = said.mixed.context_XKE[x]
            embedded = torch.cat([tokens[:1], soft, tokens[1:]])[None]
            labels = torch.full((1 + len(soft) + len(ids),), -100)
            labels[1 + len(soft) :][answer] = ids[answer]
            whole = explainer.language.model(inputs_embeds=embedded, labels=labels[None], output_hidden_states=True)
            torch.testing.assert_close(said.loss_by_text_X[x], whole.loss, rtol=1e-4, atol=1e-5)
            # A token is told by the state before it.
            states = whole.hidden_states[-1][0, len(soft) : -1][answer].mean(0)
            torch.testing.assert_close(said.answer_states_XE[x], states, rtol=1e-4, atol=1e-5)
    counts = batch.answer_XL.sum(1)
    torch.testing.assert_close(said.loss, (said.loss_by_text_X * counts).sum() / counts.sum())


def test_greedy_is_greedy_whatever_the_models_folder_asks_for(tiny_language: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wilful"
    shutil.copytree(tiny_language, folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "do_sample": True, "eos_token_id": 2})
    )
    said = []
    for source in (tiny_language, folder):
        torch.manual_seed(0)
        explainer = tiny_explainer(source).eval()
        answers = explainer.generate(made_up_context(1), [Prompt(Task.QUESTION, "Why?")], max_new_tokens=12)
        said.append(answers[0].text)
    assert said[0] == said[1]


def test_of_a_part_only_its_own_states_are_read(tiny_language: Path) -> None:
    """A caption's words about motion, without those that tell colour and place."""
    explainer, context = tiny_explainer(tiny_language), made_up_context(1)
    answer = "A red car, 5 meters away, is parked at the side."
    sample = TextSample(Task.CAPTION, "Describe it.", answer, 0, 0, part="parked at")
    batch = explainer.encode([sample, replace(sample, part=""), replace(sample, part="not in it")])
    told = [explainer.language.tokenizer.decode(ids[mask]).strip() for ids, mask in
            zip(batch.ids_XL, batch.told_XL, strict=True)]  # fmt: skip
    assert told[0] == "parked at" and torch.equal(batch.told_XL[1], batch.answer_XL[1])
    assert torch.equal(batch.told_XL[2], batch.answer_XL[2])
    with torch.no_grad():
        said = explainer(context, batch)
    torch.testing.assert_close(said.answer_states_XE[1], said.answer_states_XE[2])
    assert not torch.allclose(said.answer_states_XE[0], said.answer_states_XE[1])
    assert said.loss_by_text_X.unique().numel() == 1, "all of the answer is learnt"


@pytest.mark.parametrize("kind", _KINDS)
def test_a_batch_says_what_each_would_say_alone(tiny_language: Path, kind: AdapterKind) -> None:
    explainer, context = tiny_explainer(tiny_language, kind).eval(), made_up_context(2)
    if kind == "barbell":
        open_gates(explainer)
    else:  # An untrained one with tied embeddings echoes its last token for ever.
        for name, parameter in explainer.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=1.0)
    prompts = [Prompt(Task.QUESTION, "Why?", 0), Prompt(Task.QUESTION, "How many cars are there in front of me?", 1),
               Prompt(Task.CAPTION, "Describe it.", 0, 2), Prompt(Task.CAPTION, "Describe it.", 1, 0)]  # fmt: skip
    together = explainer.generate(context, prompts, max_new_tokens=12)
    alone = [explainer.generate(context, [prompt], max_new_tokens=12)[0] for prompt in prompts]
    assert together == alone
    assert len({answer.text for answer in together}) > 1
    assert explainer.generate(context, []) == []


@pytest.mark.parametrize("kind", _KINDS)
def test_the_focus_changes_what_is_said(tiny_language: Path, kind: AdapterKind) -> None:
    explainer, context = tiny_explainer(tiny_language, kind), made_up_context(1)
    if kind == "barbell":
        open_gates(explainer)
    samples = [TextSample(Task.CAPTION, "Describe it.", "Red car", 0, focus) for focus in (-1, 0, 1, 0)]
    losses = explainer(context, explainer.encode(samples)).loss_by_text_X.tolist()
    assert losses[1] == losses[3] and len(set(losses)) == 3


def test_limits_cut_answers_off(tiny_language: Path) -> None:
    explainer, context = tiny_explainer(tiny_language), made_up_context(1)
    (answer,) = explainer.generate(context, [Prompt(Task.QUESTION, "Why?")], max_new_tokens=3)
    assert answer.truncated
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    (answer,) = explainer.generate(context, [Prompt(Task.QUESTION, "Why?")], max_new_tokens=30, stop=stop)
    assert answer.truncated and len(asked) == 2


def test_encoding(tiny_language: Path) -> None:
    explainer = tiny_explainer(tiny_language)
    tokenizer = explainer.language.tokenizer
    batch = explainer.encode(_SAMPLES)
    for x, sample in enumerate(_SAMPLES):
        assert tokenizer.decode(batch.ids_XL[x][batch.answer_XL[x]]) == sample.answer + "<|im_end|>"
        asked = batch.valid_XL[x] & ~batch.answer_XL[x]
        assert tokenizer.decode(batch.ids_XL[x][asked]) == sample.prompt + "\n"
    assert batch.focus_X.tolist() == [-1, 1, 2, -1] and batch.scene_X.tolist() == [0, 0, 0, 1]
    with pytest.raises(ConfigError, match="no texts"):
        explainer.encode([])


def test_long_texts_are_cut(tiny_language: Path) -> None:
    config = tiny_config(tiny_language)
    explainer = _explainer(replace(config, language_model=replace(config.language_model, max_tokens=8)))
    batch = explainer.encode([*_SAMPLES, TextSample(Task.QUESTION, "Why " * 20, "so", 0)])
    assert batch.ids_XL.shape == (5, 8) and not batch.answer_XL[4].any()
    losses = explainer(made_up_context(2), batch).loss_by_text_X.detach()
    assert float(losses[4]) == 0 and bool((losses[:4] > 0).all())


def test_a_chat_template_gets_one_start_token(tiny_language: Path) -> None:
    config = tiny_config(tiny_language)
    explainer = _explainer(replace(config, language_model=replace(config.language_model, prompt_style="chat")))
    batch = explainer.encode(_SAMPLES[:1])
    asked = explainer.language.tokenizer.decode(batch.ids_XL[0][~batch.answer_XL[0]])
    assert asked.startswith("system\n") and asked.endswith("Why?<|im_end|>\n<|im_start|>assistant\n")


def test_trained_state_is_mixer_and_adapter(tiny_language: Path) -> None:
    for kind in _KINDS:
        first, second = tiny_explainer(tiny_language, kind), tiny_explainer(tiny_language, kind, seed=1)
        state = first.trained_state_dict()
        learnt = {name for name, p in first.named_parameters() if p.requires_grad}
        assert set(state) == learnt | {"mixer.spread.mean", "mixer.spread.variance"}
        assert all(name.startswith(("mixer.", "barbell.")) or "lora_" in name for name in state)
        second.load_trained(state)
        assert all(torch.equal(value, state[name]) for name, value in second.trained_state_dict().items())
        name = next(iter(state))
        with pytest.raises(CheckpointError, match="another explainer"):
            second.load_trained({n: v for n, v in state.items() if n != name} | {"stranger": torch.zeros(1)})
        with pytest.raises(CheckpointError, match="of other shapes"):
            second.load_trained(state | {name: torch.zeros(1, 1, 1)})


def test_half_precision_keeps_what_is_trained_in_float32(tiny_language: Path) -> None:
    config = tiny_config(tiny_language)
    explainer = _explainer(replace(config, language_model=replace(config.language_model, precision="bf16")))
    assert {p.dtype for p in explainer.parameters() if p.requires_grad} == {torch.float32}
    assert explainer.language.dtype == torch.bfloat16
    said = explainer(made_up_context(2), explainer.encode(_SAMPLES))
    said.loss.backward()
    assert said.loss.dtype == said.answer_states_XE.dtype == torch.float32
    exact = tiny_explainer(tiny_language)(made_up_context(2), explainer.encode(_SAMPLES)).loss
    torch.testing.assert_close(said.loss, exact, rtol=0.02, atol=0.02)
    assert len(explainer.generate(made_up_context(1), [Prompt(Task.QUESTION, "Why?")], max_new_tokens=3)) == 1


def test_other_causal_models_take_lora(tiny_language: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(str(tiny_language))
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = tiny_config(tmp_path)
    with pytest.raises(ConfigError, match=r"adapter\.targets"):
        _explainer(config)
    explainer = _explainer(replace(config, adapter=AdapterSettings(targets=("c_attn",))))
    loss = explainer(made_up_context(2), explainer.encode(_SAMPLES)).loss.detach()
    assert abs(float(loss) - float(torch.tensor(float(len(tokenizer))).log())) < 1
    assert explainer.generate(made_up_context(1), [Prompt(Task.QUESTION, "Why?")], max_new_tokens=2)[0].truncated


@pytest.mark.slow
def test_the_packaged_model_in_the_nano_recipe() -> None:
    """Both adapters on SmolLM2: an untrained LoRA and an untrained barbell change nothing that the model reads."""
    from aln_p3_core.explainer.settings import EXPLAINERS

    nano = replace(EXPLAINERS["nano"], language_model=LanguageModelSettings(precision="fp32"))
    for kind in _KINDS:
        config = replace(nano, adapter=replace(nano.adapter, kind=kind))
        explainer = _explainer(config)
        assert sum(p.numel() for p in explainer.parameters() if p.requires_grad) < 7.5e6
        said = explainer(made_up_context(2), explainer.encode(_SAMPLES))
        said.loss.backward()
        assert said.answer_states_XE.shape == (4, 576) and 0.5 < float(said.loss.detach()) < 8
        (answer,) = explainer.generate(made_up_context(1), [Prompt(Task.QUESTION, "2 + 2 =")], max_new_tokens=4)
        assert answer.text


@pytest.mark.parametrize("kind", _KINDS)
def test_what_has_been_read_is_not_read_again_for_every_word(tiny_language: Path, kind: AdapterKind) -> None:
    """The decoder sees the prompt once, and then each new token alone."""
    explainer = tiny_explainer(tiny_language, kind).eval()
    if kind == "barbell":
        open_gates(explainer)
    lengths: list[int] = []
    first = explainer.language.model.model.layers[0]
    first.register_forward_pre_hook(
        lambda _, given, named: lengths.append((given or (named["hidden_states"],))[0].shape[1]), with_kwargs=True
    )
    prompt = Prompt(Task.QUESTION, "How many cars are there?")
    (answer,) = explainer.generate(made_up_context(1).detach(), [prompt], max_new_tokens=6)
    assert lengths[0] > 6 and lengths[1:] == [1] * (len(lengths) - 1) and len(lengths) >= 3, answer
