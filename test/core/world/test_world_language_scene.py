"""Annotations of whole scenes: the benchmarks' layouts, true captions and answers, balance, determinism."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import world_helpers as helpers

from aln_p3_core.datasets.tod3cap import load_tod3cap
from aln_p3_core.frame import Command
from aln_p3_core.geometry import VIRTUAL_MODEL_ORIGIN_EGO
from aln_p3_core.world.actors import ActorFlag, ActorKind, Actors, join_actors, make_actors
from aln_p3_core.world.assets.catalogue import models_of, sizes_of
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.key_frame import KeyFrame, LabelFact
from aln_p3_core.world.language import SceneAnnotations, annotate_scene
from aln_p3_core.world.language.annotate import annotate_frames
from aln_p3_core.world.language.captions import caption_of
from aln_p3_core.world.language.colors import COLOR_NAMES, color_name
from aln_p3_core.world.language.facts import (
    CLASSES,
    SECTORS,
    FrameFacts,
    direction_of,
    frame_facts,
    sector_of,
    status_of,
)
from aln_p3_core.world.language.grammar import SPLITS, Chooser
from aln_p3_core.world.language.parse import parse_caption, parse_question, parse_statement
from aln_p3_core.world.language.question import ANSWERS, THING, Form, Question, Thing, answer
from aln_p3_core.world.language.roads import RoadIndex
from aln_p3_core.world.language.stated import Direction, Motion, Place
from aln_p3_core.world.recorder.labels import attribute_of
from aln_p3_core.world.state import WorldState

FRAMES = 16
RIDER = ActorFlag.RIDER
_KINDS = (
    *[ActorKind.CAR] * 8, *[ActorKind.PEDESTRIAN] * 6, ActorKind.VAN, ActorKind.TRUCK, ActorKind.TRUCK, ActorKind.BUS,
    ActorKind.MOTORCYCLE, ActorKind.BICYCLE, ActorKind.BICYCLE, ActorKind.CONE, ActorKind.CONE, ActorKind.BARRIER,
)  # fmt: skip


def crowd(seed: int) -> Actors:
    """Actors of all kinds around x = 250, each standing, parked, sitting or moving."""
    rng = np.random.default_rng([seed, 77])
    count = len(_KINDS)
    moves = np.array([not kind.is_static and rng.random() < 0.5 for kind in _KINDS])
    headings = rng.choice([0.0, np.pi, np.pi / 2, -np.pi / 2], count)
    speeds = np.where(moves, rng.uniform(0.5, 9.0, count), 0.0)
    flags = [
        int(ActorFlag.RIDER) if moving else int(rng.choice([0, ActorFlag.PARKED, ActorFlag.RIDER, ActorFlag.SITTING]))
        for moving in moves
    ]
    return make_actors(
        [f"{kind.name.lower()}-{number}" for number, kind in enumerate(_KINDS)],
        [int(rng.choice(models_of(kind))) for kind in _KINDS],
        np.stack([rng.uniform(215.0, 300.0, count), rng.uniform(-12.0, 12.0, count)], axis=1),
        headings,
        velocities=speeds[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=1),
        colors=rng.integers(0, 256, (count, 3)),
        flags=flags,
    )


def crowded_scene(seed: int, frames: int = FRAMES) -> list[KeyFrame]:
    """Key frames of an ego that drives through a crowd; three of its actors are never seen."""
    at = helpers.gliding(crowd(seed))
    scene = []
    for number in range(frames):
        time_s = 0.5 * number
        ego = EgoState(time_s, 230.0 + 3.0 * time_s, helpers.EAST_INNER, 0.0, speed=3.0)
        actors = at(time_s)
        labels = {name: LabelFact(f"{number}-{name}", 0.9, ("CAM_FRONT",), 3) for name in actors.ids[3:]}
        labels[actors.ids[0]] = LabelFact(f"{number}-hidden", 0.0, (), 0)
        state = WorldState(ego, actors, np.zeros(0, np.int64))
        scene.append(KeyFrame(f"sample-{seed}-{number}", state, ego.x, Command.STRAIGHT, None, labels))
    return scene


def facts_of(frame: KeyFrame) -> FrameFacts:
    return frame_facts(frame, RoadIndex(helpers.straight_city()), helpers.straight_route())


def annotated(
    seed: int = 0, *, split: str = "train", word_seed: int = 0, name: str = "scene-0001", wording: str = ""
) -> SceneAnnotations:
    return annotate_scene(
        crowded_scene(seed),
        helpers.straight_city(),
        helpers.straight_route(),
        scene_name=name,
        split=split,
        seed=word_seed,
        wording=wording,
    )


@pytest.mark.parametrize("split", [*SPLITS, "my_own"])
def test_layouts_are_those_of_the_benchmarks(split: str) -> None:
    scene, said = crowded_scene(1), annotated(1, split=split)
    stored = json.loads(json.dumps(asdict(said)))
    assert set(stored) == {"nu_x", "tod3cap", "questions"}
    assert list(stored["nu_x"]) == [frame.sample_token for frame in scene]
    for texts in stored["nu_x"].values():
        assert set(texts) == {"narration", "reasoning"}
        parse_statement(texts["narration"], texts["reasoning"])
        assert all(text == text.lower() and not text.endswith(".") for text in texts.values())
    seen = {label.token for frame in scene for label in frame.labels.values() if label.visibility > 0}
    assert set(stored["tod3cap"]) == seen
    for row in stored["tod3cap"].values():
        assert isinstance(row["attribute_caption"]["attribute_caption"], str)
        assert isinstance(row["depth_caption"]["depth"], float)
        assert set(row["localization_caption"]) == {
            "localization_caption",
            "x_offset",
            "y_offset",
            "localization_theta",
        }
        assert set(row["motion_caption"]) == {"motion_caption", "x_vel", "y_vel"}
        assert isinstance(row["map_caption"]["map_caption"], str) and isinstance(row["final_caption"], str)
    kinds = {(q["template_type"], q["num_hop"]) for q in stored["questions"]}
    assert kinds == {(t, h) for t in ("exist", "count", "object", "status", "comparison") for h in (0, 1)}
    for row in stored["questions"]:
        assert set(row) == {"split", "sample_token", "question", "answer", "num_hop", "template_type"}
        assert row["split"] == split and row["answer"] in ANSWERS


def test_captions_are_true(tmp_path: Path) -> None:
    scene, said = crowded_scene(2), annotated(2)
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    whole.write_text(json.dumps(said.tod3cap))
    bare = {token: row | {"final_caption": None} for token, row in said.tod3cap.items()}
    parts.write_text(json.dumps(bare))
    read, joined = load_tod3cap(whole), load_tod3cap(parts)
    count = 0
    for frame in scene:
        facts = facts_of(frame)
        actors, ego = frame.state.actors, frame.state.ego
        for row, name in enumerate(facts.ids):
            caption, entry = caption_of(facts, row), said.tod3cap[facts.labels[row].token]
            assert parse_caption(entry["final_caption"]) == caption
            place = entry["localization_caption"]
            token = facts.labels[row].token
            assert read[token].final == entry["final_caption"]
            # The file's depth has two digits: half a meter may be rounded the other way.
            parsed = parse_caption(joined[token].final)
            assert abs(parsed.depth_m - caption.depth_m) <= 1
            assert replace(parsed, depth_m=caption.depth_m) == caption
            index = actors.ids.index(name)
            ahead = actors.positions[index, 0] - ego.x - VIRTUAL_MODEL_ORIGIN_EGO[0]
            left = actors.positions[index, 1] - ego.y
            assert place["x_offset"] == pytest.approx(-left, abs=0.01)
            assert place["y_offset"] == pytest.approx(ahead, abs=0.01)
            assert entry["depth_caption"]["depth"] == pytest.approx(math.hypot(ahead, left), abs=0.01)
            assert abs(caption.depth_m - math.hypot(ahead, left)) <= 0.5
            assert place["localization_theta"] == pytest.approx(math.degrees(math.atan2(-left, ahead)), abs=0.1)
            assert entry["motion_caption"]["y_vel"] == pytest.approx(actors.velocities[index, 0], abs=0.01)
            assert entry["motion_caption"]["x_vel"] == pytest.approx(-actors.velocities[index, 1], abs=0.01)
            length, width, height = sizes_of(actors)[index]
            assert entry["3d_size"] == pytest.approx([width, length, height])
            count += 1
    assert count == len(said.tod3cap) > 300


@pytest.mark.parametrize(
    ("kind", "x", "y", "heading", "speed", "flags", "motion", "place", "direction"),
    [
        (ActorKind.CAR, 20, 0, 0.0, 8.0, 0, Motion.SAME_WAY, Place.EGO_LANE, Direction.FRONT),
        (ActorKind.CAR, 20, 3.5, np.pi, 8.0, 0, Motion.ONCOMING, Place.OPPOSITE_LANE, Direction.FRONT),
        (ActorKind.CAR, -20, -3.5, 0.0, 8.0, 0, Motion.SAME_WAY, Place.RIGHT_LANE, Direction.BACK),
        (ActorKind.CAR, 6, -5.0, 0.0, 0.0, ActorFlag.PARKED, Motion.PARKED, Place.ROADSIDE, Direction.FRONT_RIGHT),
        (ActorKind.PEDESTRIAN, 3, 10, 0.0, 1.3, 0, Motion.SAME_WAY, Place.PAVEMENT, Direction.LEFT),
        (ActorKind.PEDESTRIAN, 50, 0, np.pi / 2, 1.3, 0, Motion.TO_LEFT, Place.CROSSING, Direction.FRONT),
        (ActorKind.PEDESTRIAN, 20, -20, -np.pi / 2, 1.3, 0, Motion.TO_RIGHT, Place.OFF_ROAD, Direction.FRONT_RIGHT),
        (ActorKind.CONE, 20, -3.5, 0.0, 0.0, 0, Motion.PLACED, Place.RIGHT_LANE, Direction.FRONT),
        (ActorKind.BICYCLE, -4, -3.5, 0.0, 0.0, RIDER, Motion.STOPPED, Place.RIGHT_LANE, Direction.BACK_RIGHT),
    ],
)  # fmt: skip
def test_motion_place_and_direction(kind, x, y, heading, speed, flags, motion, place, direction) -> None:
    other = helpers.actor(kind, 250.0 + x, helpers.EAST_INNER + y, heading=heading, speed=speed, flags=flags)
    ego = EgoState(0.0, 250.0, helpers.EAST_INNER, 0.0, speed=8.0)
    labels = {other.ids[0]: LabelFact("t", 1.0, ("CAM_FRONT",), 1)}
    facts = facts_of(
        KeyFrame("s", WorldState(ego, other, np.zeros(0, np.int64)), 250.0, Command.STRAIGHT, None, labels)
    )
    caption = caption_of(facts, 0)
    assert (caption.motion, caption.place, caption.direction) == (motion, place, direction)


def test_directions_of_a_turned_ego() -> None:
    """The same crowd and ego, turned together about the ego, look the same."""
    frame = crowded_scene(3)[4]
    ego, actors = frame.state.ego, frame.state.actors
    turn = 0.7
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    positions = actors.positions.copy()
    positions[:, :2] = (positions[:, :2] - ego.xy) @ rotation.T + ego.xy
    turned = replace(
        actors, positions=positions, headings=actors.headings + turn, velocities=actors.velocities @ rotation.T
    )
    state = WorldState(replace(ego, heading=ego.heading + turn), turned, frame.state.signals)
    first, second = facts_of(frame), facts_of(replace(frame, state=state))
    assert np.allclose(first.offsets, second.offsets)
    assert np.allclose(first.velocities, second.velocities)
    assert first.motions == second.motions


def test_statuses_are_the_labels_attributes() -> None:
    words = {
        "vehicle.moving": "moving", "vehicle.stopped": "stopped", "vehicle.parked": "parked", "": "",
        "cycle.with_rider": "with rider", "cycle.without_rider": "without rider", "pedestrian.moving": "moving",
        "pedestrian.standing": "standing", "pedestrian.sitting_lying_down": "not standing",
    }  # fmt: skip
    for kind in ActorKind:
        for flags in range(64):
            for speed in (0.0, 0.19, 0.21, 5.0):
                assert status_of(kind, flags, speed) == words[attribute_of(kind, speed, flags)]


def test_sectors_and_directions() -> None:
    angles = np.radians([0, 29, 31, 89, 91, 149, 151, 180, -151, -149, -91, -31, -29])
    names = ["front", "front", *["front left"] * 2, *["back left"] * 2, *["back"] * 3, "back right", "back right",
             "front right", "front"]  # fmt: skip
    assert [SECTORS[i] for i in sector_of(angles)] == names
    eight = [direction_of(math.radians(angle)).value for angle in (0, 44, 46, 91, 136, 179, -136, -91, -23, -22)]
    assert eight == ["front", "front left", "front left", "left", "back left", "back", "back right", "right",
                     "front right", "front"]  # fmt: skip


# An independent reading of the questions, from the actors themselves.
def members(thing: Thing, frame: KeyFrame) -> list[int]:
    actors, ego = frame.state.actors, frame.state.ego
    found = []
    origin = (ego.x + VIRTUAL_MODEL_ORIGIN_EGO[0], ego.y)
    skipped = -1
    if thing.anchor is not None:
        (skipped,) = members(thing.anchor, frame)
        origin = tuple(actors.positions[skipped, :2])
    for index, name in enumerate(actors.ids):
        label = frame.labels.get(name)
        if label is None or not label.cameras or index == skipped:
            continue
        kind = name.rpartition("-")[0]
        noun = {"van": "car", "cone": "traffic cone"}.get(kind, kind)
        if thing.noun not in (THING, noun) or thing.status not in ("", status(frame, index)):
            continue
        delta = actors.positions[index, :2] - origin
        angle = math.degrees(math.atan2(delta[1], delta[0])) % 360
        sector = SECTORS[int(((angle + 30) % 360) // 60)]
        if thing.sector in ("", sector):
            found.append(index)
    return found


def status(frame: KeyFrame, index: int) -> str:
    actors = frame.state.actors
    kind = ActorKind[actors.ids[index].rpartition("-")[0].upper()]
    return status_of(kind, int(actors.flags[index]), float(actors.speeds[index]))


def answered(question: Question, frame: KeyFrame) -> str:
    things = members(question.things, frame)
    if question.form in (Form.EXIST_SAME, Form.COUNT_SAME):
        (other,) = members(question.other, frame)
        things = [i for i in things if i != other and status(frame, i) == status(frame, other)]
    if question.form.template_type == "exist":
        return "yes" if things else "no"
    if question.form.template_type == "count":
        return str(len(things))
    (it,) = things
    if question.form is Form.OBJECT:
        kind = frame.state.actors.ids[it].rpartition("-")[0]
        return {"van": "car", "cone": "traffic cone"}.get(kind, kind)
    if question.form is Form.STATUS:
        return status(frame, it)
    (other,) = members(question.other, frame)
    assert other != it
    return "yes" if status(frame, it) == status(frame, other) else "no"


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_right(split: str) -> None:
    number = 0
    for seed in range(3):
        frames = {frame.sample_token: frame for frame in crowded_scene(seed)}
        facts = {token: facts_of(frame) for token, frame in frames.items()}
        for row in annotated(seed, split=split).questions:
            question = parse_question(row["question"])
            assert question.num_hop == row["num_hop"] and question.form.template_type == row["template_type"]
            assert answer(question, facts[row["sample_token"]]) == row["answer"], row
            assert answered(question, frames[row["sample_token"]]) == row["answer"], row
            number += 1
    assert number > 300


def test_questions_without_one_right_answer_have_none() -> None:
    facts = facts_of(crowded_scene(0)[0])
    many = next(noun for noun in CLASSES if (facts.classes == CLASSES.index(noun)).sum() > 1)
    assert answer(Question(Form.STATUS, Thing(many)), facts) is None
    assert answer(Question(Form.EXIST, Thing("car", "", "front", Thing(many))), facts) is None
    assert answer(Question(Form.STATUS, Thing("traffic cone")), facts) is None
    assert answer(Question(Form.COMPARISON, Thing("bus"), Thing("bus")), facts) is None
    assert answer(Question(Form.COUNT, Thing(THING)), facts) is None  # more than the vocabulary can count


def test_key_frames_ask_each_question_once() -> None:
    per_frame: defaultdict[str, list[str]] = defaultdict(list)
    for row in annotated(4).questions:
        per_frame[row["sample_token"]].append(row["question"])
    assert max(len(texts) for texts in per_frame.values()) <= 20
    assert np.mean([len(texts) for texts in per_frame.values()]) > 6
    for texts in per_frame.values():
        assert len({parse_question(text) for text in texts}) == len(texts)


def test_answers_cannot_be_guessed() -> None:
    """Every answer to a kind of question leads by at most one in a scene, yes and no by noun and status as well."""
    for seed in range(3):
        by_kind: defaultdict[object, Counter[str]] = defaultdict(Counter)
        by_words: defaultdict[object, Counter[str]] = defaultdict(Counter)
        for row in annotated(seed).questions:
            question = parse_question(row["question"])
            by_kind[question.form, question.num_hop][row["answer"]] += 1
            if row["answer"] in ("yes", "no"):
                words = question.form, question.num_hop, question.things.noun, question.things.status
                by_words[words][row["answer"]] += 1
        for kind, answers in by_kind.items():
            (_, most), *others = answers.most_common()
            assert most <= (others[0][1] if others else 0) + 1, (kind, answers)
        assert all(abs(answers["yes"] - answers["no"]) <= 1 for answers in by_words.values())
        spread = Counter(row["answer"] for row in annotated(seed).questions if row["template_type"] == "count")
        assert len(spread) >= 5


def test_an_empty_street() -> None:
    frame = crowded_scene(0)[0]
    empty = replace(frame, labels={})
    said = annotate_scene(
        [empty], helpers.straight_city(), helpers.straight_route(), scene_name="s", split="val", seed=0
    )
    assert said.questions == [] and said.tod3cap == {} and list(said.nu_x) == [frame.sample_token]


def test_words_depend_on_seed_scene_and_split_only() -> None:
    base = annotated(5)
    assert annotated(5) == base
    assert annotated(5, word_seed=1) != base
    assert annotated(5, name="scene-0002") != base
    assert annotated(5, split="val").nu_x != base.nu_x


def test_a_split_may_speak_with_the_words_of_another() -> None:
    own, lent = annotated(5, split="val"), annotated(5, split="val", wording="train")
    assert {row["split"] for row in lent.questions} == {"val"}
    assert [row["answer"] for row in lent.questions] == [row["answer"] for row in own.questions]
    assert [row["question"] for row in lent.questions] != [row["question"] for row in own.questions]
    words = {text for row in lent.nu_x.values() for text in row.values()}
    assert words != {text for row in own.nu_x.values() for text in row.values()}
    train = {text for seed in range(30) for row in annotated(5, word_seed=seed).nu_x.values() for text in row.values()}
    assert words <= train


def test_same_bytes_in_another_process() -> None:
    code = "import test_world_language_scene as t; print(t.digest())"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == digest()


def digest() -> str:
    return hashlib.sha256(json.dumps(asdict(annotated(6))).encode()).hexdigest()


def test_colours_have_names() -> None:
    named = {(255, 255, 255): "white", (10, 10, 10): "black", (200, 30, 30): "red", (30, 40, 110): "dark blue",
             (230, 200, 40): "yellow", (128, 128, 128): "grey"}  # fmt: skip
    assert {rgb: color_name(rgb) for rgb in named} == named
    rng = np.random.default_rng(3)
    assert {color_name(rgb) for rgb in rng.integers(0, 256, (2000, 3))} <= set(COLOR_NAMES)


@pytest.mark.slow
def test_a_recorded_drive_is_told(shared_dir: Path) -> None:
    """Real traffic: everything that is said reads back, and is answered alike."""
    from aln_p3_core.world.scenarios.log_stage import open_log_stage
    from aln_p3_core.world.simulation import Simulation

    stage = open_log_stage(shared_dir / "data" / "mini_logs" / "scene-0757.npz")
    assert stage.recorded_ego is not None
    frames = []
    with Simulation(stage, {}) as simulation:
        while not simulation.finished and len(frames) < 12:
            state = simulation.state
            near = np.hypot(*(state.actors.positions[:, :2] - state.ego.xy).T) < 50.0
            labels = {
                name: LabelFact(f"{len(frames)}-{name}", 1.0, ("CAM_FRONT",), 1)
                for name, is_near in zip(state.actors.ids, near, strict=True)
                if is_near
            }
            route_s = simulation.route_s
            frames.append(KeyFrame(f"s{len(frames)}", state, route_s, Command.STRAIGHT, None, labels))
            for _ in range(10):
                simulation.advance(stage.recorded_ego(simulation.next_time_s))
    for frame, said in zip(
        frames, annotate_frames(frames, stage.city, stage.route, Chooser("val", 1, "log")), strict=True
    ):
        assert parse_statement(said.narration, said.reasoning) == said.statement
        assert len(said.facts) == len(frame.labels)
        assert all(answer(asked.question, said.facts) == asked.answer for asked in said.asked)
        assert re.fullmatch(r"the (ego )?(car|vehicle) .+", said.narration)


def test_join_of_two_scenes_keeps_labels_apart() -> None:
    """An actor that no label names is in no text, though it is there."""
    frame = crowded_scene(0)[0]
    ghost = helpers.actor(ActorKind.BUS, 260.0, 0.0, name="ghost")
    state = WorldState(frame.state.ego, join_actors([frame.state.actors, ghost]), frame.state.signals)
    assert facts_of(replace(frame, state=state)).ids == facts_of(frame).ids
