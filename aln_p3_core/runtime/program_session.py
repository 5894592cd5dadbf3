"""Drives with an exported torch program (`.pt2`)."""

from __future__ import annotations

import json
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
