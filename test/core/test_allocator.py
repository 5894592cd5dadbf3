import sys

import pytest

from aln_p3_core.runtime.allocator import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_takes_the_setting_and_memory_still_works():
    import torch

    assert keep_freed_memory() in (True, False)
    assert float(torch.ones(1 << 20).sum()) == 1 << 20
