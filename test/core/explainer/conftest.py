"""The tiny language model, written once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Llama with SmolLM2's tokenizer."""
    from explainer_helpers import write_tiny_language_model

    return write_tiny_language_model(tmp_path_factory.mktemp("language") / "tiny")
