"""What all trainings of tests share: small models to speak with, and what they go without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aln_p3_core.driver.network import DriverNetwork

_TOKENIZERS: dict[tuple[str, str], Any] = {}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny language model and a text encoder, and of the driver that trainings with them begin with."""
    from words_helpers import write_models

    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def network(request: pytest.FixtureRequest) -> DriverNetwork:
    """An untrained driver of the test file's `CONFIG`, always the same."""
    import torch

    from aln_p3_core.driver.network import DriverNetwork

    torch.manual_seed(0)
    return DriverNetwork(request.module.CONFIG)


@pytest.fixture(autouse=True)
def plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a third of a small training's time: those of tests marked `plots` alone are drawn."""
    trainer = sys.modules.get("aln_p3_core.training.trainer")
    if trainer is not None and request.node.get_closest_marker("plots") is None:
        monkeypatch.setattr(trainer, "plot_run", lambda folder: [])


@pytest.fixture(autouse=True)
def tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's tokenizer is read once: nobody changes it, and it takes longer than a tiny model."""
    transformers = sys.modules.get("transformers")
    if transformers is None:
        return
    read = transformers.AutoTokenizer.from_pretrained

    def once(folder: str, **options: Any) -> Any:
        key = (folder, repr(options))
        if key not in _TOKENIZERS:
            _TOKENIZERS[key] = read(folder, **options)
        return _TOKENIZERS[key]

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", once)
