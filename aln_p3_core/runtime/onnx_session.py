"""Drives with an exported `.onnx` file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_core.runtime.exported_driver import ExportedDriver

#: A provider, or one with its options, as `onnxruntime.InferenceSession` takes them.
Provider = str | tuple[str, dict[str, Any]]


class OnnxDriver(ExportedDriver):
    """The interface of `Driver` over an ONNX Runtime session. Memory and results stay on the CPU side."""

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        providers: Sequence[Provider] | None = None,
    ) -> None:
        """Loads an `.onnx` file of `aln-p3 export`.

        Args:
            path: the file.
            device: auto (CUDA where ONNX Runtime has it), cpu, cuda or cuda:n. Not read with `providers`.
            threads: of one operator on the CPU; as many as torch uses when None.
            providers: ONNX Runtime's execution providers, best first, instead of `device`: TensorRT, for example.

        Raises:
            ConfigError: when onnxruntime is not installed or lacks the device.
            CheckpointError: when the file is missing, damaged or no exported driver.
        """
        ort = import_onnxruntime()
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"no exported driver at {path}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        # Threads that wait in a loop take the cores from decoding, and from whatever else runs on the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        chosen = list(providers) if providers is not None else _providers(device, ort.get_available_providers())
        try:
            self._session = ort.InferenceSession(path, options, providers=chosen)
            metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime raises several unrelated types
            raise CheckpointError(
                f"{path} cannot be loaded: {error}. Is it damaged or only half written? Export it again"
            ) from error
        super().__init__(str(path), metadata, f"ONNX Runtime {ort.__version__} ({self._session.get_providers()[0]})")

    def _compute(self, feeds: Mapping[str, NDArray[np.generic]]) -> Sequence[torch.Tensor]:
        return [torch.from_numpy(np.asarray(value)) for value in self._session.run(None, dict(feeds))]


def import_onnxruntime() -> Any:
    """The module onnxruntime.

    Raises:
        ConfigError: when it is not installed, with the extra that brings it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "driving with an .onnx file needs onnxruntime: pip install '.[export]' in the source tree brings it (on an "
            "NVIDIA GPU: onnxruntime-gpu in its place)"
        ) from error
    return onnxruntime


def _providers(device: str, available: Sequence[str]) -> list[Provider]:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise ConfigError(f"device {device!r} is unknown; use auto, cpu, cuda or cuda:n")
    if kind == "cpu" or (kind == "auto" and cuda not in available):
        return [cpu]
    if cuda not in available:
        raise ConfigError(f"this ONNX Runtime has no CUDA, only {', '.join(available)}: install onnxruntime-gpu")
    return [(cuda, {"device_id": int(index or 0)}), cpu]
