"""Where caches go."""

from __future__ import annotations

from pathlib import Path

import pytest

from aln_p3_core.cache import cache_folder


def test_the_nearest_wish_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ALN_P3_CACHE", "/own"), ("XDG_CACHE_HOME", "/caches"), ("HOME", "/home/somebody")):
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path("/own")
    monkeypatch.setenv("ALN_P3_CACHE", "")
    assert cache_folder() == Path("/caches/aln_p3")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path("/home/somebody/.cache/aln_p3")
    monkeypatch.delenv("ALN_P3_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/somebody/.cache/aln_p3")


def test_tests_leave_the_users_cache_alone() -> None:
    """But for language models, which they share with it (test/conftest.py)."""
    assert cache_folder().name.startswith("aln_p3-tests-") and (cache_folder() / "language").is_symlink()
