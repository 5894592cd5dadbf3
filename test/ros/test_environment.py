"""The Fast DDS profile that nodes set for themselves."""

from __future__ import annotations

import os

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_ros import environment
from aln_p3_ros.resources import share_path

VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def without_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")


def test_the_shipped_profile_is_used_unless_another_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.use_dds_profile()
    assert {os.environ[name] for name in VARIABLES} == {str(share_path("config", "fastdds.xml"))}
    monkeypatch.setenv(VARIABLES[1], "/mine.xml")
    assert environment.dds_environment() == {}


def test_a_node_goes_on_where_the_profile_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def nowhere(*parts: str) -> None:
        raise ConfigError(f"{'/'.join(parts)} is not found")

    monkeypatch.setattr(environment, "share_path", nowhere)
    environment.use_dds_profile()
    assert not any(os.environ[name] for name in VARIABLES)
    said = capfd.readouterr()
    assert "config/fastdds.xml is not found. Going on without" in said.out + said.err
