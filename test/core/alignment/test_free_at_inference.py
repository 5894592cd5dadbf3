"""Trainings with and without alignments deploy the same: entries, graph, parameters, FLOPs; nothing of the alignments.

`test_inference_without_alignment.py` has the other half: driving and speaking without the folder itself.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.utils.flop_counter import FlopCounterMode

from aln_p3_core.driver.checkpoint import load_checkpoint, load_network, parameter_count
from aln_p3_core.driver.network import DriverNetwork
from aln_p3_core.explainer.checkpoint import load_explainer
from aln_p3_core.explainer.explainer import Explainer
from aln_p3_core.explainer.scene_context import context_from_outputs
from aln_p3_core.explainer.tasks import Task, TextSample
from aln_p3_core.runtime.deployed_graph import example_inputs
from aln_p3_core.runtime.export import export_driver
from aln_p3_core.training import trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from made_up_root import MadeUpRoot
from network_helpers import small_inputs
from words_helpers import small_joint, write_models, write_spoken_scenes

# Of everything one layer: what is compared does not depend on how many there are, and exporting takes its time.
SHALLOW = {
    "driver__bev__layers": 1,
    "driver__agents__layers": 1,
    "driver__map__layers": 1,
    "driver__planner__refinements": 0,
}
TRAININGS: dict[str, dict[str, Any]] = {
    "aligned": {"alignment__p2a__weight": 1.0, "alignment__p3a__weight": 1.0},
    "weights at zero": {f"alignment__{term}__weight": 0.0 for term in ("p1a", "p2a", "p3a")},
    "no alignments": {"alignment": None},
}
UNALIGNED = tuple(TRAININGS)[1:]
FILES = ("driver", "explainer")
# What a file may tell of its own training, of the code that it ran with, and hashes of its weights.
OWN_METADATA = {"training", "validation", "commit", "sha256", "driver_hash"}


@dataclass(frozen=True)
class Stored:
    """Entries and metadata of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def stored(path: Path) -> Stored:
    with safe_open(path, framework="pt") as file:
        return Stored({name: file.get_tensor(name) for name in file.keys()}, file.metadata())  # noqa: SIM118


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two joint steps each, from the same seed on the same scenes."""
    folder = tmp_path_factory.mktemp("free")
    models = write_models(folder)
    root = write_spoken_scenes(lambda **fields: MadeUpRoot(**fields).write(folder / "root"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "plot_run", lambda run: None)
        for name, changes in TRAININGS.items():
            driver, config = small_joint(models, **SHALLOW, **changes)
            joint = replace(config, stages=config.stages[1:])
            trainer.Trainer(driver, joint, folder / name).run([root], cache=folder / "cache", progress=False)
    return {name: folder / name for name in TRAININGS}


@pytest.fixture(scope="module")
def programs(runs: dict[str, Path]) -> dict[str, ExportedProgram]:
    """The deployed drivers as they are exported and read again."""
    found = {}
    for name in ("aligned", "weights at zero"):
        network, _ = load_network(runs[name] / "driver.safetensors")
        export_driver(network, runs[name] / "driver.pt2", "torch")
        found[name] = torch.export.load(runs[name] / "driver.pt2")
    return found


def alignment_entries(run: Path) -> set[str]:
    """Names of what the alignments have learnt, within them, from a training's own checkpoint."""
    (weights,) = run.glob("checkpoints/*/weights.safetensors")
    return {name.removeprefix("alignment.") for name in stored(weights).tensors if name.startswith("alignment.")}


def nodes(program: ExportedProgram) -> Iterator[Node]:
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            yield from module.graph.nodes


def described(node: Node) -> tuple[str, ...]:
    """Operator, wiring, constants, and shape and type of the result."""
    return (node.op, node.name, str(node.target), str(node.args), str(node.kwargs), str(node.meta.get("val")))


def parts(module: nn.Module) -> dict[str, type[nn.Module]]:
    return {name: type(part) for name, part in module.named_modules()}


def parameters(module: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in module.named_parameters()}


def flops(counter: FlopCounterMode) -> dict[str, int]:
    """By operator."""
    return {str(operator): int(count) for operator, count in counter.get_flop_counts()["Global"].items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_alignments_change_weights_and_only_while_they_count(runs: dict[str, Path], name: str) -> None:
    """Else the comparisons below would compare a training with itself."""
    aligned, zero, none = (stored(run / f"{name}.safetensors").tensors for run in runs.values())
    assert sum(not torch.equal(value, aligned[entry]) for entry, value in zero.items()) > len(zero) / 4
    assert all(torch.equal(value, none[entry]) for entry, value in zero.items())
    learnt = alignment_entries(runs["aligned"])
    assert {name.split(".")[0] for name in learnt} == {"p1a", "p2a", "p3a", "pools"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("other", UNALIGNED)
def test_files_hold_the_same_entries_and_nothing_of_the_alignments(
    runs: dict[str, Path], name: str, other: str
) -> None:
    aligned, unaligned = (stored(runs[run] / f"{name}.safetensors") for run in ("aligned", other))
    layout = {entry: (value.shape, value.dtype) for entry, value in aligned.tensors.items()}
    assert layout == {entry: (value.shape, value.dtype) for entry, value in unaligned.tensors.items()}
    learnt = ("align", *alignment_entries(runs["aligned"]))
    assert not [entry for entry in layout if any(part in entry for part in learnt)]
    told = aligned.metadata.keys() - OWN_METADATA
    assert told == unaligned.metadata.keys() - OWN_METADATA
    assert {entry: aligned.metadata[entry] for entry in told} == {entry: unaligned.metadata[entry] for entry in told}
    assert not [entry for entry in told if "align" in aligned.metadata[entry]]


@pytest.mark.slow
def test_deployed_networks_have_the_same_parts(runs: dict[str, Path]) -> None:
    """Also as many parameters as a driver has that was never trained."""
    network, other = (load_network(runs[run] / "driver.safetensors")[0] for run in ("aligned", "no alignments"))
    assert network.config == other.config
    assert parts(network) == parts(other)
    assert parameters(network) == parameters(other)
    assert sum(value.numel() for value in network.parameters()) == parameter_count(network.config)


@pytest.mark.slow
def test_exported_graphs_are_the_same_node_for_node(programs: dict[str, ExportedProgram]) -> None:
    aligned, unaligned = programs.values()
    for one, two in zip(nodes(aligned), nodes(unaligned), strict=True):
        assert described(one) == described(two)
    operators = Counter(str(node.target) for node in nodes(aligned) if node.op == "call_function")
    assert operators["aten.conv2d.default"] > 20 and operators["aten.linear.default"] > 20, operators
    assert str(aligned.graph_signature) == str(unaligned.graph_signature)
    weights, others = (
        {name: (value.shape, value.dtype) for name, value in program.state_dict.items()}
        for program in programs.values()
    )
    assert weights == others and not [name for name in weights if "align" in name]
    assert aligned.constants.keys() == unaligned.constants.keys()
    assert all(torch.equal(value, unaligned.constants[name]) for name, value in aligned.constants.items())


@pytest.mark.slow
def test_exported_graphs_cost_the_same(runs: dict[str, Path], programs: dict[str, ExportedProgram]) -> None:
    counted = []
    for program in programs.values():
        config, _, _ = load_checkpoint(runs["aligned"] / "driver.safetensors")
        with FlopCounterMode(display=False) as counter:
            program.module()(*map(torch.from_numpy, example_inputs(config).values()))
        size = sum(value.numel() for value in program.state_dict.values())
        counted.append((size, flops(counter)))
    assert counted[0] == counted[1]
    size, by_operator = counted[0]
    assert size > 10_000 and sum(by_operator.values()) > 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("other", UNALIGNED)
def test_explainers_have_the_same_parts_and_cost_the_same(runs: dict[str, Path], other: str) -> None:
    counted = []
    for run in ("aligned", other):
        network, metadata = load_network(runs[run] / "driver.safetensors")
        explainer = load_explainer(runs[run] / "explainer.safetensors", driver_hash=metadata["sha256"])
        with FlopCounterMode(display=False) as counter:
            drive_and_read(network.requires_grad_(False), explainer.requires_grad_(False))
        counted.append((parts(explainer), parameters(explainer), flops(counter)))
    assert counted[0] == counted[1]
    assert sum(counted[0][2].values()) > 1_000_000


def drive_and_read(network: DriverNetwork, explainer: Explainer) -> None:
    """One frame, and words about it and one of its agents."""
    outputs = network(small_inputs(network.config))
    everyone, straight = torch.arange(3)[None], torch.tensor([2])
    context = context_from_outputs(outputs, everyone, torch.ones_like(everyone, dtype=torch.bool), straight)
    samples = [
        TextSample(Task.EXPLANATION, "Why?", "Narration: it stops. Reasoning: the light is red.", 0),
        TextSample(Task.CAPTION, "Describe the object.", "Red car", 0, focus=1),
    ]
    explainer(context, explainer.encode(samples))
