"""`aln-p3 world drive` and `world film` on one short episode, and what they say when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aln_p3_core.cli import CORE_COMMANDS, make_cli
from aln_p3_core.commands import world_film
from aln_p3_core.commands.world_drive import make_command
from aln_p3_core.world.closed_loop.runner import drive_episode
from aln_p3_core.world.planners.registry import make_planner

EPISODE = ["--scenario", "free_driving", "--city", "iris-bridge", "--seed", "3", "--condition", "dusk"]
SHORT = [*EPISODE, "--time-limit", "1.5"]


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(make_cli(CORE_COMMANDS), ["world", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def driven(tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("drive")
    code, said = run("drive", "--planner", "route_blind", "--planner", "stand_still", *SHORT, "--film", "bev",
                     "--traces", "--report", out)  # fmt: skip
    assert code == 0, said
    return out, said


def only_route(out: Path, planner: str) -> Path:
    (path,) = (out / "routes" / planner).glob("*.json")
    return path


def test_a_drive_leaves_table_page_plot_and_film(driven):
    out, said = driven
    assert "| route_blind | 1 |" in said and "time-outs" in said
    assert {path.name for path in out.iterdir()} >= {"index.html", "table.md", "plot.png", "summary.json", "routes"}
    report = json.loads(only_route(out, "route_blind").read_text())
    assert report["episode"]["condition"] == "dusk" and report["measures"]["duration_s"] == 1.5
    for name in (report["films"]["bev"], report["trace"]):
        assert only_route(out, "route_blind").with_name(name).stat().st_size > 1000
    assert json.loads((out / "summary.json").read_text())["seeds"] == 1


def test_a_second_call_drives_nothing(driven):
    out, _ = driven
    code, said = run("drive", "--planner", "route_blind", *SHORT, "--film", "bev", "--report", out)
    assert code == 0 and "1 of 1 drives were in the report already" in said


def test_a_stored_route_is_filmed_and_without_its_trace_driven_again(driven, tmp_path):
    out, _ = driven
    route = only_route(out, "route_blind")
    films = []
    for name in ("stored", "again"):
        copy = tmp_path / name / route.name
        copy.parent.mkdir()
        copy.write_bytes(route.read_bytes())
        if name == "stored":
            copy.with_suffix(".npz").write_bytes(route.with_suffix(".npz").read_bytes())
        code, said = run("film", copy, "--view", "bev")
        assert code == 0 and "otherwise" not in said
        films.append(copy.with_name(f"{route.stem}.bev.gif").read_bytes())
    assert films[0] == films[1] == route.with_name(f"{route.stem}.bev.gif").read_bytes()


def test_through_topics_the_given_function_drives(tmp_path):
    asked = []

    def through_topics(what, planner, settings, threads=1, precision="auto"):
        asked.append((planner, precision))
        return drive_episode(what, make_planner(planner), settings)

    arguments = ["--planner", "stand_still", *SHORT, "--ros", "--precision", "fp32", "--report", str(tmp_path)]
    result = CliRunner().invoke(make_command(through_topics), arguments)
    assert result.exit_code == 0 and asked == [("stand_still", "fp32")], result.output
    assert json.loads(only_route(tmp_path, "stand_still").read_text())["through"] == "ros"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--planner", "nobody", *SHORT], "no planner 'nobody'; choices: stand_still"),
        (["--planner", "stand_still", "--routes", "nowhere"], "no set of routes 'nowhere'; choose one of quick"),
        (["--planner", "stand_still", "--split", "nowhere"], "no cities for split 'nowhere'"),
        (["--planner", "stand_still", "--log", "none.npz"], "no recorded log none.npz"),
        (["--planner", "stand_still", "--scenario", "nothing"], "no scenario 'nothing'"),
        (["--planner", "stand_still", "--routes", "quick", "--scenario", "cut_in"], "choose one of"),
        (["--planner", "stand_still", "--condition", "night"], "--condition goes with"),
        (["--planner", "stand_still", *SHORT, "--rate", "3"], "3 Hz does not fit"),
        (["--planner", "stand_still", *SHORT, "--size", "100x100"], "400x225"),
        (["--planner", "stand_still", *SHORT, "--jobs", "0"], "'--jobs': 0 is not in the range x>=1"),
        (["--planner", "stand_still", *SHORT, "--ros"], "--ros needs"),
        (["--planner", "stand_still", "--routes", "quick", "--seeds", "0"], "'--seeds': 0 is not in the range x>=1"),
        (["--planner", "stand_still", *SHORT, "--threads", "0"], "'--threads': 0 is not in the range x>=1"),
        (["--planner", "stand_still", "--scenario", "cut_in", "--seed", "-1"], "'--seed': -1 is not in the range"),
        (["--planner", "stand_still", *EPISODE, "--time-limit", "nan"], "'nan' is no number"),
        (["--planner", "stand_still", *EPISODE, "--time-limit", "0"], "0.0 is not in the range x>0"),
        (["--planner", "stand_still", "--log", __file__], "is no .npz file that can be read"),
        ([*SHORT], "Missing option '--planner'"),
    ],
)  # fmt: skip
def test_mistakes_are_told(arguments, message, tmp_path):
    code, said = run("drive", *arguments, "--report", tmp_path)
    assert code != 0 and message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["drive", "--planner", "stand_still", *SHORT, "--report"],
        ["drive", "--planner", "expert", "--relabel", "expert", "--out"],
        ["record", "--scenes", "1", "--out"],
        ["look", "--out"],
        ["bench", "--json"],
        ["stats", ".", "--out"],
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(arguments, tmp_path):
    (tmp_path / "file").write_text("kept")
    code, said = run(*arguments, tmp_path / "file" / "out")
    assert code == 2 and f"{tmp_path / 'file'} is no folder" in " ".join(said.split())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_a_film_is_told_before_the_work_where_it_cannot_go(driven, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("kept")
    code, said = run("film", only_route(driven[0], "route_blind"), "--out", tmp_path / "file" / "out")
    assert code == 2 and "is no folder" in " ".join(said.split())
    monkeypatch.setattr(world_film, "write_problem", lambda folder: f"nothing can be written into {folder}")
    code, said = run("film", only_route(driven[0], "route_blind"))
    assert code == 2 and "--out" in said, "nor beside the route"


def test_a_route_that_cannot_be_driven_is_told(tmp_path):
    # The scenario exists, the city does not: found out when its stage is opened.
    code, said = run("drive", "--planner", "stand_still", "--scenario", "free_driving", "--city", "atlantis",
                     "--report", tmp_path)  # fmt: skip
    assert code != 0 and "no city 'atlantis'" in said


def test_film_refuses_what_is_no_route(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    code, said = run("film", path)
    assert code != 0 and "no report of a route" in said


def test_help_teaches_with_examples():
    code, said = run("drive", "--help")
    assert code == 0 and "aln-p3 world drive --planner expert --planner route_blind --routes all" in said
