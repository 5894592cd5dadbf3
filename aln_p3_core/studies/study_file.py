"""The file of a study: what is varied, on what it is trained and measured, and how it is judged.

    study = read_study("alignment")        # of the package; or a path
    training: alignment                    # in a file: the training of that study of the package
    study.hash                             # of everything that decides a number; goes into every row

Paths in a file are names of `roots`, whose places the command line may give (`--data world=out/world`): where data lie
is no part of the study, what lies there is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from aln_p3_core.errors import ConfigError
from aln_p3_core.evaluation.request import ALL_SUITES, SUITES
from aln_p3_core.studies.measures import COMMANDS, MEASURES

#: No part of what is written down beforehand: where data lie, and what it may cost.
_NOT_HASHED = ("roots", "cost")


@dataclass(frozen=True, slots=True)
class Training:
    """What all variants start from.

    Attributes:
        recipe: of `aln-p3 train`.
        data: names of roots.
        init: checkpoint or shipped driver that weights are taken from, "" for none.
        init_explainer: file of an explainer, or the name of one that ships, that weights are taken from; "" for none.
        fresh: parts that start anew all the same.
        settings: dotted settings.
        checkpoint: which weights are measured: "last" (all variants after the same steps) or "driver" (best on the
            validation split).
    """

    recipe: str
    data: tuple[str, ...]
    init: str = ""
    init_explainer: str = ""
    fresh: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str = "last"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One call of `aln-p3 evaluate`, or of `aln-p3 world drive` where `routes` is given.

    Attributes:
        split: of the rows; also the split of the root's scenes, or of the routes' cities.
        data: name of a root, "" for none. root_split: split of its scenes where that has another name than the rows'.
        suites: of `aln-p3 evaluate`.
        scenes: so many scenes only, 0 for all.
        routes: set of closed-loop routes, "" for an open-loop evaluation. route_seeds: repetitions of it.
        arguments: further ones of the command.
        variants: for these only, () for all. seeds: for the first so many only, 0 for all.
    """

    split: str
    data: str = ""
    root_split: str = ""
    suites: tuple[str, ...] = ()
    scenes: int = 0
    routes: str = ""
    route_seeds: int = 1
    arguments: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    seeds: int = 0

    @property
    def name(self) -> str:
        """Of its folder; unique in a study."""
        return f"drive_{self.split}" if self.routes else f"evaluate_{self.split}"

    def is_for(self, variant: str, seed: int) -> bool:
        """Whether a training is measured so."""
        return (not self.variants or variant in self.variants) and (not self.seeds or seed < self.seeds)


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of training.

    Attributes:
        name: in rows and folders. description: in the table.
        settings: dotted settings that differ from the study's.
        recipe: another training recipe, "" for the study's.
        language: whether it has an explainer to measure.
        fresh_explainer: the explainer's own weights begin anew, whatever the study's begin with.
        seeds: how many trainings, of the seeds 0, 1, ...
    """

    name: str
    description: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""
    language: bool = True
    fresh_explainer: bool = False
    seeds: int = 3


@dataclass(frozen=True, slots=True)
class Tests:
    """How the study is judged.

    Attributes:
        primary: measures that decide. split, command: of the rows that they are taken from.
        secondary: measures that are told beside, without a test.
        confirmatory: pairs (variant, reference) that the study is about; Holm's correction is over these and the
            primary measures. exploratory: further pairs, with a correction of their own.
        reference: variant that pictures compare all others with.
        alpha, power, resamplings: of tests, detectable differences and bootstrap.
    """

    primary: tuple[str, ...]
    split: str
    reference: str
    confirmatory: tuple[tuple[str, str], ...]
    exploratory: tuple[tuple[str, str], ...] = ()
    command: str = "given"
    secondary: tuple[str, ...] = ()
    alpha: float = 0.05
    power: float = 0.8
    resamplings: int = 10_000


@dataclass(frozen=True, slots=True)
class Pilot:
    """What is known of a measure's paired differences before the study runs: see `statistics.expected_error`."""

    seed_sd: float
    scene_error: float = 0.0
    scenes: int = 0


@dataclass(frozen=True, slots=True)
class Anchor:
    """A change that somebody else has published, to hold against ours.

    Attributes:
        change: "-27 %" or "+2.4 points": a percentage of the reference, or points of the measure's own unit.
        source: who says so.
    """

    change: str
    source: str

    def check(self, path: str) -> None:
        """Raises ConfigError for a change that is not written so."""
        number, _, unit = self.change.partition(" ")
        try:
            float(number)
        except ValueError:
            unit = ""
        if unit not in ("%", "points"):
            raise ConfigError(f'{path} must be such as "-27 %" or "+2.4 points", got {self.change!r}')

    def percent_of(self, reference: float) -> float:
        """The change in percent of our reference's mean."""
        number, unit = self.change.split()
        return float(number) if unit == "%" else 100 * float(number) / reference


@dataclass(frozen=True, slots=True)
class Study:
    """A study file, checked.

    Attributes:
        name: of its folder and rows. title, question: in the table.
        roots: places of data by name.
        hash: 12 digits, of all that decides a number. variant_hashes: the same by variant, of the file without the
            other variants: where one of them is changed, the rows of this one hold.
        cost: seconds of "train" and of each evaluation by name, as far as known.
        source: the file's text, kept beside the results.
    """

    name: str
    title: str
    question: str
    roots: Mapping[str, str]
    training: Training
    evaluation: tuple[Evaluation, ...]
    variants: tuple[Variant, ...]
    tests: Tests
    pilot: Mapping[str, Pilot]
    anchors: Mapping[str, Anchor]
    cost: Mapping[str, float]
    hash: str
    variant_hashes: Mapping[str, str]
    source: str

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises ConfigError naming those that exist."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise ConfigError(f"no variant {name!r} in {self.name}; there are {', '.join(v.name for v in self.variants)}")


def shipped_studies() -> tuple[str, ...]:
    """Names of the studies that come with the package."""
    folder = files("aln_p3_core.studies") / "files"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def read_study(name: str | Path) -> Study:
    """A study by name or path.

    Raises:
        ConfigError: for an unknown name, a file that cannot be read, unknown or missing entries, variants that are not
            paired, and measures or variants that do not exist.
    """
    try:
        text = _shipped_text(str(name)) if str(name) in shipped_studies() else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"study {name} is no text in UTF-8, as YAML is: {error}") from error
    except OSError as error:
        raise ConfigError(
            f"no study {str(name)!r}: it is none of {', '.join(shipped_studies())}, nor a file"
        ) from error
    return parse_study(text, Path(name).stem)


def parse_study(text: str, name: str) -> Study:
    """A study from the text of its file. Raises ConfigError as `read_study` does."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"study {name} is no YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"study {name} must be a mapping with title, training, evaluation, variants and tests")
    parts = {"title", "question", "roots", "training", "evaluation", "variants", "tests", "pilot", "anchors", "cost"}
    _require_names(tree, name)
    _refuse_unknown(tree, parts, name)
    for key in ("title", "training", "evaluation", "variants", "tests"):
        if not tree.get(key):
            raise ConfigError(f"study {name} lacks {key!r}")
    if isinstance(tree["training"], str):
        tree["training"] = _training_of(tree["training"], name)
    if not isinstance(tree["variants"], dict) or not isinstance(tree["evaluation"], list):
        raise ConfigError(f"study {name}: variants are a mapping by name, evaluation is a list")
    for key in ("roots", "pilot", "anchors", "cost"):
        if not isinstance(tree.get(key) or {}, dict):
            raise ConfigError(f"study {name}: {key} must be a mapping, got {tree[key]!r}")
    variants = tuple(_build(Variant, _named(key, entry), f"variants.{key}") for key, entry in tree["variants"].items())
    evaluation = tuple(_build(Evaluation, e, f"evaluation.{i}") for i, e in enumerate(tree["evaluation"]))
    hashed = {key: value for key, value in tree.items() if key not in _NOT_HASHED}
    study = Study(
        name=name,
        title=str(tree["title"]),
        question=str(tree.get("question", "")).strip(),
        roots={key: str(value) for key, value in (tree.get("roots") or {}).items()},
        training=_build(Training, tree["training"], "training"),
        evaluation=evaluation,
        variants=variants,
        tests=_build(Tests, tree["tests"], "tests"),
        pilot={key: _build(Pilot, value, f"pilot.{key}") for key, value in (tree.get("pilot") or {}).items()},
        anchors={key: _build(Anchor, value, f"anchors.{key}") for key, value in (tree.get("anchors") or {}).items()},
        cost={key: _seconds(value, f"cost.{key}") for key, value in (tree.get("cost") or {}).items()},
        hash=_digits(hashed),
        variant_hashes={
            key: _digits({**hashed, "variants": {key: {**entry, "description": ""}}})
            for key, entry in tree["variants"].items()
        },
        source=text,
    )
    _check(study)
    return study


def _digits(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _named(name: str, entry: Any) -> Any:
    if isinstance(entry, dict) and "name" in entry:
        raise ConfigError(f"variants.{name} has an entry name: its name is the key that it stands under")
    return {"name": name, **entry} if isinstance(entry, dict) else entry


def _require_names(tree: Mapping[Any, Any], path: str) -> None:
    """Raises ConfigError for keys that are no texts, such as an unquoted `no`, `1` or a date, in the whole tree."""
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ConfigError(f"{path}: the name {key!r} is no text: put it in quotes")
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            if isinstance(part, dict):
                _require_names(part, f"{path}.{key}")


def _seconds(value: Any, path: str) -> float:
    if not _fits(value, float) or not 0 <= value < math.inf:
        raise ConfigError(f"{path} must be seconds, 0 or more, got {value!r}")
    return float(value)


def _training_of(name: str, study: str) -> Any:
    """The entry `training` of a study of the package."""
    if name not in shipped_studies():
        raise ConfigError(f"study {study} takes the training of {name!r}; there are {', '.join(shipped_studies())}")
    tree = yaml.safe_load(_shipped_text(name))["training"]
    if isinstance(tree, str):
        raise ConfigError(f"study {study} takes the training of {name!r}, which takes that of {tree!r}: name that one")
    return tree


def _shipped_text(name: str) -> str:
    return (files("aln_p3_core.studies") / "files" / f"{name}.yaml").read_text(encoding="utf-8")


def _check(study: Study) -> None:
    names = [part.name for part in study.evaluation]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"study {study.name} has two evaluations {name}: give their splits different names")
    _check_file_names(study)
    for part in study.evaluation:
        if unknown := sorted(set(part.suites) - {*SUITES, ALL_SUITES}):
            raise ConfigError(
                f"evaluation {part.name} names suites {', '.join(unknown)}; there are {', '.join(SUITES)}"
            )
        if min(part.scenes, part.seeds) < 0 or part.route_seeds < 1:
            raise ConfigError(f"evaluation {part.name}: scenes and seeds are 0 or more, route_seeds 1 or more")
        if bool(part.routes) == bool(part.suites):
            raise ConfigError(f"evaluation {part.name} needs either suites or routes")
        if part.suites and not part.data:
            raise ConfigError(f"evaluation {part.name} needs data: the name of a root")
    used = {*study.training.data, *(p.data for p in study.evaluation if p.data)}
    if missing := sorted(used - set(study.roots)):
        raise ConfigError(f"study {study.name} names data {', '.join(missing)}: say under roots where they lie")
    _check_pairing(study)
    if study.training.checkpoint not in ("last", "driver"):
        raise ConfigError(f"training.checkpoint is last or driver, not {study.training.checkpoint!r}")
    tests = study.tests
    _check_numbers(study)
    for measure in (*tests.primary, *tests.secondary, *study.pilot, *study.anchors):
        if measure not in MEASURES:
            raise ConfigError(f"no measure {measure!r}; there are {', '.join(MEASURES)}")
    if tests.command not in COMMANDS:
        raise ConfigError(f"tests.command is {' or '.join(COMMANDS)}, not {tests.command!r}")
    for name, anchor in study.anchors.items():
        anchor.check(f"anchors.{name}.change")
    if tests.split not in {part.split for part in study.evaluation}:
        raise ConfigError(f"tests.split {tests.split!r} is not evaluated")
    named = [part.variants for part in study.evaluation]
    for pair in ((tests.reference,), *tests.confirmatory, *tests.exploratory, *named):
        for name in pair:
            study.variant(name)


def _check_file_names(study: Study) -> None:
    """Variants and splits name folders of the study."""
    for name in (*(variant.name for variant in study.variants), *(part.split for part in study.evaluation)):
        if not name or name != Path(name).name or name.startswith("."):
            raise ConfigError(
                f"study {study.name}: {name!r} cannot be the name of a variant or split: it is no file name"
            )


def _check_numbers(study: Study) -> None:
    tests = study.tests
    if not tests.primary:
        raise ConfigError("tests.primary must name one measure or more")
    for name, value in (("alpha", tests.alpha), ("power", tests.power)):
        if not 0 < value < 1:
            raise ConfigError(f"tests.{name} must be above 0 and below 1, got {value}")
    if tests.resamplings < 1:
        raise ConfigError(f"tests.resamplings must be 1 or more, got {tests.resamplings}")
    for pair in (*tests.confirmatory, *tests.exploratory):
        if len(set(pair)) == 1:
            raise ConfigError(f"tests compare {pair[0]} with itself: name two variants")
    for name, pilot in study.pilot.items():
        if not all(0 <= value < math.inf for value in (pilot.seed_sd, pilot.scene_error, pilot.scenes)):
            raise ConfigError(f"pilot.{name}: all numbers are finite, 0 or more")


def _check_pairing(study: Study) -> None:
    """Variants are compared seed by seed: seed, batches, data, number of steps and choice of texts are the same."""
    shared = _shared(study.training, study.training.recipe, {})
    for variant in study.variants:
        if variant.seeds < 1:
            raise ConfigError(f"variant {variant.name} needs one seed or more")
        try:
            own = _shared(study.training, variant.recipe or study.training.recipe, variant.settings)
        except ConfigError as error:
            raise ConfigError(f"variant {variant.name}: {error}") from error
        if unpaired := [name for name, value in own.items() if value != shared[name]]:
            raise ConfigError(
                f"variant {variant.name} changes {', '.join(unpaired)}: variants are compared seed by seed and share "
                "seed, batches, data, steps and texts; set these under training.settings for all of them"
            )


def _shared(training: Training, recipe: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that all variants must share."""
    from aln_p3_core.training.recipes import training_recipe
    from aln_p3_core.training.settings_ranges import check_ranges

    _, config = training_recipe(recipe, {**training.settings, **settings})
    check_ranges(config)
    return {
        "run": config.run,
        "data": config.data,
        "stages.N.steps": [stage.steps for stage in config.stages],
        "texts": config.texts,
    }


def _build(cls: type, tree: Any, path: str) -> Any:
    """A dataclass from a mapping: lists become tuples; unknown and missing entries, and other types, are refused."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must be a mapping, got {tree!r}")
    known = {entry.name: entry for entry in fields(cls)}
    _refuse_unknown(tree, set(known), path)
    missing = [n for n, f in known.items() if n not in tree and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise ConfigError(f"{path} lacks {', '.join(missing)}")
    hints = get_type_hints(cls)
    for name, value in tree.items():
        if not _fits(value, hints[name]):
            raise ConfigError(f"{path}.{name} must be {_told(hints[name])}, got {value!r}")
    return cls(**{name: _frozen(value) for name, value in tree.items()})


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a YAML file is of an entry's type."""
    inner = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            return False
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return len(kinds) == len(value) and all(_fits(one, kind) for one, kind in zip(value, kinds, strict=True))
    if get_origin(hint) is not None:
        return isinstance(value, dict)
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def _told(hint: Any) -> str:
    """The type in words."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return f"a list of {'pairs' if get_origin(inner[0]) is tuple else 'texts'}"
    known = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return known.get(hint, "a mapping")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value


def _refuse_unknown(tree: Mapping[str, Any], known: set[str], path: str) -> None:
    if unknown := sorted(set(tree) - known):
        raise ConfigError(f"{path} has unknown entries {', '.join(unknown)}; there are {', '.join(sorted(known))}")
