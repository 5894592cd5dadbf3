"""Memory that is freed stays with the process."""

import platform
import subprocess
import sys

import pytest

#: Page faults of filling 64 MB, freeing them, and filling 64 MB again; in a process whose allocator nobody has set.
MEASURE = """
import resource
from aln_p3_core.runtime.allocator import keep_freed_memory
taken = keep_freed_memory() if {kept} else None
faults = []
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * (64 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(taken, *faults)
"""


def measured(kept: bool) -> list[str]:
    code = MEASURE.format(kept=kept)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    ).stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_what_was_freed_costs_no_page_faults_again() -> None:
    (_, first, second), (taken, kept_first, kept_second) = measured(False), measured(True)
    assert taken == "True"
    assert int(first) > 1000 and int(second) > 1000 and int(kept_first) > 1000, "fresh memory is paid for"
    assert int(kept_second) < 0.1 * int(second)
