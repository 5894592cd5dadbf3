"""The report of a campaign: means, totals and ranges of hand-made results, and the files that show them."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from aln_p3_core.world.closed_loop.campaign import CampaignOutcome
from aln_p3_core.world.closed_loop.events import InfractionKind
from aln_p3_core.world.closed_loop.report import ReportCard, speeds, write_report
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.statistics import summarise


def report(planner, scenario, seed, *, score=100.0, success=True, own_fault=None, human=None, films=None, **changes):
    """A route's report with everything in order but what is told."""
    counts = dict.fromkeys((kind.value for kind in InfractionKind), 0)
    collisions = dict.fromkeys(("pedestrian", "cyclist", "vehicle", "static"), 0)
    for key in list(changes):
        if key in collisions:
            collisions[key] = changes.pop(key)
        elif key in counts:
            counts[key] = changes.pop(key)
    measures = {
        "status": "completed", "driving_score": score, "success": success,
        "success_own_fault": success if own_fault is None else own_fault, "route_completion": 100.0,
        "outside_share": 0.0, "penalty": 1.0, "counts": counts, "collisions": collisions, "own_fault_collisions": 0,
        "comfort": 1.0, "comfort_by_limit": {}, "min_ttc_s": None, "critical_ttc_share": 0.0, "duration_s": 20.0,
        "distance_m": 150.0, "mean_speed": 7.5, "lights_passed": 1, "infractions": [],
    }  # fmt: skip
    result = {
        "protocol": "p", "planner": planner, "planner_name": planner, "checkpoint_hash": "", "through": "python",
        "repetition": seed, "episode": {"name": f"{scenario}-{seed}", "scenario": scenario, "city": "c"},
        "measures": measures | changes, "films": films or {},
    }  # fmt: skip
    return result | ({"human": human} if human else {})


ROUTES = [
    report("good", "free", 0),
    report("good", "cut_in", 0, score=60.0, success=False, own_fault=True, vehicle=1, min_ttc_s=0.5),
    report("good", "free", 1),
    report("good", "cut_in", 1, min_ttc_s=1.5),
    report("bad", "free", 0, score=10.0, success=False, pedestrian=2, own_fault_collisions=2, off_road=1),
    report("bad", "cut_in", 0, score=0.0, success=False, blocked=1, status="blocked"),
]


def group(groups, planner, scenario):
    (found,) = [g for g in groups if (g.planner, g.scenario) == (planner, scenario)]
    return found


def test_means_totals_and_ranges_over_seeds():
    groups = summarise(ROUTES)
    assert [(g.planner, g.scenario) for g in groups] == [
        ("good", "all"), ("good", "free"), ("good", "cut_in"), ("bad", "all"), ("bad", "free"), ("bad", "cut_in")
    ]  # fmt: skip
    whole = group(groups, "good", "all")
    assert (whole.routes, whole.seeds) == (4, 2)
    score = whole.statistics["driving_score"]
    assert (score.value, score.low, score.high) == (90.0, 80.0, 100.0)
    success = whole.statistics["success_rate"]
    assert (success.value, success.low, success.high) == (75.0, 50.0, 100.0)
    assert whole.statistics["success_own_fault_rate"].value == 100.0
    collisions = whole.statistics["collisions"]
    assert (collisions.value, collisions.low, collisions.high) == (1.0, 0.0, 1.0)
    assert whole.statistics["collisions_others_fault"].value == 1.0
    assert whole.statistics["min_ttc_s"].value == 1.0
    bad = group(groups, "bad", "all")
    assert bad.statistics["collisions_pedestrian"].value == 2 and bad.statistics["collisions_own_fault"].value == 2
    assert bad.statistics["off_road"].value == 1 and bad.statistics["blocked"].value == 1
    assert "min_ttc_s" not in bad.statistics and bad.seeds == 1


def test_the_human_is_a_mean_over_recordings():
    routes = [
        report("p", "log", 0, human={"l2_1s": 1.0, "departure_m": 2.0}),
        report("p", "log", 0, human={"l2_1s": 3.0}),
    ]
    assert group(summarise(routes), "p", "all").human == {"l2_1s": 2.0, "departure_m": 2.0}


@pytest.fixture
def card():
    return ReportCard(DriveSettings(), "free and cut_in, 2 seeds", 2, "val", "aln-p3 world drive ...", {"cores": 2})


def outcome():
    timing = {"good/free-0": {"episode_s": 20.0, "world_times_real_time": 4.0},
              "good/free-1": {"episode_s": 20.0, "world_times_real_time": 1.0}}  # fmt: skip
    films = {"bev": "free-0.bev.gif", "cameras": "free-0.cameras.mp4"}
    filmed = report("good", "free", 0, films=films)
    return CampaignOutcome(
        [filmed, *ROUTES[1:]], timing, {"bad/cut_in-1": "Traceback\nDataError: <no> such city\n"}, reused=2
    )


def test_the_report_shows_every_figure_and_leads_to_the_films(card, tmp_path):
    files = write_report(tmp_path, outcome(), card)
    table = files["table"].read_text()
    assert re.search(r"\| good \| 4 \| 90\.0 \(80\.0–100\.0\) \| 75\.0 \(50\.0–100\.0\) \| 100\.0 \|", table)
    assert "| cut_in | 50.0 (0.0–100.0) | 0.0 |" in table
    assert "bad/cut_in-1: DataError: <no> such city" in table
    page = files["page"].read_text()
    assert "src='routes/good/free-0.bev.gif'" in page and "<video controls preload='metadata' src='routes/good/" in page
    assert "&lt;no&gt; such city" in page and "<no>" not in page
    assert "http" not in page.replace("http-equiv", "")
    summary = json.loads(files["json"].read_text())
    assert summary["protocol"] and summary["penalties"]["collision_pedestrian"] == 0.5
    assert summary["world_times_real_time"] == {"good": 1.6}
    assert summary["groups"][0]["metrics"]["driving_score"] == {"value": 90.0, "low": 80.0, "high": 100.0}
    with Image.open(files["plot"]) as plot:
        assert plot.format == "PNG" and min(plot.size) > 300


def test_the_report_says_what_networks_computed_in(card, tmp_path):
    drives = [report("net", "free", seed) | {"precision": name} for seed, name in enumerate(("fp32", "bf16", "fp32"))]
    drives += [report("rules", "free", 0) | {"precision": ""}, report("old", "free", 0)]
    files = write_report(tmp_path, CampaignOutcome(drives), card)
    planners = json.loads(files["json"].read_text())["planners"]
    assert {name: found["precision"] for name, found in planners.items()} == {
        "net": "bf16, fp32",
        "rules": "",
        "old": "",
    }
    assert "; net in bf16, fp32\n" in files["table"].read_text()


def test_the_same_results_give_the_same_files(card, tmp_path):
    contents = []
    for folder in ("a", "b"):
        files = write_report(tmp_path / folder, outcome(), card)
        contents.append({kind: path.read_bytes() for kind, path in files.items()})
    assert contents[0] == contents[1]


def test_speed_weighs_drives_by_their_length():
    timing = {"p/a": {"episode_s": 30.0, "world_times_real_time": 3.0},
              "p/b": {"episode_s": 10.0, "world_times_real_time": 1.0}}  # fmt: skip
    assert speeds(CampaignOutcome([], timing)) == {"p": 2.0}
