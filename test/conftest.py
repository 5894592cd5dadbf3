"""Fixtures and settings shared by all tests: where real data and golden tensors lie, chance, caches."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import run_complete
import run_order
from hypothesis import settings
from run_complete import shared_data, shared_folder

from aln_p3_core.cache import cache_folder

# Property tests: the same examples in every run, and no test fails because the machine is busy.
settings.register_profile("repository", deadline=None, derandomize=True, database=None)
settings.load_profile("repository")


def pytest_configure(config: pytest.Config) -> None:
    """Plugs in what decides on order and completeness, and gives the run an empty cache of its own."""
    for plugin in (run_complete, run_order):
        config.pluginmanager.register(plugin)
    # The processes of a run share the cache of the one that starts them.
    if not hasattr(config, "workerinput"):
        folder = _fresh_cache()
        os.environ["ALN_P3_CACHE"] = str(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder))


def _fresh_cache() -> Path:
    """An empty cache, but for language models: half a minute of work, named by what they are made of."""
    kept = cache_folder() / "language"
    kept.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="aln_p3-tests-"))
    (folder / kept.name).symlink_to(kept.resolve())
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What a test (or a fixture made for it) draws, and its threads, do not depend on the tests that ran before it."""
    seed = zlib.crc32(f"{item.path.name}::{item.name}".encode())
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is None:
        return (yield)
    torch.manual_seed(seed)
    threads = torch.get_num_threads()
    try:
        return (yield)
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real test data and golden tensors: $ALN_P3_SHARED, else `shared` beside the repository."""
    return shared_data(shared_folder())


@pytest.fixture(scope="session")
def keyframe_root(shared_dir: Path) -> Path:
    """nuScenes-schema root with one real six-camera key frame."""
    return shared_data(shared_dir / "data" / "nuscenes_keyframe")


@pytest.fixture(scope="session")
def surround_root(shared_dir: Path) -> Path:
    """nuScenes-schema root with three real frames of another six-camera rig."""
    return shared_data(shared_dir / "data" / "surround_clip")


@pytest.fixture(scope="session")
def vad_oracle(shared_dir: Path) -> Path:
    """Folder of golden tensors of the released VAD code at reduced size."""
    return shared_data(shared_dir / "oracle" / "vad_a")


@pytest.fixture(scope="session")
def track_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nuScenes-schema root of the procedural test track: two seconds, key frames at 2 Hz. Never missing."""
    from aln_p3_core.synthetic.root import write_root

    root = tmp_path_factory.mktemp("track") / "root"
    write_root(root, seconds=2.0, size=(400, 225))
    return root
