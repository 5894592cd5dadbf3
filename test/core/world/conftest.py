"""A small recorded data set, made once for all tests that read one."""

from __future__ import annotations

from pathlib import Path

import pytest
from recording_helpers import RECORDED, RECORDED_TASKS

from aln_p3_core.world.recorder.recording import record_root
from aln_p3_core.world.render.available import rendering_problem


@pytest.fixture(scope="session")
def recorded_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of two seconds (four key frames each), driven by the expert."""
    problem = rendering_problem()
    if problem:
        pytest.skip(problem)
    root = tmp_path_factory.mktemp("recorded") / "root"
    recorded = record_root(root, RECORDED, RECORDED_TASKS)
    assert not recorded.failed, recorded.failed
    return root
