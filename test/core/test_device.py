"""Devices and precisions by name."""

from __future__ import annotations

import pytest
import torch

from aln_p3_core import device as device_module
from aln_p3_core.device import hardware_card, precision_name, resolve_device, resolve_precision, slow_precision
from aln_p3_core.errors import ConfigError

CPU = torch.device("cpu")


def test_auto_falls_back_to_the_cpu_where_there_is_no_gpu():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps", "cuda:x"])
def test_impossible_device_is_refused(name):
    with pytest.raises(ConfigError, match=r"device"):
        resolve_device(name)


def test_precisions_on_a_cpu():
    assert resolve_precision("fp32", CPU) is torch.float32
    assert resolve_precision("auto", CPU) in (torch.float32, torch.bfloat16)
    assert precision_name(torch.bfloat16) == "bf16"
    with pytest.raises(ConfigError, match="fp16"):
        resolve_precision("fp16", CPU)
    with pytest.raises(ConfigError, match="use one of"):
        resolve_precision("half", CPU)


@pytest.mark.parametrize(
    ("flags", "speedup", "dtype"),
    [
        ("avx2", 2.0, torch.float32),
        ("avx512_bf16", 0.5, torch.float32),
        ("avx512_bf16", 1.8, torch.bfloat16),
        ("amx_bf16", 5.0, torch.bfloat16),
    ],
)
def test_auto_takes_bfloat16_only_where_the_cpu_proves_faster_with_it(monkeypatch, flags, speedup, dtype):
    monkeypatch.setattr(device_module, "_cpu_flags", lambda: set(flags.split()))
    monkeypatch.setattr(device_module, "_bfloat16_speedup", lambda: speedup)
    assert resolve_precision("auto", CPU) is dtype


def test_a_precision_that_the_cpu_is_slow_at_is_told(monkeypatch, caplog):
    monkeypatch.setattr(device_module, "_cpu_flags", lambda: {"avx2"})
    assert resolve_precision("bf16", CPU) is torch.bfloat16  # what was asked for
    assert "slower than fp32" in caplog.text
    assert not slow_precision("fp32", CPU) and not slow_precision("auto", CPU)
    monkeypatch.setattr(device_module, "_cpu_flags", lambda: {"amx_bf16"})
    monkeypatch.setattr(device_module, "_bfloat16_speedup", lambda: 5.0)
    assert not slow_precision("bf16", CPU)


def test_the_speed_of_bfloat16_is_measured():
    assert 0 < device_module._bfloat16_speedup() < float("inf")


def test_hardware_card_names_the_machine():
    card = hardware_card(CPU)
    assert card["cores"] >= 1 and card["device"] == "cpu" and card["cpu"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_is_found():
    assert resolve_device("cuda") == torch.device("cuda", 0)
