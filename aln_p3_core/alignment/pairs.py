"""Matched pairs before and after their projection, and the memory of earlier ones.

Suffixes: N pairs, F width of a feature, T steps, L width of the words, W of the text encoder, K of what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aln_p3_core.alignment.gathering import Gathering
from aln_p3_core.alignment.settings import ContrastSettings, Form

# Frames of different processes must not share a number. Their numbers travel as float32, exact up to 2^24.
_FRAMES_PER_PROCESS = 2**16


@dataclass(slots=True)
class Sources:
    """What is projected, float32.

    Attributes:
        features_NF: of the driver, or of the mixer.
        paths_NT2: metres; T is 0 for P1A.
        words_NL: states of the language model, or text embeddings.
        keys_NW: text embeddings that tell texts of one meaning; W is 0 where nobody asks.
        frame_N: int64, row of the batch.
    """

    features_NF: Tensor
    paths_NT2: Tensor
    words_NL: Tensor
    keys_NW: Tensor
    frame_N: Tensor


@dataclass(slots=True)
class Pairs:
    """Matched vectors, float32: row i of `vision_NK` belongs to row i of `language_NK`. The rest as in `Sources`."""

    vision_NK: Tensor
    language_NK: Tensor
    keys_NW: Tensor
    frame_N: Tensor

    def gathered(self, gathering: Gathering, index: int) -> Pairs:
        """Those of all processes, in one exchange. Gradients reach the own rows."""
        frame = self.frame_N + gathering.rank * _FRAMES_PER_PROCESS
        parts = (self.vision_NK, self.language_NK, self.keys_NW, frame[:, None].float())
        rows = gathering.rows(index, torch.cat(parts, dim=1))
        vision, language, keys, frames = rows.split([part.shape[1] for part in parts], dim=1)
        return Pairs(vision, language, keys.detach(), frames.detach()[:, 0].long())


class PairQueue(nn.Module):
    """The last `size` pairs of all processes, the newest first.

    It keeps what is projected, not what the projection made of it: the projections turn far within a few steps, and
    their earlier results would be negatives which are told apart by their age (learning then stalls). The driver and
    the language model, which made what is kept, change slowly.
    """

    rows_QR: Tensor
    filled: Tensor

    @staticmethod
    def of(
        form: Form, contrast: ContrastSettings, *, features: int, steps: int, words: int, keys: int
    ) -> PairQueue | None:
        """None where it is not asked for, or would not be used."""
        if not contrast.queue or form != "clip" or contrast.negatives == "frame":
            return None
        return PairQueue(contrast.queue, features=features, steps=steps, words=words, keys=keys)

    def __init__(self, size: int, *, features: int, steps: int, words: int, keys: int) -> None:
        super().__init__()
        self._steps = steps
        self._widths = [features, 2 * steps, words, keys]
        self.register_buffer("rows_QR", torch.zeros(size, sum(self._widths)))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def kept(self) -> Sources:
        """Without gradient; frames are -1."""
        rows = self.rows_QR[: int(self.filled)].clone()
        features, paths, words, keys = rows.split(self._widths, dim=1)
        frames = torch.full((len(rows),), -1, device=rows.device)
        return Sources(features, paths.unflatten(1, (self._steps, 2)), words, keys, frames)

    @torch.no_grad()
    def push(self, sources: Sources, gathering: Gathering, index: int) -> None:
        """Adds those of all processes, whose queues so stay equal."""
        parts = (sources.features_NF, sources.paths_NT2.flatten(1), sources.words_NL, sources.keys_NW)
        rows = gathering.rows(index, torch.cat(parts, dim=1).detach())
        self.rows_QR.copy_(torch.cat([rows, self.rows_QR])[: len(self.rows_QR)])
        self.filled.add_(len(rows)).clamp_(max=len(self.rows_QR))
