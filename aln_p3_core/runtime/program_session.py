"""Drives with an exported torch program (`.pt2`)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.errors import CheckpointError
from aln_p3_core.runtime.export import PROGRAM_METADATA
from aln_p3_core.runtime.exported_driver import ExportedDriver


class ProgramDriver(ExportedDriver):
    """The interface of `Driver` over a torch program, on the CPU."""

    def __init__(self, path: str | Path) -> None:
        """Loads a `.pt2` file of `aln-p3 export --format torch`.

        Raises:
            CheckpointError: when the file is missing, damaged or no exported driver.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"no exported driver at {path}")
        files = {PROGRAM_METADATA: ""}
        _refuse_code(path)
        try:
            program = torch.export.load(path, extra_files=files)
            metadata = json.loads(files[PROGRAM_METADATA] or "{}")
        except Exception as error:  # torch raises several unrelated types
            raise CheckpointError(
                f"{path} cannot be loaded: {error}. Is it damaged, half written, or of a newer torch than "
                f"{torch.__version__}? Export it again"
            ) from error
        super().__init__(str(path), metadata, f"torch {torch.__version__} program")
        self._graph = program.module()

    def _compute(self, feeds: Mapping[str, NDArray[np.generic]]) -> Sequence[torch.Tensor]:
        return self._graph(*(torch.from_numpy(array) for array in feeds.values()))


def _refuse_code(path: Path) -> None:
    """torch unpickles what a program's archive says is pickled, which may run whatever it likes: a driver's holds plain
    tensors alone, and example inputs that load as such.

    Raises:
        CheckpointError: for anything else, and for a file that is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(name)) for name in names if name.endswith("_config.json")]
            inputs = [archive.read(name) for name in names if name.endswith(".pt")]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}. Is it damaged or half written?") from error
    entries = [entry for config in configs for entry in config.get("config", {}).values()]
    if not configs or any(entry.get("use_pickle", True) for entry in entries):
        raise CheckpointError(f"{path} is refused: it holds pickled objects, which could run code when they are loaded")
    for content in inputs:
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:  # torch raises several unrelated types
            raise CheckpointError(f"{path} is refused: its example inputs are no plain tensors ({error})") from error
