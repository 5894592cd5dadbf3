"""A few recorded seconds of the world, for machines that cannot render it. scripts/make_clip.py makes the archive."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from aln_p3_core.errors import DataError

ARCHIVE = Path(__file__).parent / "clip.zip"


def unpack_clip(folder: Path) -> Path:
    """Unpacks the clip, a nuScenes-schema root of one scene, into `folder` (replaced when it is there).

    Raises:
        DataError: when the archive was not installed.
    """
    if not ARCHIVE.is_file():
        raise DataError(f"the recorded clip {ARCHIVE} is not installed; `python scripts/make_clip.py` makes it")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder
