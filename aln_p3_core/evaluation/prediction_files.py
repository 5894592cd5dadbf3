"""Predictions of a scene in one .npz file, without pickle. A file holds only with the key that it was written with."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aln_p3_core.evaluation.sample_prediction import SamplePrediction
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.scene import Agents, MapElements
from aln_p3_core.whole_files import written_whole

FORMAT = "1"

Part = TypeVar("Part", Agents, MapElements)
Arrays = dict[str, NDArray[Any]]


def save_predictions(path: Path, key: str, predictions: Sequence[SamplePrediction]) -> None:
    """Writes a file, all of it or nothing."""
    arrays: Arrays = {
        "format": np.array(FORMAT),
        "key": np.array(key),
        "tokens": np.array([p.token for p in predictions], dtype=str),
        "scenes": np.array([p.scene for p in predictions], dtype=str),
        "commands": np.array([p.command.command.name for p in predictions], dtype=str),
        "provenances": np.array([p.command.provenance.name for p in predictions], dtype=str),
        "plan_model": np.array([p.plan_model for p in predictions], dtype=np.float64),
    }
    if predictions and predictions[0].plans_model is not None:
        arrays["plans_model"] = np.array([p.plans_model for p in predictions], dtype=np.float64)
    arrays |= _packed("agents", [p.agents for p in predictions])
    arrays |= _packed("map_elements", [p.map_elements for p in predictions])
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_predictions(path: Path, key: str) -> list[SamplePrediction] | None:
    """Predictions of a file; None where it is missing, broken, or was written with another key."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["format"]) != FORMAT or str(file["key"]) != key:
                return None
            arrays = {name: file[name] for name in file.files}
        count = len(arrays["tokens"])
        agents = _unpacked("agents", arrays, count, Agents)
        lines = _unpacked("map_elements", arrays, count, MapElements)
        return [
            SamplePrediction(
                token=str(arrays["tokens"][i]),
                scene=str(arrays["scenes"][i]),
                command=RouteCommand(
                    Command[str(arrays["commands"][i])], CommandProvenance[str(arrays["provenances"][i])]
                ),
                plan_model=arrays["plan_model"][i],
                plans_model=arrays["plans_model"][i] if "plans_model" in arrays else None,
                agents=agents[i],
                map_elements=lines[i],
            )
            for i in range(count)
        ]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _packed(name: str, parts: Sequence[Agents | MapElements | None]) -> Arrays:
    """All samples' rows one after another, with the number of rows of each; nothing where a sample has none."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return {}
    arrays: Arrays = {f"{name}.counts": np.array([len(part) for part in known], dtype=np.int64)}
    for entry in fields(known[0]):
        values = [getattr(part, entry.name) for part in known]
        if isinstance(values[0], np.ndarray):
            arrays[f"{name}.{entry.name}"] = np.concatenate(values)
        else:
            arrays[f"{name}.{entry.name}"] = np.array(values[0])
    return arrays


def _unpacked(name: str, arrays: Arrays, count: int, cls: Callable[..., Part]) -> list[Part] | list[None]:
    if f"{name}.counts" not in arrays:
        return [None] * count
    ends = np.cumsum(arrays[f"{name}.counts"])
    values = {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}
    del values["counts"]
    common: dict[str, Any] = {}
    if "class_names" in values:
        common["class_names"] = tuple(str(text) for text in values.pop("class_names"))
    if "step_s" in values:
        common["step_s"] = float(values.pop("step_s"))
    return [
        cls(**common, **{key: value[start:end] for key, value in values.items()})
        for start, end in zip(ends - arrays[f"{name}.counts"], ends, strict=True)
    ]
