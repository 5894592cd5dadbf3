"""METEOR 1.5 (Denkowski and Lavie 2014) through the program that pycocoevalcap brings, with all its modules.

pycocoevalcap's own wrapper starts a Java process a call, waits for ever when a text holds a line break, and leaves
its error pipe unread. The same questions are put to the same program here, with that mended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from aln_p3_core.evaluation.language.java import JavaServer, need_java, package_file

_WHAT = "METEOR"
#: Sentences asked about at once: their answers, about 100 bytes each, fit a pipe.
_BATCH = 128


def meteor_scores(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[float, list[float]]:
    """METEOR of a corpus (from summed statistics, not the mean) and of each sentence; one reference each.

    Raises:
        ConfigError: without Java or pycocoevalcap. DataError: when the program fails.
    """
    server = _server(os.getpid(), str(need_java(_WHAT)))
    if not server.alive:
        _server.cache_clear()
        server = _server(os.getpid(), str(need_java(_WHAT)))
    questions = [
        f"SCORE ||| {_plain(reference)} ||| {_plain(hypothesis).replace('  ', ' ')}"
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    statistics: list[str] = []
    for start in range(0, len(questions), _BATCH):
        batch = questions[start : start + _BATCH]
        statistics += server.ask(batch, len(batch))
    # All at once, for the corpus's value; the program reads the whole line before it answers.
    answers = server.ask([" ||| ".join(["EVAL", *statistics])], len(statistics) + 1)
    *sentences, corpus = (float(answer) for answer in answers)
    return corpus, sentences


def _plain(text: str) -> str:
    """A text in one line, without the program's own separator."""
    return " ".join(text.splitlines()).replace("|||", "")


@lru_cache(maxsize=1)
def _server(process_id: int, java: str) -> JavaServer:
    """The one running program of this process (a forked one needs its own: pipes cannot be shared)."""
    jar = package_file("meteor", "meteor-1.5.jar")
    return JavaServer(["-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"], _WHAT)
