"""Settings of the alignments: small frozen dataclasses, every field with a line of its own.

Of the paper (arXiv 2505.15158) it is known that P1A pulls instance tokens to the text embedding of the object's
caption, and that P2A and P3A tie motion and planning features to what the language model says. Everything else here
is a reconstruction, after the sister paper MTA (arXiv 2411.10639; "BLA" and "DCA" below): docs/method.md tells
setting by setting where its default comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aln_p3_core.errors import ConfigError

Form = Literal["mse", "cosine", "clip"]


@dataclass(frozen=True, slots=True)
class ContrastSettings:
    """The symmetric contrast of form "clip". Of the other forms only `duplicates` and what it needs matter: they
    also decide what counts as found in the retrieval accuracy.

    temperature: "learned" or "fixed" scale of the cosines (reconstruction: learned, as CLIP).
    scale: of the cosines at the start, 1 / 0.07 as CLIP.
    scale_max: a learned scale stays below.
    duplicates: a pair whose text means the same is "ignored" or a "negative" (ours: ignored; cars that are parked have
        one caption).
    duplicate_similarity: cosine of two text embeddings from which on they mean the same: found for MiniLM, another text
        encoder needs its own.
    negatives: from the whole global "batch", or from the own "frame" only (pairs of P3A: always the batch).
    queue: earlier pairs that serve as further negatives, for small batches; 0: none. (Not with negatives "frame".)
    """

    temperature: Literal["learned", "fixed"] = "learned"
    scale: float = 1 / 0.07
    scale_max: float = 100.0
    duplicates: Literal["ignored", "negative"] = "ignored"
    duplicate_similarity: float = 0.95
    negatives: Literal["batch", "frame"] = "batch"
    queue: int = 0


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """The learnable prompts over which P2A and P3A pool both sides (MTA's DCA; numbers are a reconstruction).

    prompts: their number N.
    width: of a prompt, and of what is compared.
    share_sides: vision and language are pooled over the same prompts (MTA) or each over an own pool.
    share_terms: P2A and P3A use the same pools.
    scaled: dot products are divided by the root of the width (ours: yes; MTA: no). What matters is that the softmax
        starts flat: one that starts sharp has no gradient and never learns.
    start: of the prompts: "orthogonal" rows of length one, or "normal" with a deviation of 0.02 (ours: orthogonal).
    gain: times the prompts at the start; above 1 it sharpens the softmax.
    residual: the projected feature is added to what was pooled (ours; MTA: it is not, so that all vectors lie among
        the prompts).
    """

    prompts: int = 64
    width: int = 128
    share_sides: bool = True
    share_terms: bool = False
    scaled: bool = True
    start: Literal["orthogonal", "normal"] = "orthogonal"
    gain: float = 1.0
    residual: bool = False


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """P1A: instance tokens and the text embedding of the object's caption.

    weight: of the term; 0 leaves it out.
    form: "mse" (squared distance to the embedding, as BLA), "cosine", or "clip" (contrast). Reconstruction: mse.
    hidden: width of the projection head's hidden layer; 0: a linear head.
    to_driver, to_explainer: which parameters behind the instance tokens learn from the term. The tokens come out of
        the explainer's mixer, so that whoever computes them obeys these two (`gradient_routes.routed`).
    contrast: of form "clip", and of the retrieval accuracy.
    """

    weight: float = 1.0
    form: Form = "mse"
    hidden: int = 256
    to_driver: bool = True
    to_explainer: bool = True
    contrast: ContrastSettings = field(default_factory=ContrastSettings)


@dataclass(frozen=True, slots=True)
class PredictionSettings:
    """P2A: motion of an agent and what is said about its motion.

    weight: of the term; 0 leaves it out (reconstruction: 0.01, as MTA's DCA).
    form: "clip" (as DCA), or "mse" or "cosine" between the pooled vectors (ours, for comparison: without negatives
        both sides may agree on one constant).
    language: "output", the language model's states over its own answer, or "text", the embedding of the text.
    vision: "token" (motion features), "trajectory" (metres), or "both".
    modes: how motion features are pooled over modes: by "probability", by the "mean", or the "best" (likeliest).
    hidden: width of the projection heads' hidden layers; 0: linear heads.
    to_driver: gradients go to the driver: by the vision side, and by the tokens that the language model's states have
        read (by these only where words teach the driver, `stages.N.language_to_driver`). False costs a second pass of
        the explainer with language "output", where words teach the driver.
    to_explainer: gradients go to the language side.
    contrast: of form "clip", and of the retrieval accuracy.
    """

    weight: float = 0.01
    form: Form = "clip"
    language: Literal["output", "text"] = "output"
    vision: Literal["both", "token", "trajectory"] = "both"
    modes: Literal["probability", "mean", "best"] = "probability"
    hidden: int = 256
    to_driver: bool = True
    to_explainer: bool = True
    contrast: ContrastSettings = field(default_factory=ContrastSettings)


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """P3A: the plan of a frame and its explanation.

    weight, form, language, hidden, to_driver, to_explainer: as in P2A.
    contrast: as in P2A, with a queue of 64: a frame gives one pair only (reconstruction).
    vision: "token" (ego features), "trajectory" (the commanded plan, metres), or "both".
    """

    weight: float = 0.01
    form: Form = "clip"
    language: Literal["output", "text"] = "output"
    vision: Literal["both", "token", "trajectory"] = "both"
    hidden: int = 256
    to_driver: bool = True
    to_explainer: bool = True
    contrast: ContrastSettings = field(default_factory=lambda: ContrastSettings(queue=64))


@dataclass(frozen=True, slots=True)
class AlignmentSettings:
    """All three alignments.

    text_encoder: "minilm" (from its PyPI package), or folder or name of a CLIP text model or a sentence encoder of
        the BERT family, as transformers saves them. The paper: CLIP.
    p1a, p2a, p3a: the terms.
    pool: the prompts of P2A and P3A.
    shuffled_words: control: every object and frame is aligned with the words about another one of this process's part
        of the batch. What the language model learns stays true, so that `none` differs in nothing else.
    """

    text_encoder: str = "minilm"
    p1a: PerceptionSettings = field(default_factory=PerceptionSettings)
    p2a: PredictionSettings = field(default_factory=PredictionSettings)
    p3a: PlanningSettings = field(default_factory=PlanningSettings)
    pool: PromptSettings = field(default_factory=PromptSettings)
    shuffled_words: bool = False


def check_settings(settings: AlignmentSettings) -> None:
    """Raises ConfigError for numbers that make no sense. Not checked as they are set: that goes one by one."""
    for name, term in (("p1a", settings.p1a), ("p2a", settings.p2a), ("p3a", settings.p3a)):
        if term.weight < 0 or term.hidden < 0 or term.contrast.queue < 0:
            raise ConfigError(f"{name}: weight, hidden and contrast.queue must not be negative")
        if not 0 < term.contrast.scale <= term.contrast.scale_max:
            raise ConfigError(f"{name}.contrast.scale must be above 0 and at most scale_max {term.contrast.scale_max}")
        if term.contrast.duplicate_similarity <= 0:
            raise ConfigError(f"{name}.contrast.duplicate_similarity must be above 0: all texts would be one")
    if settings.pool.prompts < 2 or settings.pool.width < 2 or settings.pool.width % 2:
        raise ConfigError("pool.prompts must be at least 2, pool.width an even number")
    if settings.pool.gain <= 0:
        raise ConfigError("pool.gain must be above 0: prompts without length have no direction")
