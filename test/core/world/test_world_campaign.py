"""Campaigns: routes are driven once, by any number of processes to the same bytes, and one failure loses no other."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import pytest
import world_helpers as helpers

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.world import scenarios
from aln_p3_core.world.actors import ActorKind
from aln_p3_core.world.closed_loop import campaign, route_task
from aln_p3_core.world.closed_loop.campaign import (
    CampaignRoute,
    choose_planners,
    plan_campaign,
    run_campaign,
    seeded_routes,
)
from aln_p3_core.world.closed_loop.drives import LogDrive, find_drive, name_drive
from aln_p3_core.world.closed_loop.human_drive import drive_human
from aln_p3_core.world.closed_loop.route_task import RouteTask
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.episode import Episode
from aln_p3_core.world.planners.model_planner import ModelPlanner
from aln_p3_core.world.planners.planner import straight_plan
from aln_p3_core.world.weather import Condition, Weather

SETTINGS = DriveSettings(time_limit_s=12.0)
FREE = Episode("free", "straight", 1)
PARKED = Episode("parked", "straight", 2, Weather(Condition.RAIN, 5), settings=(("gap", 3),))
BROKEN = Episode("broken", "straight", 3)
HUMAN_SPEED = 8.0


def open_small_stage(episode):
    if episode.scenario == "broken":
        raise DataError("this street was not built")
    car = helpers.actor(ActorKind.CAR, 45.0, helpers.EAST_INNER) if episode.scenario == "parked" else None
    return helpers.stage(car, route=helpers.straight_route(length=80.0), speed=8.0)


def open_small_log(path, mode="replay"):
    def human(time_s):
        return EgoState(time_s, 10.0 + HUMAN_SPEED * time_s, helpers.EAST_INNER, 0.0, speed=HUMAN_SPEED)

    stage = helpers.stage(route=helpers.straight_route(length=200.0), speed=HUMAN_SPEED, duration_s=6.0)
    return replace(stage, recorded_ego=human)


@pytest.fixture
def small_world(monkeypatch):
    monkeypatch.setattr(scenarios, "open_stage", open_small_stage)
    monkeypatch.setattr(scenarios, "open_log_stage", open_small_log)


def tasks_for(out, *episodes, planners=("stand_still", "constant_velocity"), settings=SETTINGS, **options):
    routes = [CampaignRoute(episode) for episode in episodes]
    return plan_campaign(routes, choose_planners(planners), settings, out, **options)


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_route_leaves_a_report(small_world, tmp_path):
    outcome = run_campaign(tasks_for(tmp_path, FREE, PARKED), tmp_path)
    assert [(r["planner"], r["episode"]["scenario"]) for r in outcome.reports] == [
        (planner, scenario) for planner in ("stand_still", "constant_velocity") for scenario in ("free", "parked")
    ]
    assert [r["measures"]["success"] for r in outcome.reports] == [False, False, True, False]
    written = json.loads((tmp_path / "routes" / "constant_velocity" / "parked-straight-2-rain-5.json").read_text())
    assert written == outcome.reports[3]
    assert written["measures"]["collisions"]["vehicle"] == 1 and "timing" not in written
    assert json.loads((tmp_path / "timing.json").read_text()).keys() == outcome.timing.keys()
    assert len(outcome.timing) == 4 and outcome.reused == 0


def test_what_was_driven_is_not_driven_again(small_world, tmp_path, monkeypatch):
    first = run_campaign(tasks_for(tmp_path, FREE, PARKED), tmp_path)
    opened = []
    monkeypatch.setattr(scenarios, "open_stage", lambda episode: opened.append(episode) or open_small_stage(episode))
    again = run_campaign(tasks_for(tmp_path, FREE, PARKED), tmp_path)
    assert not opened and again.reports == first.reports and again.reused == 4
    assert again.timing == first.timing

    (tmp_path / "routes" / "stand_still" / "free-straight-1-day-0.json").write_text('{"half":')
    run_campaign(tasks_for(tmp_path, FREE, PARKED), tmp_path)
    assert opened == [FREE]
    for changed in (
        tasks_for(tmp_path, FREE, planners=["stand_still"], settings=replace(SETTINGS, rate_hz=10)),
        tasks_for(tmp_path, FREE, planners=["stand_still"], commit="another"),
        tasks_for(tmp_path, FREE, planners=["stand_still"], commit="another", keep_trace=True),
    ):
        opened.clear()
        run_campaign(changed, tmp_path)
        assert opened == [FREE]
    run_campaign(changed, tmp_path, fresh=True)
    assert opened == [FREE, FREE]


class BlindNetwork(ModelPlanner):
    """A driver that stands still, without a network."""

    needs_images = False

    def __init__(self, precision):
        super().__init__(SimpleNamespace(precision=precision, reset=lambda reason: None), "blind")

    def plan(self, observation):
        return straight_plan(observation.state.time_s, 0.0)


def test_the_precision_of_a_network_is_told_and_can_be_asked_for(small_world, tmp_path, monkeypatch):
    made = []

    def make_planner(name, **options):
        made.append(options["precision"])
        return BlindNetwork("bf16" if options["precision"] == "auto" else options["precision"])

    monkeypatch.setattr(route_task, "make_planner", make_planner)
    route_task._planner.cache_clear()

    def drive(**options):
        tasks = tasks_for(
            tmp_path, FREE, planners=["untrained:nano"], settings=DriveSettings(time_limit_s=1.0), **options
        )
        outcome = run_campaign(tasks, tmp_path)
        return outcome.reports[0].get("precision"), outcome.reused

    assert drive() == ("bf16", 0) and made == ["auto"]
    assert drive() == ("bf16", 1) and drive(precision="bf16") == ("bf16", 1)
    assert drive(precision="fp32") == ("fp32", 0) and made == ["auto", "fp32"]
    assert drive() == ("fp32", 1), "auto takes what is there"

    (path,) = (tmp_path / "routes").glob("*/*.json")  # as reports were before they told it
    path.write_text(
        json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "precision"})
    )
    assert drive() == (None, 1)
    assert drive(precision="fp32") == ("fp32", 0)
    route_task._planner.cache_clear()


def test_a_planner_without_a_network_has_no_precision(small_world, tmp_path):
    for reused in (0, 1):
        outcome = run_campaign(tasks_for(tmp_path, FREE, planners=["stand_still"], precision="fp32"), tmp_path)
        assert outcome.reports[0]["precision"] == "" and outcome.reused == reused


def test_one_failure_loses_no_other_route(small_world, tmp_path):
    seen = []
    tasks = tasks_for(tmp_path, BROKEN, FREE, planners=["constant_velocity"])
    outcome = run_campaign(tasks, tmp_path, on_route=lambda task, result, reused: seen.append((task.name, reused)))
    assert len(outcome.reports) == 1 and outcome.reports[0]["measures"]["success"]
    ((key, text),) = outcome.errors.items()
    assert key == "constant_velocity/broken-straight-3-day-0" and "this street was not built" in text
    assert seen == [("broken-straight-3-day-0", False), ("free-straight-1-day-0", False)]


class DeadlyTask:
    """Ends the process that is handed it, as a crash in native code does."""

    planner = choose_planners(["stand_still"])[0]
    name = "deadly"

    def finished(self):
        return None

    def __reduce__(self):
        return os._exit, (9,)


def test_a_process_that_dies_loses_no_other_route(tmp_path):
    absent = Episode("no such scenario", "iris-bridge", 0)
    tasks = [DeadlyTask(), *tasks_for(tmp_path, absent, planners=["stand_still", "route_blind"])]
    outcome = run_campaign(tasks, tmp_path, jobs=2)
    assert "process died" in outcome.errors["stand_still/deadly"]
    others = [text for key, text in outcome.errors.items() if "deadly" not in key]
    assert len(others) == 2 and all("no such scenario" in text for text in others)


class Stopping:
    """A task whose process sends Ctrl-C to the campaign's, and works on."""

    def finished(self):
        return None

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        work = f"os.kill(os.getppid(), signal.SIGINT); time.sleep(60); open({str(self.file)!r}, 'w').close()"
        return exec, (f"import os, signal, time; {work}",)


@pytest.fixture
def terminal():
    """Ctrl-C counts, as at a terminal; jobs that a shell began in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_campaign_that_is_stopped_waits_for_no_route(terminal, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        campaign._run_in_pool([Stopping(tmp_path / "driven")], [0], 1, lambda index, outcome: None)
    assert not (tmp_path / "driven").exists() and not active_children()


@pytest.mark.slow
def test_jobs_never_change_a_byte(tmp_path):
    episodes = [scenarios.make_episode("free_driving", "iris-bridge", seed, duration_s=2.0) for seed in (3, 4)]
    settings = DriveSettings(rate_hz=2)
    contents = []
    for jobs, order in ((1, (0, 1)), (2, (1, 0))):
        out = tmp_path / str(jobs)
        drives = [episodes[index] for index in order]
        tasks = tasks_for(out, *drives, planners=["route_blind"], settings=settings, keep_trace=True)
        outcome = run_campaign(tasks, out, jobs=jobs)
        assert not outcome.errors
        contents.append(files_in(out / "routes"))
    assert len(contents[0]) == 4
    assert contents[0] == contents[1]


def test_seeds_are_told_apart_and_nested():
    one, two = seeded_routes("quick", 1, split="val"), seeded_routes("quick", 2, split="val")
    assert two[: len(one)] == one and {route.repetition for route in one} == {0}
    assert [route.repetition for route in two].count(1) == len(two) - len(one) > 0
    with pytest.raises(ConfigError, match="quick"):
        seeded_routes("no set", 1, split="val")


def test_planners_get_labels_of_their_own(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "best.safetensors").write_bytes(folder.encode())
    files = [str(tmp_path / folder / "best.safetensors") for folder in ("a", "b")]
    chosen = choose_planners(["route_blind", *files])
    assert [planner.label for planner in chosen] == ["route_blind", "best", "b-best"]
    assert chosen[1].checkpoint_hash != chosen[2].checkpoint_hash and not chosen[0].checkpoint_hash
    with pytest.raises(ConfigError, match="named twice"):
        choose_planners(["route_blind", "route_blind"])
    with pytest.raises(ConfigError, match="no planner 'nobody'"):
        choose_planners(["nobody"])


def test_routes_of_the_same_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="twice: free-straight-1-day-0"):
        tasks_for(tmp_path, FREE, replace(FREE, settings=(("gap", 1),)))


def test_a_drive_is_found_by_its_identity(tmp_path):
    path = tmp_path / "scene.npz"
    path.write_bytes(b"log")
    for what in (FREE, PARKED, LogDrive(path, "react", Weather(Condition.NIGHT, 3))):
        assert find_drive(json.loads(json.dumps(name_drive(what)))) == what
    with pytest.raises(DataError, match="names no drive"):
        find_drive({"scenario": "free"})
    with pytest.raises(DataError, match="no recorded log"):
        LogDrive(tmp_path / "none.npz")
    with pytest.raises(ConfigError, match="replay, react"):
        LogDrive(path, "backwards")


def test_a_log_has_a_row_of_its_human(small_world, tmp_path):
    path = tmp_path / "scene.npz"
    path.write_bytes(b"log")
    planners = ["stand_still", "human"]
    outcome = run_campaign(tasks_for(tmp_path, LogDrive(path), planners=planners, settings=DriveSettings()), tmp_path)
    still, human = outcome.reports
    assert human["planner"] == "human" and human["measures"]["status"] == "recording_over"
    assert human["measures"]["route_completion"] == pytest.approx(100.0)
    assert human["measures"]["success"] and human["measures"]["mean_speed"] == pytest.approx(HUMAN_SPEED)
    assert not still["measures"]["success"] and still["human"]["departure_m"] > 10
    assert not tasks_for(tmp_path, FREE, planners=["human"])
    with pytest.raises(ConfigError, match="recorded log"):
        drive_human(helpers.stage(), DriveSettings(), {})


def test_another_way_to_drive_is_used_and_named(small_world, tmp_path):
    asked = []

    def through_topics(what, planner, settings, threads=1, precision="auto"):
        from aln_p3_core.world.closed_loop.runner import drive_episode
        from aln_p3_core.world.planners.registry import make_planner

        asked.append((what, planner))
        return drive_episode(what, make_planner(planner), settings)

    tasks = tasks_for(tmp_path / "a", FREE, planners=["constant_velocity"], through="ros")
    outcome = run_campaign(tasks, tmp_path / "a", via=through_topics)
    assert not outcome.errors
    outside = outcome.reports[0]
    inside = run_campaign(tasks_for(tmp_path / "b", FREE, planners=["constant_velocity"]), tmp_path / "b").reports[0]
    assert asked == [(FREE, "constant_velocity")] and outside["through"] == "ros"
    assert {**outside, "through": "python"} == inside
    with pytest.raises(ConfigError, match="one job"):
        run_campaign(tasks, tmp_path / "a", via=through_topics, jobs=2)
    with pytest.raises(ConfigError, match="1 or more"):
        run_campaign(tasks, tmp_path / "a", jobs=0)


def test_a_task_is_no_more_than_its_files(tmp_path):
    task = RouteTask(FREE, choose_planners(["stand_still"])[0], SETTINGS, tmp_path)
    assert task.json_path == Path(tmp_path / "free-straight-1-day-0.json") and task.finished() is None
    assert campaign.ROUTES_FOLDER == "routes"
