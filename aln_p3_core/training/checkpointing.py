"""Checkpoints from which a training goes on, as if nothing had happened.

A checkpoint is a folder `step_00001200`: weights and averaged weights (safetensors), the optimiser, and `state.json`
with the place in the schedule and the order of clips, the settings, and the size and checksum of every file. It is
written beside its place and renamed when it is complete, so a kill or a full disk leaves the earlier ones as they are.
All chance comes from seeds and step numbers: no state of random numbers is to be kept.

One process writes: what others left half written in the folder was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aln_p3_core.errors import CheckpointError
from aln_p3_core.training.failures import is_full_disk

_FORMAT = "aln_p3.training.1"
_STATE, _WEIGHTS, _AVERAGE, _OPTIMIZER = "state.json", "weights.safetensors", "average.safetensors", "optimizer.pt"
#: Settings that may be others when going on: they change nothing that is learnt (threads: by rounding only) or only
#: what is begun with.
FREE_SETTINGS = frozenset(
    f"training.{name}"
    for name in (
        "data.workers",
        "data.prefetch",
        "run.threads",
        "run.checkpoint_every",
        "run.draw_every",
        "run.keep_checkpoints",
        "run.backbone_weights",
    )
)


@dataclass(slots=True)
class TrainingState:
    """Everything that a training needs to go on.

    Attributes:
        step: optimiser steps done, over all stages.
        settings: of driver and training, as plain data: all but `FREE_SETTINGS` must be the same when going on.
        weights, average: state dicts of the trained module and of the averaged network.
        optimizer, scheduler, sampler: their state dicts.
        best: measure and step of the best validation so far, or {}.
        seconds: wall-clock seconds trained so far.
    """

    step: int
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    sampler: dict[str, Any]
    best: dict[str, float]
    seconds: float


def save_state(folder: Path, state: TrainingState, keep: int) -> Path:
    """Writes a checkpoint into `folder` and removes all but the `keep` newest, and what a kill left half written.

    Checkpoints of later steps go too: they were passed over as damaged, and the training went on from an earlier one.

    Raises:
        CheckpointError: when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step_{state.step:08d}"
    for left in folder.glob(".step_*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=folder))
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in state.weights.items()}, partial / _WEIGHTS)
        save_file({k: v.detach().cpu().contiguous() for k, v in state.average.items()}, partial / _AVERAGE)
        # An open file: given a path, torch does not tell why it could not write.
        with (partial / _OPTIMIZER).open("wb") as file:
            torch.save({"optimizer": state.optimizer, "scheduler": state.scheduler}, file)
        files = {name: _fingerprint(partial / name) for name in (_WEIGHTS, _AVERAGE, _OPTIMIZER)}
        plain = {
            "format": _FORMAT,
            "step": state.step,
            "settings": state.settings,
            "sampler": state.sampler,
            "best": state.best,
            "seconds": state.seconds,
            "files": files,
        }
        (partial / _STATE).write_text(json.dumps(plain, indent=1), encoding="utf-8")
        for path in partial.iterdir():
            _flush(path)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        _flush(folder)
    except Exception as error:
        if is_full_disk(error):
            raise CheckpointError(
                f"no space left for a checkpoint in {folder}; free some and go on with --resume"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    known = sorted(folder.glob("step_*"))
    place = known.index(target)
    for other in (*known[: max(0, place + 1 - max(1, keep))], *known[place + 1 :]):
        shutil.rmtree(other, ignore_errors=True)
    return target


def load_state(folder: Path, settings: dict[str, Any]) -> TrainingState | None:
    """The newest whole checkpoint of `folder`; None where there is none.

    A damaged one is passed over for the one before.

    Raises:
        CheckpointError: when there are only damaged ones, or the settings are others than at the start: they are named.
    """
    problems = []
    for path in sorted(folder.glob("step_*"), reverse=True):
        try:
            plain = json.loads((path / _STATE).read_text(encoding="utf-8"))
            damaged = [n for n, mark in plain["files"].items() if _fingerprint(path / n) != mark]
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        if plain.get("format") != _FORMAT or damaged:
            problems.append(f"{path.name}: {', '.join(damaged) or 'format'} damaged")
            continue
        _require_same(plain["settings"], settings, folder)
        saved = torch.load(path / _OPTIMIZER, map_location="cpu", weights_only=True)
        return TrainingState(
            plain["step"],
            plain["settings"],
            load_file(path / _WEIGHTS),
            load_file(path / _AVERAGE),
            saved["optimizer"],
            saved["scheduler"],
            plain["sampler"],
            plain["best"],
            plain["seconds"],
        )
    if problems:
        raise CheckpointError(f"no whole checkpoint in {folder}: {'; '.join(problems)}")
    return None


def named(entries: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries of a part, with its prefix."""
    return {prefix + name: value for name, value in entries.items()}


def of_part(entries: Mapping[str, Tensor], prefix: str, inside: bool) -> dict[str, Tensor]:
    """Entries with a prefix, which is taken away; or (`inside` False) all others."""
    return {name.removeprefix(prefix): value for name, value in entries.items() if name.startswith(prefix) is inside}


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of settings that differ between two trees of plain data, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted({*one, *other})
            for line in differences(one.get(key), other.get(key), f"{name}.{key}" if name else str(key))
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line for i, (a, b) in enumerate(zip(one, other, strict=True)) for line in differences(a, b, f"{name}.{i}")
        ]
    return [] if one == other else [f"{name} was {one!r}, now {other!r}"]


def _require_same(was: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    changed = [d for d in differences(was, json.loads(json.dumps(now))) if d.split(" was ")[0] not in FREE_SETTINGS]
    if changed:
        raise CheckpointError(
            f"the training in {folder.parent} was begun with other settings: {'; '.join(changed)}. Go on with the same "
            "ones, or begin a new run (--init takes weights along)"
        )


def _fingerprint(path: Path) -> list[int]:
    """Size and checksum."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            checksum = zlib.crc32(block, checksum)
    return [path.stat().st_size, checksum]


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
