"""Caption scores: BLEU-1 to 4, METEOR, ROUGE-L and CIDEr through pycocoevalcap, one reference a text.

Benchmarks cut texts into words each in its own way, and the way moves every number: a protocol is part of a score's
name. Fractions, not percent; CIDEr from 0 to 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.evaluation.language.java import find_java, package_file, run_java
from aln_p3_core.evaluation.language.meteor import meteor_scores
from aln_p3_core.geometry import FloatArray

Protocol = Literal["raw", "tod3cap_whitespace", "ptb"]
#: How texts become words, by name.
PROTOCOLS: Mapping[Protocol, str] = {
    "raw": "texts as they are, split at blanks, case kept (Hint-AD)",
    "tod3cap_whitespace": "split at white space, words that are exactly ',' or '.' dropped, case kept (TOD3Cap)",
    "ptb": "Stanford CoreNLP 3.4.1 Penn-Treebank tokenizer, lower case, punctuation dropped (COCO)",
}
#: Keys of all scores, in the order of tables.
SCORES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider")


@dataclass(frozen=True, eq=False)
class CaptionScores:
    """Scores of N texts. METEOR is missing (corpus: None) where it was optional and there is no Java.

    Attributes:
        protocol: of PROTOCOLS.
        corpus: by key of SCORES. BLEU from summed counts with the closest reference length, METEOR from summed
            statistics, ROUGE-L and CIDEr as means. CIDEr weighs words by how rare they are in these references: it
            belongs to the set, and a set of one text has none (0).
        sentences: [N] of each text, by key.
    """

    protocol: str
    corpus: dict[str, float | None]
    sentences: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.sentences["cider"])


def caption_scores(
    references: Sequence[str],
    hypotheses: Sequence[str],
    protocol: Protocol = "raw",
    *,
    meteor: Literal["needed", "optional", "never"] = "needed",
) -> CaptionScores:
    """Scores hypotheses against a reference each. About a millisecond a pair, and METEOR's start of a few seconds.

    Args:
        references, hypotheses: N texts each, N at least 1; an empty hypothesis scores 0.
        protocol: of PROTOCOLS.
        meteor: "optional" does without it where there is no Java.

    Raises:
        ConfigError: for an unknown protocol, without pycocoevalcap, or without Java where it is needed.
        DataError: for no texts, or unequal numbers of them.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"no caption protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if not references or len(references) != len(hypotheses):
        raise DataError(f"{len(references)} references and {len(hypotheses)} texts: give one text a reference")
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        raise ConfigError(f"caption scores need pycocoevalcap ({error}); pip install pycocoevalcap") from error

    tokens = tokenize([*references, *hypotheses], protocol)
    refs, hyps = tokens[: len(references)], tokens[len(references) :]
    gts: dict[int, list[str]] = {row: [text] for row, text in enumerate(refs)}
    res: dict[int, list[str]] = {row: [text] for row, text in enumerate(hyps)}
    corpus: dict[str, float | None] = {}
    sentences: dict[str, FloatArray] = {}

    def keep(key: str, score: Any, each: Any) -> None:
        corpus[key], sentences[key] = float(score), np.asarray(each, dtype=np.float64)

    for key, score, each in zip(SCORES, *Bleu(4).compute_score(gts, res, verbose=0), strict=False):
        keep(key, score, each)
    if meteor == "never" or (meteor == "optional" and find_java() is None):
        corpus["meteor"] = None
    else:
        keep("meteor", *meteor_scores(refs, hyps))
    keep("rouge_l", *Rouge().compute_score(gts, res))
    keep("cider", *Cider().compute_score(gts, res))
    return CaptionScores(protocol, corpus, sentences)


def tokenize(texts: Sequence[str], protocol: Protocol) -> list[str]:
    """Texts as a protocol's words, joined by blanks. Raises as `caption_scores` does."""
    return _TOKENIZERS[protocol](texts)


def _raw(texts: Sequence[str]) -> list[str]:
    return list(texts)


def _tod3cap_whitespace(texts: Sequence[str]) -> list[str]:
    return [" ".join(word for word in text.split() if word not in (",", ".")) for text in texts]


def _ptb(texts: Sequence[str]) -> list[str]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    jar = package_file("tokenizer", "stanford-corenlp-3.4.1.jar")
    program = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    # One line a text: whatever else breaks lines in it would shift all that follow.
    lines = "".join(" ".join(text.split()) + "\n" for text in texts)
    answers = run_java(program, lines, "the Penn-Treebank tokenizer").split("\n")[: len(texts)]
    if len(answers) != len(texts):
        raise DataError(f"the Penn-Treebank tokenizer made {len(answers)} lines of {len(texts)} texts")
    dropped = frozenset(PUNCTUATIONS)
    return [" ".join(word for word in answer.split() if word not in dropped) for answer in answers]


_TOKENIZERS: Mapping[str, Callable[[Sequence[str]], list[str]]] = {
    "raw": _raw,
    "tod3cap_whitespace": _tod3cap_whitespace,
    "ptb": _ptb,
}
