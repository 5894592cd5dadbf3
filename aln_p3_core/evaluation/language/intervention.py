"""Do the words depend on what they speak of? Two interventions on what the explainer reads.

1. **Mask the cause.** The agent that an explanation names (the detection that fits best, `Finding.rows`) is taken out
   of the scene's tokens, and the explainer speaks again. Does the text change, does it no longer name that agent?
   The control takes out another agent, by lot.
2. **Flip the command.** The driver's plan for another command takes the place of the plan; everything else stays. Does
   the direction that the text states go with the plan?

Our own tests: nobody ships such (docs/consistency.md). A text that changes more with its cause than with somebody else
reads the scene; one that does not has learned what is usually said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, Protocol
from zlib import crc32

import numpy as np

from aln_p3_core.evaluation.bootstrap import Band, band_numbers, scene_bootstrap
from aln_p3_core.explainer.consistency import DEFAULT_SETTINGS, ConsistencySettings, check_consistency
from aln_p3_core.explainer.consistency_types import Kind, Verdict
from aln_p3_core.explainer.plan_motion import plan_motion
from aln_p3_core.explainer.prompts import prompt_for
from aln_p3_core.explainer.scene_context import SceneContext, agent_rows, context_from_scene, join_contexts
from aln_p3_core.explainer.settings import ExplainerConfig
from aln_p3_core.explainer.statement import read_statement
from aln_p3_core.explainer.tasks import Answer, Prompt, Task, parse_explanation
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import DrivingScene
from aln_p3_core.world.language.stated import Where

if TYPE_CHECKING:
    from torch import Tensor

#: "tokens": the agent's own tokens go. "bev": the cells of the BEV map under its box too.
MaskForm = Literal["tokens", "bev"]
#: Where a BEV map of VAD reaches, m: x and y minimum, x and y maximum (method: section 6.1).
BEV_RANGE_MODEL = (-15.0, -30.0, 15.0, 30.0)
# A box is blanked with so much around it, m: features spread.
_MARGIN_M = 0.5
_SIGNS = {"left": 1, "right": -1}
# Plans go different ways where their headings at the end differ by more, rad.
_APART = 0.25


class Speaks(Protocol):
    """What is asked of an explainer: `explainer.explainer.Explainer` is one."""

    @property
    def config(self) -> ExplainerConfig: ...

    def generate(
        self, context: SceneContext, prompts: Sequence[Prompt], *, max_new_tokens: int = 64
    ) -> list[Answer]: ...


@dataclass(frozen=True, eq=False)
class NamedScene:
    """A scene of the driver, with its tokens.

    Attributes:
        name: of the drive that it belongs to (bands resample drives).
        scene: with tokens.
        speed_now_ms: None where it is not known.
    """

    name: str
    scene: DrivingScene
    speed_now_ms: float | None = None


@dataclass(frozen=True, slots=True)
class MaskedText:
    """One explanation before and after.

    Attributes:
        token: of the scene. row: of `scene.agents` that the text names. control_row: the other one that was masked.
        text, masked, control: the explanation, without the cause, and without the other.
        named_after_mask, named_after_control: whether it still names that row.
    """

    token: str
    row: int
    control_row: int
    text: str
    masked: str
    control: str
    named_after_mask: bool
    named_after_control: bool


@dataclass(frozen=True, eq=False)
class CauseIntervention:
    """Shares with bands of 95 %.

    Attributes:
        form: what was masked.
        changed, control_changed: texts that differ from the explanation.
        unnamed, control_unnamed: texts that do not name the agent any more.
        changed_more, unnamed_more: the paired differences to the control.
        scenes: how many were asked. texts: those that named an agent, and had another one.
    """

    form: MaskForm
    changed: Band
    control_changed: Band
    changed_more: Band
    unnamed: Band
    control_unnamed: Band
    unnamed_more: Band
    scenes: int
    texts: tuple[MaskedText, ...]

    @classmethod
    def of(cls, form: MaskForm, texts: tuple[MaskedText, ...], names: Sequence[str], scenes: int) -> CauseIntervention:
        """From texts, the drive that each belongs to, and how many scenes were asked."""
        changed = np.array([[r.masked != r.text, r.control != r.text] for r in texts], dtype=np.float64)
        unnamed = np.array([[not r.named_after_mask, not r.named_after_control] for r in texts], dtype=np.float64)
        changed, unnamed = changed.reshape(-1, 2), unnamed.reshape(-1, 2)
        return cls(
            form=form,
            changed=_band(changed[:, 0], names),
            control_changed=_band(changed[:, 1], names),
            changed_more=_band(changed[:, 0] - changed[:, 1], names),
            unnamed=_band(unnamed[:, 0], names),
            control_unnamed=_band(unnamed[:, 1], names),
            unnamed_more=_band(unnamed[:, 0] - unnamed[:, 1], names),
            scenes=scenes,
            texts=texts,
        )

    def as_json(self) -> dict[str, object]:
        """Plain numbers, without the texts; None where nothing was measured."""
        return {"form": self.form, **_shares(self), "scenes": self.scenes, "texts": len(self.texts)}


@dataclass(frozen=True, slots=True)
class FlippedText:
    """One explanation with the plan of its command and of another.

    Attributes:
        token: of the scene. text, flipped: both explanations.
        plan, other_plan: where they go: 1 left, -1 right, 0 straight on.
        said, said_flipped: where the texts say that it goes; straight on where they say nothing.
    """

    token: str
    text: str
    flipped: str
    plan: int
    other_plan: int
    said: int
    said_flipped: int


@dataclass(frozen=True, eq=False)
class CommandIntervention:
    """Shares with bands of 95 %.

    Attributes:
        before: texts that say the direction of the plan. follows: texts that say the direction of the other plan, once
            they are given it. together: both. changed: texts that differ.
        scenes: how many were asked. texts: those whose plans go different ways.
    """

    before: Band
    follows: Band
    together: Band
    changed: Band
    scenes: int
    texts: tuple[FlippedText, ...]

    @classmethod
    def of(cls, texts: tuple[FlippedText, ...], names: Sequence[str], scenes: int) -> CommandIntervention:
        """From texts, the drive that each belongs to, and how many scenes were asked."""
        before = np.array([r.said == r.plan for r in texts], dtype=np.float64)
        follows = np.array([r.said_flipped == r.other_plan for r in texts], dtype=np.float64)
        return cls(
            before=_band(before, names),
            follows=_band(follows, names),
            together=_band(before * follows, names),
            changed=_band(np.array([r.text != r.flipped for r in texts], dtype=np.float64), names),
            scenes=scenes,
            texts=texts,
        )

    def as_json(self) -> dict[str, object]:
        """Plain numbers, without the texts; None where nothing was measured."""
        return {**_shares(self), "scenes": self.scenes, "texts": len(self.texts)}


def mask_causes(
    explainer: Speaks,
    scenes: Sequence[NamedScene],
    *,
    form: MaskForm = "tokens",
    bev_range_model: tuple[float, float, float, float] = BEV_RANGE_MODEL,
    settings: ConsistencySettings = DEFAULT_SETTINGS,
    seed: int = 0,
    batch: int = 8,
    max_new_tokens: int = 64,
) -> CauseIntervention:
    """The first intervention.

    Args:
        explainer: in evaluation mode.
        scenes: of a driver whose tokens it reads.
        form: what is masked.
        bev_range_model: m that the BEV map covers.
        settings: limits by which the named agent is found.
        seed: of the control's lot.
        batch: so many texts are spoken at once.
        max_new_tokens: of each text.
    """
    contexts = [context_from_scene(one.scene, explainer.config) for one in scenes]
    texts = _explain(explainer, contexts, batch, max_new_tokens)
    chosen: list[tuple[int, int, int]] = []
    altered: list[SceneContext] = []
    for i, (one, text) in enumerate(zip(scenes, texts, strict=True)):
        rows = agent_rows(one.scene, explainer.config)
        named = [row for row in _named(one, text, settings) if row in rows]
        others = [int(row) for row in rows if row not in named]
        if not named or not others:
            continue
        lot = np.random.default_rng([seed, crc32(one.scene.token.encode())])
        chosen.append((i, named[0], others[int(lot.integers(len(others)))]))
        for row in chosen[-1][1:]:
            k = int(np.flatnonzero(rows == row)[0])
            altered.append(without_agent(contexts[i], k, form=form, bev_range_model=bev_range_model))
    spoken = _explain(explainer, altered, batch, max_new_tokens)
    results = tuple(
        MaskedText(
            token=scenes[i].scene.token,
            row=row,
            control_row=other,
            text=texts[i],
            masked=masked,
            control=control,
            named_after_mask=row in _named(scenes[i], masked, settings),
            named_after_control=row in _named(scenes[i], control, settings),
        )
        for (i, row, other), masked, control in zip(chosen, spoken[::2], spoken[1::2], strict=True)
    )
    return CauseIntervention.of(form, results, [scenes[i].name for i, _, _ in chosen], len(scenes))


def flip_commands(
    explainer: Speaks,
    scenes: Sequence[NamedScene],
    *,
    settings: ConsistencySettings = DEFAULT_SETTINGS,
    batch: int = 8,
    max_new_tokens: int = 64,
) -> CommandIntervention:
    """The second intervention; arguments as in `mask_causes`.

    Of the two other commands the one is taken whose plan turns most differently. Scenes whose plans go the same way
    for all commands are left out: no text could tell them apart.
    """
    chosen: list[tuple[int, int, int]] = []
    contexts: list[SceneContext] = []
    for i, one in enumerate(scenes):
        plans = one.scene.plan.trajectories_model
        step_s = one.scene.plan.step_s
        turns = np.array([plan_motion(plan, one.speed_now_ms, step_s).turned for plan in plans])
        given = int(one.scene.plan.command.command.value)
        other = int(np.abs(turns - turns[given]).argmax())
        way, other_way = (_way(float(turns[command]), settings) for command in (given, other))
        if way == other_way or abs(turns[other] - turns[given]) < _APART:
            continue
        context = context_from_scene(one.scene, explainer.config)
        chosen.append((i, way, other_way))
        contexts += [context, with_plan(context, plans[other])]
    spoken = _explain(explainer, contexts, batch, max_new_tokens)
    results = tuple(
        FlippedText(scenes[i].scene.token, text, flipped, way, other, said_direction(text), said_direction(flipped))
        for (i, way, other), text, flipped in zip(chosen, spoken[::2], spoken[1::2], strict=True)
    )
    return CommandIntervention.of(results, [scenes[i].name for i, _, _ in chosen], len(scenes))


def without_agent(
    context: SceneContext,
    row: int,
    *,
    form: MaskForm = "tokens",
    bev_range_model: tuple[float, float, float, float] = BEV_RANGE_MODEL,
) -> SceneContext:
    """A copy of the context of one scene in which an agent does not exist.

    Args:
        context: B = 1.
        row: of its agents.
        form: "bev" also gives the cells under the agent's box the mean of the whole map (zeros would be a feature that
            the explainer has never seen).
        bev_range_model: m that the BEV map covers.
    """
    import torch

    valid = context.agent_valid_BA.clone()
    valid[:, row] = False

    def blank(tensor: Tensor) -> Tensor:
        changed = tensor.clone()
        changed[:, row] = 0
        return changed

    bev = context.bev_BRSD
    if form == "bev":
        box = context.agent_boxes_BA10[0, row].double().numpy(force=True)
        inside = cells_under_box(box, (bev.shape[1], bev.shape[2]), bev_range_model)
        bev = bev.clone()
        rows, columns = (torch.from_numpy(indices) for indices in inside)
        bev[0, rows, columns] = context.bev_BRSD[0].mean(dim=(0, 1))
    return replace(
        context,
        bev_BRSD=bev,
        agents_BAD=blank(context.agents_BAD),
        motion_BAM2D=blank(context.motion_BAM2D),
        agent_boxes_BA10=blank(context.agent_boxes_BA10),
        agent_valid_BA=valid,
    )


def with_plan(context: SceneContext, plan_T2: FloatArray | np.ndarray) -> SceneContext:
    """A copy of the context of one scene with another plan [T, 2] m in the model frame."""
    plan = context.plan_BT2.new_tensor(np.asarray(plan_T2, dtype=np.float32))[None]
    return replace(context, plan_BT2=plan)


def cells_under_box(
    box: FloatArray, shape: tuple[int, int], bev_range_model: tuple[float, float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Rows and columns of the BEV cells whose centres lie in a box [10] (`scene_context.BOX_WIDTH`), or half a metre
    around it; the cell nearest to its centre at least, where that lies in the map."""
    x_min, y_min, x_max, y_max = bev_range_model
    rows, columns = shape
    x = x_min + (np.arange(columns) + 0.5) * (x_max - x_min) / columns
    y = y_min + (np.arange(rows) + 0.5) * (y_max - y_min) / rows
    delta_x, delta_y = x[None, :] - box[0], y[:, None] - box[1]
    sin, cos = box[6], box[7]
    along, across = delta_x * cos + delta_y * sin, delta_y * cos - delta_x * sin
    inside = (np.abs(along) <= box[3] / 2 + _MARGIN_M) & (np.abs(across) <= box[4] / 2 + _MARGIN_M)
    if not inside.any() and x_min <= box[0] <= x_max and y_min <= box[1] <= y_max:
        inside.flat[np.hypot(delta_x, delta_y).argmin()] = True
    return np.nonzero(inside)  # type: ignore[return-value]


def said_direction(text: str) -> int:
    """Where an explanation says that the car goes: 1 left, -1 right, 0 straight on or not said."""
    narration = read_statement(*parse_explanation(text)).narration
    if narration.laterals:
        ways = {
            (1 if "left" in lateral.value else -1 if "right" in lateral.value else 0) for lateral in narration.laterals
        }
        return ways.pop() if len(ways) == 1 else 0
    return {Where.CURVE_LEFT: 1, Where.CURVE_RIGHT: -1}.get(narration.where, 0)


def _way(turned: float, settings: ConsistencySettings) -> int:
    return 0 if abs(turned) <= settings.turn else (1 if turned > 0 else -1)


def _named(one: NamedScene, text: str, settings: ConsistencySettings) -> tuple[int, ...]:
    """Rows that the causes of a text name, else those that its place names."""
    found = check_consistency(
        *parse_explanation(text),
        one.scene.plan.points_model,
        one.scene.agents,
        one.scene.map_elements,
        one.speed_now_ms,
        step_s=one.scene.plan.step_s,
        settings=settings,
    )
    # "The road is free" names nobody, though somebody who stands there contradicts it.
    findings = [
        f
        for kind in (Kind.CAUSE, Kind.PLACE)
        for f in found.of_kind(kind)
        if f.rows and f.verdict is Verdict.CONSISTENT
    ]
    return tuple(dict.fromkeys(finding.rows[0] for finding in findings))


def _explain(explainer: Speaks, contexts: Sequence[SceneContext], batch: int, max_new_tokens: int) -> list[str]:
    texts: list[str] = []
    question = prompt_for(Task.EXPLANATION)
    for begin in range(0, len(contexts), batch):
        part = contexts[begin : begin + batch]
        prompts = [Prompt(Task.EXPLANATION, question, scene=k) for k in range(len(part))]
        texts += [a.text for a in explainer.generate(join_contexts(part), prompts, max_new_tokens=max_new_tokens)]
    return texts


def _shares(found: CauseIntervention | CommandIntervention) -> dict[str, object]:
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    return {name: band_numbers(value) for name, value in values.items() if isinstance(value, Band)}


def _band(values: FloatArray, names: Sequence[str]) -> Band:
    if not len(values):
        nothing = np.array(np.nan)
        return Band(nothing, nothing, nothing)
    return scene_bootstrap(values, names)
