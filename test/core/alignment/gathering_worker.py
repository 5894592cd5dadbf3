"""Two processes that align uneven parts of one batch, each for itself, under DDP. Run by test_gathering."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from alignment_helpers import FLOATS, built, made_up, part, with_gradients
from torch.nn.parallel import DistributedDataParallel

#: Pairs and frames of process 0; the others are those of process 1. In the second batch process 0 has no pair at all.
SHARES = (
    ((slice(0, 5), slice(0, 2)), (slice(5, 7), slice(2, 7))),
    ((slice(0, 0), slice(0, 1)), (slice(0, 7), slice(1, 7))),
)
#: Of the alignments, by the form of their loss. Distances between pooled vectors are small.
SETTINGS = {
    form: {
        **{f"{term}__form": form for term in ("p1a", "p2a", "p3a")},
        **{f"{term}__weight": 100.0 if form == "mse" else 1.0 for term in ("p2a", "p3a")},
    }
    for form in ("clip", "mse", "cosine")
}
SETTINGS["clip"]["p3a__contrast__queue"] = 6


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    found = {}
    for form, settings in SETTINGS.items():
        module = DistributedDataParallel(built(**settings))
        told: list[dict[str, torch.Tensor]] = []
        for number, shares in enumerate(SHARES):
            module.zero_grad()
            inputs = with_gradients(part(made_up(7, 7, seed=number), *shares[rank]))
            result = module(inputs)
            result.total.backward()
            gradients = {f"grad.{name}": p.grad.clone() for name, p in module.module.named_parameters()}
            # Those that go on into the driver and the explainer, which DDP averages there.
            gradients |= {f"input.{name}": getattr(inputs, name).grad for name in FLOATS}
            told.append({"total": result.total.detach(), **result.measures, **gradients})
        found[form] = {"told": told, "state": module.module.state_dict()}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
