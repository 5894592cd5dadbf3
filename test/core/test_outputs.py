"""What a command cannot write is told before it begins, whatever the command."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from command_helpers import run

from aln_p3_core.commands.outputs import refuse_own_source

# Each with ROOT for a folder that is there, FILE for a file, and OUT for a place that a file is in the way of.
_COMMANDS = (
    "plan ROOT --json OUT",
    "plan ROOT --picture OUT",
    "explain --data ROOT --out OUT",
    "bench --json OUT",
    "check ROOT --calibration OUT",
    "draw ROOT --out OUT",
    "parity --metrics ROOT --json OUT",
    "import-vad FILE --recipe tiny --out OUT",
    "track OUT",
    "train nano --data ROOT --out OUT",
    "train nano --data ROOT --prepare --cache OUT",
    "evaluate human --report OUT",
    "ablate alignment --out OUT",
    "export nano --out OUT",
)


@pytest.mark.parametrize("line", _COMMANDS)
def test_a_file_in_the_way_is_told(tmp_path: Path, line: str) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    places = {"ROOT": tmp_path, "FILE": file, "OUT": file / "out"}
    result = run(*(places.get(word, word) for word in line.split()))
    assert result.exit_code == 2 and "cannot be written" in result.output and "is no folder" in result.output
    assert list(tmp_path.iterdir()) == [file] and file.read_text() == "in the way"


def test_only_the_source_itself_is_refused(tmp_path: Path) -> None:
    source, link, other = (tmp_path / name for name in ("source", "link", "other"))
    source.write_text("")
    link.symlink_to("source")
    refuse_own_source(other, source)
    other.write_text("")
    refuse_own_source(other, source)
    refuse_own_source(link, tmp_path / "not a file")
    for out in (source, link, tmp_path / "." / "source"):
        with pytest.raises(click.UsageError, match="would be lost"):
            refuse_own_source(out, source)
