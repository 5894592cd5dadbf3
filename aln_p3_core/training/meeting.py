"""Where the processes of a training wait for each other without a limit of time.

A barrier of the process group fails when somebody is late by more than its limit (ten minutes on GPUs), and the first
process prepares frames for hours. Here everybody counts himself in the group's key-value store and looks, now and then,
whether all have come. When a process dies, its launcher ends the others.
"""

from __future__ import annotations

import time

# How often somebody who waits looks, in seconds.
_LOOK_EVERY_S = 0.5


class Meeting:
    """One place after the other where all processes meet; each process has one, and waits as often as the others."""

    def __init__(self, processes: int) -> None:
        """Args: processes: how many there are; alone, nobody waits and no process group is needed."""
        self._processes = processes
        self._held = 0

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self._processes == 1:
            return
        from torch.distributed.distributed_c10d import _get_default_store

        store, place = _get_default_store(), f"aln_p3/meeting/{self._held}"
        self._held += 1
        store.add(place, 1)
        while store.add(place, 0) < self._processes:
            time.sleep(_LOOK_EVERY_S)
