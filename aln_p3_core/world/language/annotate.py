"""`annotate_scene`: all that is said about a scene, in the layouts of Nu-X, TOD3Cap and NuScenes-QA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aln_p3_core.world.city.city_map import CityMap, Turn
from aln_p3_core.world.key_frame import KeyFrame
from aln_p3_core.world.language.asking import Asked, Interviewer
from aln_p3_core.world.language.captions import caption_rows
from aln_p3_core.world.language.ego_motion import EgoPath, ego_motion, ego_path
from aln_p3_core.world.language.facts import FrameFacts, frame_facts, turning_rates
from aln_p3_core.world.language.grammar import Chooser
from aln_p3_core.world.language.narration import narrate
from aln_p3_core.world.language.question_words import say_question
from aln_p3_core.world.language.reasoning import CLEARED_S, reason_why
from aln_p3_core.world.language.roads import RoadIndex
from aln_p3_core.world.language.sentences import say_narration, say_reasoning
from aln_p3_core.world.language.stated import EgoStatement
from aln_p3_core.world.planners.planner import Decision
from aln_p3_core.world.route import Route


@dataclass(frozen=True)
class SceneAnnotations:
    """Texts of one scene, as JSON values.

    Attributes:
        nu_x: sample token -> {"narration", "reasoning"}; lower case, no final period.
        tod3cap: sample_annotation token -> fields of TOD3Cap (`captions.caption_row`).
        questions: NuScenes-QA's rows {split, sample_token, question, answer, num_hop, template_type}.
    """

    nu_x: dict[str, dict[str, str]]
    tod3cap: dict[str, dict[str, Any]]
    questions: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class FrameAnnotation:
    """One key frame: its facts, what was said of it as data, and the texts.

    Attributes:
        facts: of the visible labelled objects. statement: about the ego, as said. asked: the questions.
        narration, reasoning: the texts.
    """

    facts: FrameFacts
    statement: EgoStatement
    asked: list[Asked]
    narration: str
    reasoning: str


def annotate_scene(
    frames: Sequence[KeyFrame],
    city: CityMap,
    route: Route,
    *,
    scene_name: str,
    split: str,
    seed: int,
    wording: str = "",
) -> SceneAnnotations:
    """Everything that is said about a scene.

    Args:
        frames: key frames in time order, with labels; what the ego does next and why comes from their plans.
        city, route: where it happens, and the ego's way.
        scene_name, seed: with the split they settle every choice of words.
        split: of the scene. wording: split whose words are used, "" for the scene's own; one with a name of its own
            speaks like "train".
    """
    chooser = Chooser(wording or split, seed, split, scene_name)
    result = SceneAnnotations({}, {}, [])
    for frame, said in zip(frames, annotate_frames(frames, city, route, chooser), strict=True):
        result.nu_x[frame.sample_token] = {"narration": said.narration, "reasoning": said.reasoning}
        result.tod3cap.update(caption_rows(said.facts, chooser))
        for number, item in enumerate(said.asked):
            result.questions.append(
                {
                    "split": split,
                    "sample_token": frame.sample_token,
                    "question": say_question(item.question, chooser, (frame.sample_token, number)),
                    "answer": item.answer,
                    "num_hop": item.question.num_hop,
                    "template_type": item.question.form.template_type,
                }
            )
    return result


def annotate_frames(frames: Sequence[KeyFrame], city: CityMap, route: Route, chooser: Chooser) -> list[FrameAnnotation]:
    """What is said of the ego and asked about each key frame, with the facts behind it."""
    roads = RoadIndex(city)
    junction_turns = [_is_at_junction(city, route, start, end) for start, end, _ in route.turns]
    scene = [frame_facts(frame, roads, route, turning_rates(frames, i)) for i, frame in enumerate(frames)]
    interviewer = Interviewer(chooser, scene)
    annotations = []
    for index, (frame, facts) in enumerate(zip(frames, scene, strict=True)):
        key = frame.sample_token
        path = ego_path(frames, index)
        motion = ego_motion(path, frame, route, junction_turns)
        crosses = _crosses_junction(city, route, frame, path)
        narration, said = say_narration(narrate(motion, facts, route, crosses, chooser, key), chooser, key)
        reasons = reason_why(motion, facts, route, city, _decisions_before(frames, index))
        reasoning, why = say_reasoning(reasons, chooser, key)
        asked = interviewer.ask(facts, key)
        annotations.append(FrameAnnotation(facts, EgoStatement(said, why), asked, narration, reasoning))
    return annotations


def _is_at_junction(city: CityMap, route: Route, start_s: float, end_s: float) -> bool:
    """Whether some of a stretch of the route leads through a junction."""
    on = route.lane_of[(route.s >= start_s) & (route.s <= end_s)]
    return any(city.lanes[lane].is_connector for lane in set(on[on >= 0].tolist()))


def _crosses_junction(city: CityMap, route: Route, frame: KeyFrame, path: EgoPath) -> bool:
    """Whether the ego's next seconds lead straight over a junction."""
    on = route.lane_of[(route.s >= frame.route_s) & (route.s <= frame.route_s + path.length)]
    lanes = [city.lanes[lane] for lane in set(on[on >= 0].tolist())]
    connectors = [lane for lane in lanes if lane.is_connector]
    return bool(connectors) and all(lane.turn is Turn.STRAIGHT for lane in connectors)


def _decisions_before(frames: Sequence[KeyFrame], index: int) -> list[Decision]:
    """Decisions of the seconds before a key frame, the latest first."""
    now = frames[index].state.time_s
    past = [f.plan for f in reversed(frames[:index]) if now - f.state.time_s <= CLEARED_S + 1e-6]
    return [plan.decision for plan in past if plan is not None and plan.decision is not None]
