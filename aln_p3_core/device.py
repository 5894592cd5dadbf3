"""Where and how precisely the network runs: device and precision by name, and what machine this is."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Literal

import torch

from aln_p3_core.errors import ConfigError

_LOG = logging.getLogger(__name__)
Precision = Literal["auto", "fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16", "fp16")
_DTYPES: dict[Literal["fp32", "bf16", "fp16"], torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:n`.

    Raises:
        ConfigError: for another name, or for a CUDA device that this machine or this torch does not have.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:n") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:n")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (device.index or 0) >= count:
            build = "a CPU-only build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
            raise ConfigError(
                f"device {name!r} is not there: torch {torch.__version__} is {build} and sees {count} CUDA device(s)"
            )
        return torch.device("cuda", device.index or 0)
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32: Ampere or newer; a CPU with AVX512-BF16 or AMX that proves it.

    A CPU is asked by a short measurement, once per process: with AVX512-BF16 alone AMD's cores multiply bfloat16
    faster than float32, while Intel's, where AMX is hidden from a virtual machine, need about twice as long.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    flags = _cpu_flags()
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        return False
    return _bfloat16_speedup() > 1.2


@cache
def _bfloat16_speedup(size: int = 512, repeats: int = 8) -> float:
    """Float32's time over bfloat16's for one matrix product on the CPU; the fastest of some turns, about 25 ms."""
    fastest = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    with torch.inference_mode():
        pairs = {dtype: torch.ones(size, size, dtype=dtype) for dtype in fastest}
        for _ in range(repeats):
            for dtype, matrix in pairs.items():
                begin = perf_counter()
                matrix @ matrix
                fastest[dtype] = min(fastest[dtype], perf_counter() - begin)
    return fastest[torch.float32] / fastest[torch.bfloat16]


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` takes bfloat16 where the hardware is faster with it, else fp16 on CUDA and fp32 on the CPU.

    What was asked for is taken; where a CPU is slow at it, the log says so.

    Raises:
        ConfigError: for an unknown name, or fp16 on a CPU (no gain, and overflow in the BEV encoder).
    """
    if name not in PRECISIONS:
        raise ConfigError(f"precision {name!r} is unknown; use one of {', '.join(PRECISIONS)}")
    if name == "auto":
        if has_fast_bfloat16(device):
            return torch.bfloat16
        return torch.float16 if device.type == "cuda" else torch.float32
    if name == "fp16" and device.type == "cpu":
        raise ConfigError("precision fp16 is for CUDA; on a CPU use fp32, or bf16 where it is fast (auto decides)")
    if note := slow_precision(name, device):
        _LOG.warning(note)
    return _DTYPES[name]


def slow_precision(name: str, device: torch.device) -> str:
    """What to know about a precision before hours go into it, for people; "" where there is nothing.

    Without instructions for bfloat16 `nano` takes 18 times as long as in float32 (docs/benchmarks.md).
    """
    if name != "bf16" or device.type != "cpu" or has_fast_bfloat16(device):
        return ""
    return "this CPU computes bf16 slower than fp32 (ten times and more without AMX and AVX512-BF16); use fp32"


def precision_name(dtype: torch.dtype) -> Literal["fp32", "bf16", "fp16"]:
    """The short name of a dtype: fp32, bf16, fp16."""
    return next(name for name, value in _DTYPES.items() if value == dtype)


def hardware_card(device: torch.device) -> dict[str, str | int]:
    """What machine and software a figure was measured with."""
    card: dict[str, str | int] = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": source_commit(),
    }
    if device.type == "cuda":
        card["gpu"] = torch.cuda.get_device_name(device)
    return card


def source_commit() -> str:
    """Commit of the source tree, with `-dirty` where it has changes; "" outside a checkout."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def _cpu_flags() -> set[str]:
    return set(_cpuinfo("flags").split())


def _cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
