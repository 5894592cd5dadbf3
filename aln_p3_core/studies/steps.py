"""The command lines of one training of a study: train, then measure."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from aln_p3_core.errors import ConfigError
from aln_p3_core.studies.study_file import Evaluation, Study, Variant
from aln_p3_core.weights import resolve_checkpoint, resolve_explainer

#: Suites that need an explainer.
LANGUAGE_SUITES = ("language",)
TRAIN = "train"
_SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Options:
    """How a study runs on this machine; changes no number but by rounding (several threads add in another order).

    Attributes:
        roots: places of data by the names of the study file.
        cache: folder of prepared frames, None for the user's own.
        jobs: trainings at a time. threads: CPU threads of each.
        keep: keep checkpoints to go on from and predictions of trainings that are measured.
    """

    roots: Mapping[str, Path]
    cache: Path | None = None
    jobs: int = 1
    threads: int = 1
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One training: a variant and a seed, in a folder of its own."""

    study: Study
    variant: Variant
    seed: int
    folder: Path

    @property
    def label(self) -> str:
        """Such as "none, seed 2"."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def checkpoint(self) -> Path:
        """Of the driver that was trained."""
        return self.folder / TRAIN / f"{self.study.training.checkpoint}.safetensors"

    @property
    def explainer(self) -> Path:
        """Of the explainer that is measured with it."""
        name = "explainer" if self.study.training.checkpoint == "driver" else "last_explainer"
        return self.folder / TRAIN / f"{name}.safetensors"

    @property
    def shared(self) -> Path:
        """Folder of the study, of what all its runs compute alike."""
        return self.folder.parents[2] / _SHARED

    @property
    def maps(self) -> Path:
        """Folder of BEV maps, where the encoder that makes them is the same in all runs."""
        return self.shared / "maps"

    def settings(self) -> dict[str, Any]:
        """All dotted settings of this training; the seed is the only one that its variant does not decide."""
        return {**self.study.training.settings, **self.variant.settings, "run.seed": self.seed}


@dataclass(frozen=True, slots=True)
class Step:
    """One subprocess of a run.

    Attributes:
        name: "train", or of an evaluation. command: its command line; the same one goes on where it broke off.
        made: a file that is there when it has succeeded.
        of: mark of what is trained or measured; a step is done when it was done for this. "" while that is not there.
    """

    name: str
    command: tuple[str, ...]
    made: Path
    of: str = ""


def planned_runs(study: Study, folder: Path, only: tuple[str, ...] = (), seeds: tuple[int, ...] = ()) -> list[Run]:
    """All runs seed by seed, so that a study that is broken off has whole pairs; or those of some variants and seeds.

    Raises:
        ConfigError: for a variant or seed that the study does not have.
    """
    variants = [study.variant(name) for name in only] or list(study.variants)
    most = max(variant.seeds for variant in variants)
    if unknown := [seed for seed in seeds if not 0 <= seed < most]:
        raise ConfigError(f"no seed {', '.join(map(str, unknown))}: the study has 0 to {most - 1}")
    return [
        Run(study, variant, seed, folder / "runs" / variant.name / f"seed_{seed}")
        for seed in seeds or range(most)
        for variant in variants
        if seed < variant.seeds
    ]


def steps_of(run: Run, options: Options) -> list[Step]:
    """What is to be done for a run, in order; what is measured can be told when it is trained (`Step.of`)."""
    return [_train(run, options), *(s for e in run.study.evaluation if (s := _evaluate(run, e, options)) is not None)]


def _train(run: Run, options: Options) -> Step:
    training = run.study.training
    out = run.folder / TRAIN
    command = [*_aln_p3("train"), run.variant.recipe or training.recipe, "--out", str(out), "--resume", "--quiet"]
    for name in training.data:
        command += ["--data", str(options.roots[name])]
    if training.init:
        command += ["--init", training.init]
    if training.init_explainer and not run.variant.fresh_explainer:
        command += ["--init-explainer", training.init_explainer]
    for part in training.fresh:
        command += ["--fresh", part]
    if options.cache is not None:
        command += ["--cache", str(options.cache)]
    command += ["--jobs", str(options.threads)]
    for key, value in {**run.settings(), "run.threads": options.threads}.items():
        command += ["--set", f"{key}={json.dumps(value)}"]
    variant = run.variant
    of = {
        "training": asdict(training),
        "settings": run.settings(),
        "recipe": variant.recipe,
        "language": variant.language,
        "fresh_explainer": variant.fresh_explainer,
        "init": [_file_mark(resolve_checkpoint(training.init)), _file_mark(resolve_explainer(training.init_explainer))],
    }  # fmt: skip
    return Step(TRAIN, tuple(command), run.checkpoint, _mark(of))


def _evaluate(run: Run, evaluation: Evaluation, options: Options) -> Step | None:
    if not evaluation.is_for(run.variant.name, run.seed):
        return None
    out = run.folder / evaluation.name
    if evaluation.routes:
        command = [
            *_aln_p3("world"), "drive", "--planner", str(run.checkpoint), "--routes", evaluation.routes,
            "--seeds", str(evaluation.route_seeds), "--split", evaluation.split, "--report", str(out),
            "--threads", str(options.threads), *evaluation.arguments,
        ]  # fmt: skip
        return Step(evaluation.name, tuple(command), out / "summary.json", _measured(run, evaluation))
    suites = [s for s in evaluation.suites if run.variant.language or s not in LANGUAGE_SUITES]
    if not suites:
        return None
    command = [
        *_aln_p3("evaluate"), str(run.checkpoint), "--data", str(options.roots[evaluation.data]),
        "--split", evaluation.root_split or evaluation.split, "--suite", ",".join(suites),
        "--report", str(out), "--threads", str(options.threads), "--per-scene", *evaluation.arguments,
    ]  # fmt: skip
    if any(suite in LANGUAGE_SUITES for suite in suites):
        command += ["--explainer", str(run.explainer)]
    if run.settings().get("data.store") == "bev":  # which only an encoder that stays as it is may have
        command += ["--maps", str(run.maps)]
    if evaluation.scenes:
        command += ["--scenes", str(evaluation.scenes)]
    return Step(evaluation.name, tuple(command), out / "report.json", _measured(run, evaluation))


def _measured(run: Run, evaluation: Evaluation) -> str:
    files = [_file_mark(run.checkpoint), _file_mark(run.explainer)]
    return _mark({"evaluation": asdict(evaluation), "files": files}) if files[0] else ""


def _mark(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _file_mark(path: Path) -> str:
    """Of a file's content; "" where there is none."""
    if not path.is_file():
        return ""
    found = path.stat()
    return _read_mark(path, found.st_size, found.st_mtime_ns)


@lru_cache
def _read_mark(path: Path, size: int, changed_ns: int) -> str:
    """All runs begin with the same files, and are asked for their steps several times: each is read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _aln_p3(name: str) -> list[str]:
    return [sys.executable, "-m", "aln_p3_core", name]
