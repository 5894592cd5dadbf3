"""Speed of the world: what is measured, and how it is told. Never how fast this machine is."""

from __future__ import annotations

import json

import pytest
import world_helpers as helpers
from click.testing import CliRunner

from aln_p3_core.commands.world_bench import command
from aln_p3_core.world import scenarios
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.closed_loop.speed import PARTS, measure_speed, speed_table
from aln_p3_core.world.episode import Episode


def test_every_setting_is_measured_in_the_parts_of_the_world(monkeypatch):
    opened = []
    monkeypatch.setattr(scenarios, "open_stage", lambda episode: opened.append(episode) or helpers.stage(speed=8.0))
    done = []
    settings = [DriveSettings(rate, images=False, time_limit_s=2.0, trace=False) for rate in (2, 10)]
    results = measure_speed(Episode("free", "straight", 0), settings, runs=2, on_run=lambda: done.append(1))
    assert len(opened) == len(done) == 4 and [r.rate_hz for r in results] == [2, 10]
    for result in results:
        assert result.episode_s == pytest.approx(2.0) and result.runs == 2 and not result.images
        assert result.slowest <= result.times_real_time <= result.fastest
        assert set(result.ms_per_tick) == set(PARTS) and result.ms_per_tick["simulation"] > 0
    lines = speed_table(results).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| none | 2 | ")


def test_the_command_says_what_was_measured(tmp_path):
    path = tmp_path / "speed.json"
    arguments = ["--no-images", "--rate", "2", "--seconds", "1", "--runs", "1", "--json", str(path)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "free driving, iris-bridge, day, seed 0, 1 s, median of 1 runs" in result.output
    report = json.loads(path.read_text())
    assert report["results"][0]["times_real_time"] > 0 and report["cores"] >= 1
