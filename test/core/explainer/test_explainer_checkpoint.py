from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from explainer_helpers import made_up_context, tiny_config, tiny_explainer, write_tiny_language_model

from aln_p3_core.errors import CheckpointError
from aln_p3_core.explainer.checkpoint import load_explainer, read_explainer, read_file, save_explainer
from aln_p3_core.explainer.settings import EXPLAINERS, AdapterKind
from aln_p3_core.explainer.tasks import Task, TextSample

_DRIVER = "d" * 64


@pytest.mark.parametrize("kind", ["lora", "barbell"])
def test_what_was_saved_speaks_the_same(tiny_language: Path, tmp_path: Path, kind: AdapterKind) -> None:
    explainer, path = tiny_explainer(tiny_language, kind), tmp_path / "tiny.safetensors"
    with torch.no_grad():  # matrices are stored in half precision
        for value in explainer.trained_state_dict().values():
            value.copy_((value + 0.01).half().float())
    digest = save_explainer(path, explainer, driver_hash=_DRIVER, extra={"provenance": "a test"})
    loaded = load_explainer(path, driver_hash=_DRIVER)
    state = loaded.trained_state_dict()
    assert all(torch.equal(value, state[name]) for name, value in explainer.trained_state_dict().items())
    assert {value.dtype for value in state.values()} == {torch.float32}
    batch = loaded.encode([TextSample(Task.QUESTION, "Why?", "so", 1)])
    with torch.no_grad():
        assert torch.equal(loaded(made_up_context(), batch).loss, explainer.eval()(made_up_context(), batch).loss)
    found = read_file(path)
    assert (found.sha256, found.driver_hash, found.metadata["provenance"]) == (digest, _DRIVER, "a test")
    assert save_explainer(tmp_path / "again.safetensors", loaded, driver_hash=_DRIVER) == digest
    assert found.config == explainer.config and not loaded.training


def test_another_drivers_tokens_are_refused(tiny_language: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_explainer(path, tiny_explainer(tiny_language), driver_hash=_DRIVER)
    with pytest.raises(CheckpointError, match=r"tokens of the driver dddddddddddd, not of eeee"):
        load_explainer(path, driver_hash="e" * 64)
    state = read_explainer(path, tiny_config(tiny_language))
    assert state.keys() == tiny_explainer(tiny_language).trained_state_dict().keys()


def test_another_language_model_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_language_model(tmp_path / "language")
    path = tmp_path / "tiny.safetensors"
    save_explainer(path, tiny_explainer(folder), driver_hash=_DRIVER)
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert load_explainer(path, language_source=str(moved)).config.language_model.source == str(moved)
    write_tiny_language_model(folder, seed=1)
    with pytest.raises(CheckpointError, match="another language model"):
        load_explainer(path)


def test_a_training_takes_only_what_fits(tiny_language: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_explainer(path, tiny_explainer(tiny_language), driver_hash=_DRIVER)
    config = tiny_config(tiny_language)
    with pytest.raises(CheckpointError, match="another adapter"):
        read_explainer(path, replace(config, adapter=replace(config.adapter, rank=8)))
    with pytest.raises(CheckpointError, match="another mixer"):
        read_explainer(path, replace(config, mixer=replace(config.mixer, instance_tokens=3)))
    with pytest.raises(CheckpointError, match="the recipe smollm2-135m"):
        read_explainer(path, replace(config, language_model=EXPLAINERS["nano"].language_model))


def test_broken_files_are_told(tiny_language: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    with pytest.raises(CheckpointError, match="no explainer at"):
        read_file(path)
    save_explainer(path, tiny_explainer(tiny_language), driver_hash=_DRIVER)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="half written"):
        read_file(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="sha256"):
        read_file(path)


def test_a_drivers_file_is_no_explainer() -> None:
    from aln_p3_core.weights import shipped_checkpoint

    with pytest.raises(CheckpointError, match="no explainer of this project"):
        read_file(shipped_checkpoint("nano"))


def test_nano_stays_small() -> None:
    """At most 15 MB: two bytes for each number of a matrix."""
    from aln_p3_core.explainer.barbell import barbell_layers
    from aln_p3_core.explainer.token_mixer import HolisticTokenMixer

    nano = EXPLAINERS["nano"]
    with torch.device("meta"):
        mixer = HolisticTokenMixer(nano.mixer, driver_width=128, steps=6, bev_shape=(50, 50), language_width=576)
    lora = 30 * nano.adapter.rank * ((576 + 576) + (576 + 192))
    barbell = sum(map(len, barbell_layers(nano.adapter, 30))) * (nano.adapter.prefix_tokens * 576 + 9)
    assert 2 * (sum(p.numel() for p in mixer.parameters()) + max(lora, barbell)) < 14.9e6
