"""Parity of caption scores with pycocoevalcap and nlg-eval: `check_captions(folder)`.

The folder holds pairs.json ({group, ref, hyp}), expected.json (corpus and sentences by subset and protocol) and
ptb_tokens.json. Its third file, METEOR without some of its modules, is for those who cannot run the whole program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aln_p3_core.evaluation.language.captions import PROTOCOLS, SCORES, caption_scores, tokenize
from aln_p3_core.evaluation.metric_line import MetricLine, compare, read_json

FOLDER = "caption"
_TOLERANCE = 1e-9
#: Names of the scores in the files.
FILE_NAMES = dict(zip(SCORES, ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"), strict=True))


def check_captions(folder: str | Path) -> Iterator[MetricLine]:
    """Compares everything in the folder, a line each.

    Raises:
        DataError: naming a file that is missing or broken.
        ConfigError: without Java or pycocoevalcap.
    """
    folder = Path(folder)
    pairs = read_json(folder / "pairs.json")
    for side, golden in read_json(folder / "ptb_tokens.json").items():
        tokens = tokenize([pair[side] for pair in pairs], "ptb")
        same = [ours == theirs for ours, theirs in zip(tokens, golden, strict=True)]
        yield compare(FOLDER, f"ptb tokens {side}", same, [True] * len(golden))
    for subset, golden in read_json(folder / "expected.json").items():
        chosen = [pairs[index] for index in golden["indices"]]
        for protocol in PROTOCOLS:
            found = caption_scores([p["ref"] for p in chosen], [p["hyp"] for p in chosen], protocol)
            for key, name in FILE_NAMES.items():
                title = f"{subset} {protocol} {name}"
                yield compare(FOLDER, title, found.corpus[key], golden[protocol]["corpus"][name], _TOLERANCE)
                each = golden[protocol]["per_sentence"][name]
                yield compare(FOLDER, f"{title} of sentences", found.sentences[key], each, _TOLERANCE)
