"""METEOR 1.5 (Denkowski and Lavie 2014) through the program that pycocoevalcap brings, with all its modules.

pycocoevalcap's own wrapper starts a Java process a call, waits for ever when a text holds a line break, and leaves
its error pipe unread. The same questions are put to the same program here, with that mended.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aln_p3_core.evaluation.language.java import JavaServer, need_java, package_file

_WHAT = "METEOR"
#: Sentences asked about at once: their answers, about 100 bytes each, fit a pipe.
_BATCH = 128
#: Seconds without a question after which the program is ended.
_IDLE_S = 20.0


def meteor_scores(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[float, list[float]]:
    """METEOR of a corpus (from summed statistics, not the mean) and of each sentence; one reference each.

    Raises:
        ConfigError: without Java or pycocoevalcap. DataError: when the program fails.
    """
    questions = [
        f"SCORE ||| {_plain(reference)} ||| {_plain(hypothesis).replace('  ', ' ')}"
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    with _program() as server:
        statistics: list[str] = []
        for start in range(0, len(questions), _BATCH):
            batch = questions[start : start + _BATCH]
            statistics += server.ask(batch, len(batch))
        # All at once, for the corpus's value; the program reads the whole line before it answers.
        answers = server.ask([" ||| ".join(["EVAL", *statistics])], len(statistics) + 1)
    *sentences, corpus = (float(answer) for answer in answers)
    return corpus, sentences


class _Running:
    """The program of this process, kept for the next question and ended when none comes: it holds over a gigabyte."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server: JavaServer | None = None
        self.key: tuple[int, Path] | None = None
        self.timer: threading.Timer | None = None

    def end(self) -> None:
        """Ends it; run by a timer, and of no effect where a question came after that was set."""
        with self.lock:
            if threading.current_thread() is self.timer and self.server is not None:
                self.server.close()
                self.server = None


_running = _Running()


@contextmanager
def _program() -> Iterator[JavaServer]:
    """The running program, for one caller at a time; started where there is none."""
    with _running.lock:
        if _running.timer is not None:
            _running.timer.cancel()
        # A forked process needs its own: pipes cannot be shared.
        key = (os.getpid(), need_java(_WHAT))
        server = _running.server if _running.key == key else None
        if server is None or not server.alive:
            jar = package_file("meteor", "meteor-1.5.jar")
            server = JavaServer(["-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"], _WHAT)
        _running.server, _running.key = server, key
        try:
            yield server
        finally:
            _running.timer = threading.Timer(_IDLE_S, _running.end)
            _running.timer.daemon = True
            _running.timer.start()


def _plain(text: str) -> str:
    """A text in one line, without the program's own separator."""
    return " ".join(text.splitlines()).replace("|||", "")
