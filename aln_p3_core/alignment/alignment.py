"""All alignments together: exists in training only, and holds no part of what is deployed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from aln_p3_core.alignment.gathering import Gathering
from aln_p3_core.alignment.io import AlignmentInputs, AlignmentResult, AlignmentWidths
from aln_p3_core.alignment.pairs import PairQueue, Sources
from aln_p3_core.alignment.perception import PerceptionAlignment
from aln_p3_core.alignment.planning import PlanningAlignment
from aln_p3_core.alignment.prediction import PredictionAlignment
from aln_p3_core.alignment.prompt_pool import PromptPool
from aln_p3_core.alignment.rows import Rows
from aln_p3_core.alignment.settings import AlignmentSettings, check_settings

Part = TypeVar("Part", bound=nn.Module)


class Alignment(nn.Module):
    """P1A, P2A and P3A, those of them whose weight is above zero.

    Its parameters belong into the optimiser, into the training's checkpoint and, under DDP, into the wrapped module;
    never into the driver's or the explainer's own checkpoint.

    A term's start does not depend on which others there are, nor does building them move torch's random numbers: runs
    with other alignments and one seed start alike and see the same order and dropout.

    In training mode the rows of all processes are gathered: every process must call it equally often. The result is
    that of the global batch, the same on all processes, and so are the gradients once DDP has averaged them. In
    evaluation mode a process looks at its own rows.
    """

    def __init__(self, settings: AlignmentSettings, widths: AlignmentWidths) -> None:
        """Raises ConfigError for settings that make no sense."""
        super().__init__()
        check_settings(settings)
        self.settings = settings
        pool = settings.pool
        self.weights = {
            name: weight
            for name, weight in (
                ("p1a", settings.p1a.weight),
                ("p2a", settings.p2a.weight),
                ("p3a", settings.p3a.weight),
            )
            if weight > 0
        }
        self.p1a = self._built("p1a", lambda: PerceptionAlignment(settings.p1a, widths))
        self.p2a = self._built("p2a", lambda: PredictionAlignment(settings.p2a, pool, widths))
        self.p3a = self._built("p3a", lambda: PlanningAlignment(settings.p3a, pool, widths))
        pooled = [name for name in ("p2a", "p3a") if name in self.weights]
        self._pool_of: dict[str, str] = {name: "shared" if pool.share_terms else name for name in pooled}
        names = dict.fromkeys(self._pool_of.values())
        self.pools = nn.ModuleDict({name: _seeded(f"pool.{name}", lambda: PromptPool(pool)) for name in names})

    def forward(self, inputs: AlignmentInputs) -> AlignmentResult:
        """The weighted sum, its terms, and how well texts find their partners. Computed in float32, whatever autocast
        says.

        Raises:
            DataError: for missing or misshapen tensors, by name.
        """
        device = _device(self, inputs)
        with torch.autocast(device.type, enabled=False):
            sources = self._sources(inputs, device)
            if not sources:
                return AlignmentResult.nothing(device)
            counts = [len(of_term.frame_N) for of_term in sources.values()]
            gathering = Gathering.of(counts, device, together=self.training)
            terms: dict[str, Tensor] = {}
            measures: dict[str, Tensor] = {}
            for index, (name, of_term) in enumerate(sources.items()):
                loss, told = self._loss(name, of_term, gathering, index)
                terms[name] = self.weights[name] * loss
                measures |= {f"{name}.{measure}": value for measure, value in told.items()}
            total = torch.stack(list(terms.values())).sum()
        return AlignmentResult(total, {name: term.detach() for name, term in terms.items()}, measures)

    def _sources(self, inputs: AlignmentInputs, device: torch.device) -> dict[str, Sources]:
        found: dict[str, Sources] = {}
        if self.p1a is not None:
            found["p1a"] = self.p1a.sources(Rows.of(inputs, inputs.caption_valid_P, device))
        if self.p2a is not None:
            found["p2a"] = self.p2a.sources(Rows.of(inputs, inputs.motion_valid_P, device))
        if self.p3a is not None:
            found["p3a"] = self.p3a.sources(Rows.of(inputs, inputs.explanation_valid_B, device))
        return found

    def _loss(self, name: str, sources: Sources, gathering: Gathering, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        term = getattr(self, name)
        pool = () if name == "p1a" else (self._pool(name),)
        queue: PairQueue | None = term.queue
        older = None if queue is None else term.pairs(queue.kept(), *pool)
        result: tuple[Tensor, dict[str, Tensor]] = term.loss(
            term.pairs(sources, *pool).gathered(gathering, index), older
        )
        if queue is not None and self.training:
            queue.push(sources, gathering, index)
        return result

    def _pool(self, term: str) -> PromptPool:
        pool = self.pools[self._pool_of[term]]
        assert isinstance(pool, PromptPool)
        return pool

    def _built(self, term: str, build: Callable[[], Part]) -> Part | None:
        return _seeded(term, build) if term in self.weights else None


def _seeded(name: str, build: Callable[[], Part]) -> Part:
    """A module whose start depends on torch's seed and on its name only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((torch.initial_seed() + zlib.crc32(name.encode())) % 2**63)
        return build()


def _device(module: nn.Module, inputs: AlignmentInputs) -> torch.device:
    for parameter in module.parameters():
        return parameter.device
    given = next((value for value in (inputs.ego_B2D, inputs.instances_PD) if value is not None), None)
    return torch.device("cpu") if given is None else given.device
