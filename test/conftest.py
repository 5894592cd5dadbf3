"""Fixtures shared by all tests: where real data and golden tensors lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real test data and golden tensors: $ALN_P3_SHARED, else `shared` beside the repository."""
    path = Path(os.environ.get("ALN_P3_SHARED", REPOSITORY.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; set ALN_P3_SHARED to the folder that holds data/ and oracle/")
    return path


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.fixture(scope="session")
def keyframe_root(shared_dir: Path) -> Path:
    """nuScenes-schema root with one real six-camera key frame."""
    return _existing(shared_dir / "data" / "nuscenes_keyframe")


@pytest.fixture(scope="session")
def surround_root(shared_dir: Path) -> Path:
    """nuScenes-schema root with three real frames of another six-camera rig."""
    return _existing(shared_dir / "data" / "surround_clip")


@pytest.fixture(scope="session")
def vad_oracle(shared_dir: Path) -> Path:
    """Folder of golden tensors of the released VAD code at reduced size."""
    return _existing(shared_dir / "oracle" / "vad_a")


@pytest.fixture(scope="session")
def track_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nuScenes-schema root of the procedural test track: two seconds, key frames at 2 Hz. Never missing."""
    from aln_p3_core.synthetic.root import write_root

    root = tmp_path_factory.mktemp("track") / "root"
    write_root(root, seconds=2.0, size=(400, 225))
    return root
