"""The command line that starts a training, as somebody would type it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from aln_p3_core.weights import name_of


@dataclass(frozen=True, slots=True)
class Start:
    """What `aln-p3 train` was given.

    Attributes:
        recipe: name of the training.
        roots: data.
        folder: of the run, or None.
        settings: "KEY=VALUE", as given.
        init, init_explainer: what it begins with: files, names of what ships, or None.
        fresh: parts that start anew all the same.
        cache: folder of the stores; the user's cache when None.
        jobs: processes that prepare frames; one a core when None.
        resume, quiet: flags.
    """

    recipe: str
    roots: tuple[Path, ...] = ()
    folder: Path | None = None
    settings: tuple[str, ...] = ()
    init: str | Path | None = None
    init_explainer: str | Path | None = None
    fresh: tuple[str, ...] = ()
    cache: Path | None = None
    jobs: int | None = None
    resume: bool = False
    quiet: bool = False

    def command(self, launcher: str = "aln-p3", begins_with: str = "") -> str:
        """The whole command, quoted for a shell; ROOT and RUN stand for what was not given.

        Args:
            launcher: what runs this package's commands.
            begins_with: what `--init` names where none was given and one is needed; "" for none.
        """
        init = begins_with if self.init is None else name_of(self.init)
        explainer = "" if self.init_explainer is None else name_of(self.init_explainer)
        given = [
            *(("--data", str(root)) for root in self.roots or ("ROOT",)),
            ("--out", str(self.folder or "RUN")),
            *(("--set", pair) for pair in self.settings),
            *([("--init", init)] if init else []),
            *([("--init-explainer", explainer)] if explainer else []),
            *(("--fresh", part) for part in self.fresh),
            *([("--cache", str(self.cache))] if self.cache is not None else []),
            *([("--jobs", str(self.jobs))] if self.jobs is not None else []),
        ]
        flags = [name for name, is_set in (("--resume", self.resume), ("--quiet", self.quiet)) if is_set]
        words = [self.recipe, *(word for option in given for word in option), *flags]
        return f"{launcher} train {shlex.join(words)}"
