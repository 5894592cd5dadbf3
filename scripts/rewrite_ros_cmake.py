"""Points the CMake files of ROS 2 wheels at this environment's Python and numpy headers.

The wheels export the include paths of the machine that built them. Nothing is found there, so message generation
fails. The rewrite is idempotent and has to run after every installation of ROS wheels or of numpy.

Usage: python scripts/rewrite_ros_cmake.py [PREFIX]   (default: the environment of the running Python)
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

_PYTHON_INCLUDE = re.compile(r'(?<=[";])/[^";$]*/include/python3\.\d+(?=[";])')
_NUMPY_INCLUDE = re.compile(r'(?<=[";])/[^";$]*/numpy/(?:_core|core)/include(?=[";])')


def rewrite_text(text: str, python_include: str, numpy_include: str) -> str:
    """`text` of a CMake file with absolute Python and numpy include folders replaced by the given ones."""
    text = _PYTHON_INCLUDE.sub(lambda _: python_include, text)
    return _NUMPY_INCLUDE.sub(lambda _: numpy_include, text)


def rewrite_prefix(prefix: Path, python_include: str, numpy_include: str) -> list[Path]:
    """Rewrites all CMake files below `prefix`/share and returns those that changed."""
    changed = []
    for path in sorted((prefix / "share").glob("**/*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = rewrite_text(before, python_include, numpy_include)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def main() -> int:
    """Rewrites the prefix named on the command line."""
    import numpy as np

    prefix = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(sys.prefix)
    changed = rewrite_prefix(prefix, sysconfig.get_path("include"), np.get_include())
    print(f"{len(changed)} CMake files changed below {prefix / 'share'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
