"""Parity of all metrics with released evaluation code: `check_metrics(folder)`.

The folder has a sub-folder for each metric, with inputs and what the released code makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from aln_p3_core.errors import DataError
from aln_p3_core.evaluation.metric_line import MetricLine

#: Said of a sub-folder whose metric does not exist here.
NOT_YET = "not yet"


def check_metrics(folder: str | Path) -> Iterator[MetricLine]:
    """Compares every sub-folder, in the order of names; one of a metric that is not here gives one line, `NOT_YET`.

    A folder that is itself one metric's (its name says so) is compared alone.

    Raises:
        DataError: when there is no sub-folder, one holds nothing to compare with, or a file is missing or broken.
    """
    folder = Path(folder)
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    if folder.name in METRICS:
        found = [folder]
    if not found:
        raise DataError(f"{folder} has no sub-folder of a metric, such as {', '.join(METRICS)}")
    for path in found:
        if path.name in METRICS:
            compared = 0
            for line in _check(path):
                compared += 1
                yield line
            if not compared:
                raise DataError(f"{path} holds nothing to compare with; get the whole folder again")
        else:
            yield MetricLine(path.name, "", 0.0, 0.0, True, NOT_YET)


def _check(path: Path) -> Iterator[MetricLine]:
    # Each needs other libraries, some of which are slow to load.
    module, name = _CHECKS[path.name]
    check: Callable[[Path], Iterator[MetricLine]] = getattr(import_module(module), name)
    return check(path)


_HERE = "aln_p3_core.evaluation"
_CHECKS = {
    "planning": (f"{_HERE}.planning_parity", "check_planning"),
    "detection": (f"{_HERE}.detection_parity", "check_detection"),
    "map": (f"{_HERE}.map_parity", "check_map"),
    "motion": (f"{_HERE}.motion_parity", "check_motion"),
    "caption": (f"{_HERE}.language.captions_parity", "check_captions"),
    "hint_ad": (f"{_HERE}.language.hint_ad_parity", "check_hint_ad"),
    "tod3cap": (f"{_HERE}.language.tod3cap_parity", "check_tod3cap"),
    "nuscenes_qa": (f"{_HERE}.language.nuscenes_qa_parity", "check_nuscenes_qa"),
}
#: Metrics that can be compared: names of sub-folders.
METRICS = tuple(_CHECKS)
