"""The switch for export: on inside its block and in its thread alone."""

from __future__ import annotations

import threading

import pytest

from aln_p3_core.driver.portable import is_portable, portable


def test_the_switch_is_on_inside_the_block_and_in_this_thread_only():
    seen = []
    assert not is_portable()
    with portable():
        assert is_portable()
        thread = threading.Thread(target=lambda: seen.append(is_portable()))
        thread.start()
        thread.join()
    assert seen == [False] and not is_portable()


def test_the_switch_is_off_after_an_error_and_never_on_twice():
    with pytest.raises(KeyError), portable():
        raise KeyError
    assert not is_portable()
    with portable(), pytest.raises(RuntimeError, match="already"), portable():
        pass
    assert not is_portable()
