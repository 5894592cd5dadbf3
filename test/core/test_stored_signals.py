"""Traffic lights that lie beside the tables of a data set."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from aln_p3_core.datasets.nuscenes import NuScenesDataset
from aln_p3_core.datasets.stored_signals import COLORS, NO_SIGNAL, SignalAhead
from aln_p3_core.errors import DataError
from aln_p3_core.world.state import SignalColor

MakeRoot = Callable[..., Path]


def test_the_light_of_a_sample(make_root: MakeRoot) -> None:
    root = make_root()
    rows = {"sample-0": {"color": "green_yield", "distance_m": 12.5}, "sample-1": None}
    (root / "signal_ahead.json").write_text(json.dumps(rows))
    for dataset in (opened := NuScenesDataset(root), pickle.loads(pickle.dumps(opened))):
        assert dataset.signal_ahead("sample-0") == SignalAhead("green_yield", 12.5)
        assert dataset.signal_ahead("sample-1") == NO_SIGNAL == SignalAhead("none", math.inf)
        assert dataset.signal_ahead("sample-2") is None  # not in the file


def test_roots_without_the_file_know_nothing(make_root: MakeRoot) -> None:
    assert NuScenesDataset(make_root()).signal_ahead("sample-0") is None


def test_colors_are_those_of_the_world() -> None:
    assert tuple(color.name.lower() for color in SignalColor) == COLORS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no complete JSON"),
        ("[]", "by sample token"),
        ('{"sample-0": {"color": "red"}}', "signal of sample sample-0"),
        ('{"sample-0": {"color": "blue", "distance_m": 3}}', "off, red, yellow, green, green_yield"),
    ],
)
def test_broken_files_are_named(make_root: MakeRoot, content: str, message: str) -> None:
    root = make_root()
    (root / "signal_ahead.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        NuScenesDataset(root).signal_ahead("sample-0")
    assert "signal_ahead.json" in str(error.value)
