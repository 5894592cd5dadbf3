import threading

import pytest
import torch

from aln_p3_core.driver.tap import is_recording, recording, tap


def test_records_copies_only_while_on():
    x = torch.zeros(2)
    tap("before", x)
    with recording() as taps:
        assert is_recording()
        tap("x", x)
        tap("lazy", lambda: x + 1)
        x += 5
    tap("after", x)
    assert not is_recording()
    assert {name: t.tolist() for name, t in taps.items()} == {"x": [0, 0], "lazy": [1, 1]}


def test_off_nothing_is_computed():
    def fail():
        raise AssertionError

    tap("x", fail)


def test_other_threads_are_not_recorded():
    with recording() as taps:
        thread = threading.Thread(target=tap, args=("x", torch.zeros(1)))
        thread.start()
        thread.join()
    assert taps == {}


def test_recordings_do_not_nest_and_end_on_an_error():
    with pytest.raises(RuntimeError, match="already"), recording(), recording():
        pass
    assert not is_recording()
