"""Both interventions in the language chapter: asked scene by scene, kept beside the texts, summed up in two tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aln_p3_core.evaluation.bootstrap import Band
from aln_p3_core.evaluation.language.intervention import (
    CauseIntervention,
    CommandIntervention,
    FlippedText,
    MaskedText,
    MaskForm,
    NamedScene,
    Speaks,
    flip_commands,
    mask_causes,
)
from aln_p3_core.evaluation.report_blocks import Block, Cell, Table

FORMS: tuple[MaskForm, ...] = ("tokens", "bev")
_MASK_COLUMNS = ("changed", "control_changed", "changed_more", "unnamed", "control_unnamed", "unnamed_more")
_FLIP_COLUMNS = ("before", "follows", "together", "changed")


@dataclass(frozen=True, slots=True)
class SceneInterventions:
    """What came of the interventions on a drive's key frames.

    Attributes:
        drive: its name. frames: that were asked.
        masked: texts by form. flipped: texts.
    """

    drive: str
    frames: int
    masked: Mapping[MaskForm, tuple[MaskedText, ...]]
    flipped: tuple[FlippedText, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> SceneInterventions:
        """Raises KeyError or TypeError for something else."""
        masked = {form: tuple(MaskedText(**row) for row in tree["masked"][form]) for form in FORMS}
        return cls(tree["drive"], tree["frames"], masked, tuple(FlippedText(**row) for row in tree["flipped"]))


def intervene(
    explainer: Speaks,
    drive: str,
    scenes: Sequence[NamedScene],
    bev_range_model: tuple[float, float, float, float],
    max_new_tokens: int,
) -> SceneInterventions:
    """Asks about a drive's scenes: up to seven more explanations each.

    Args:
        explainer: who is asked.
        drive, scenes: about what.
        bev_range_model: x, y minimum, then maximum, m that the driver's BEV map covers.
        max_new_tokens: of each text.
    """
    masked = {
        form: mask_causes(
            explainer, scenes, form=form, bev_range_model=bev_range_model, max_new_tokens=max_new_tokens
        ).texts
        for form in FORMS
    }
    flipped = flip_commands(explainer, scenes, max_new_tokens=max_new_tokens).texts
    return SceneInterventions(drive, len(scenes), masked, flipped)


def summed_up(found: Sequence[SceneInterventions]) -> tuple[list[CauseIntervention], CommandIntervention]:
    """Both interventions over all drives; masking in each form."""
    frames = sum(each.frames for each in found)
    causes = []
    for form in FORMS:
        rows = [(text, each.drive) for each in found for text in each.masked[form]]
        causes.append(CauseIntervention.of(form, tuple(t for t, _ in rows), [name for _, name in rows], frames))
    flips = [(text, each.drive) for each in found for text in each.flipped]
    return causes, CommandIntervention.of(tuple(t for t, _ in flips), [name for _, name in flips], frames)


def intervention_json(found: Sequence[SceneInterventions]) -> dict[str, Any]:
    """Numbers by intervention."""
    causes, command = summed_up(found)
    return {**{f"mask_{cause.form}": cause.as_json() for cause in causes}, "flip_command": command.as_json()}


def intervention_tables(found: Mapping[str, Sequence[SceneInterventions]]) -> list[Block]:
    """A table an intervention, with a row a driver (and form); none where nobody asked."""
    masks: list[tuple[Cell, ...]] = []
    flips: list[tuple[Cell, ...]] = []
    for label, each in found.items():
        if not each:
            continue
        causes, command = summed_up(each)
        for cause in causes:
            bands = (_cell(getattr(cause, name)) for name in _MASK_COLUMNS)
            masks.append((f"{label}, {cause.form}", f"{len(cause.texts)} of {cause.scenes}", *bands))
        bands = (_cell(getattr(command, name)) for name in _FLIP_COLUMNS)
        flips.append((label, f"{len(command.texts)} of {command.scenes}", *bands))
    if not masks:
        return []
    return [
        Table(
            ("masked", "texts", "changed %", "control %", "more than control", "unnamed %", "control % ",
             "more than control "),
            tuple(masks),
            "Intervention: the named cause is masked",
            "Of explanations that name an object: those that change, or no longer name it, once it is taken out of the "
            "scene's tokens (tokens; bev: out of the BEV map too). The control takes another object. In brackets 95 % "
            "of resamplings of scenes (docs/consistency.md).",
        ),
        Table(
            ("driver", "texts", "says its plan %", "follows the other %", "both %", "changed %"),
            tuple(flips),
            "Intervention: another command's plan",
            "Of frames whose plans go different ways: explanations that state the direction of the plan, and of the "
            "other command's plan once they read that.",
        ),
    ]  # fmt: skip


def _cell(band: Band) -> Cell:
    mean, low, high = (100 * float(value) for value in (band.mean, band.low, band.high))
    if mean != mean:
        return None
    return f"{mean:.0f}" if low != low else f"{mean:.0f} ({low:.0f} to {high:.0f})"
