"""Writes constraints.txt: the version of every package that any extra of setup.py needs, direct or not.

Run by `make pins` in the finished environment, for a deliberate upgrade. Pins that are already there are dropped
first, so the newest versions that fit setup.py are taken; try them with `make test` before committing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
EXTRAS = "test,dev,ros,ros-build,rerun,explainer,captions,world,cities,assets,train,export"
#: Settled by hand: numpy below 2 for nuscenes-devkit, an OpenCV that takes it, setuptools for colcon-core, torch.
FIXED = ("numpy==1.26.4", "opencv-python-headless==4.11.0.86", "setuptools==79.0.1", "torch==2.13.0")
#: Parts of CUDA: each build of torch pins its own.
SKIPPED = re.compile(r"^(aln-p3-core|nvidia-.*|cuda-.*|triton)$")
HEADER = """\
# Versions of all packages, direct and indirect, for Python 3.11 and 3.12. Written by scripts/pin_constraints.py.
# The CUDA packages are missing on purpose: every build of torch pins its own.
"""


def resolve() -> dict[str, str]:
    """Name -> version of everything that pip would install into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--no-build-isolation", "--quiet", "--report", str(report)]
        command = [sys.executable, "-m", "pip", "install", *options, f"{REPOSITORY}[{EXTRAS}]", *FIXED]
        subprocess.run(command, check=True, cwd=folder)
        items = json.loads(report.read_text())["install"]
    return {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"].split("+")[0]
        for item in items
    }


def main() -> int:
    """Resolves and writes."""
    versions = resolve()
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items()) if not SKIPPED.match(name)]
    (REPOSITORY / "constraints.txt").write_text(HEADER + "".join(lines))
    print(f"{len(lines)} versions written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
