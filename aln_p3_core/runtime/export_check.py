"""Does an exported driver compute what the network computes? Both drive the same frames, each with its own memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment

from aln_p3_core.driver.frame_driver import FrameDriver
from aln_p3_core.driver.io import DEPLOYED_OUTPUTS, DriverOutputs
from aln_p3_core.frame import DrivingFrame

#: Largest error, as a share of the largest magnitude of the same output, that rounding explains.
TOLERANCE = 1e-3
#: Axis of the agent queries.
_AGENT_AXIS = {
    "agent_logits_LBQC": 2,
    "agent_boxes_LBQ10": 2,
    "agent_forecasts_BQMT2": 1,
    "agent_mode_logits_BQM": 1,
    "agent_states_BQD": 1,
    "motion_BQM2D": 1,
}


@dataclass(slots=True)
class OutputError:
    """One output over all frames: largest absolute error, and largest magnitude of the network's own."""

    name: str
    max_abs_error: float = 0.0
    magnitude: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether rounding explains the error."""
        return self.max_abs_error <= TOLERANCE * max(self.magnitude, 1.0)


def compare_drivers(
    network: FrameDriver,
    exported: FrameDriver,
    frames: Sequence[DrivingFrame],
    on_frame: Callable[[], object] = lambda: None,
) -> list[OutputError]:
    """Drives both through `frames` (of one drive, in order), from a fresh start.

    Returns:
        An entry for every output of `DriverOutputs`, in order. Agents are compared query by query after matching: a
        heat map's peaks of equal height come in any order.
    """
    errors = {name: OutputError(name) for name in DEPLOYED_OUTPUTS}
    for driver in (network, exported):
        driver.reset()
    for frame in frames:
        expected, given = network.infer(frame).outputs, exported.infer(frame).outputs
        order_Q = _matching_agents(expected, given)
        for name, error in errors.items():
            a, b = getattr(expected, name).double().cpu(), getattr(given, name).double().cpu()
            if name in _AGENT_AXIS:
                b = b.index_select(_AGENT_AXIS[name], order_Q)
            # No number is no agreement, whatever it is compared with.
            difference = (a - b).abs().nan_to_num(nan=math.inf, posinf=math.inf)
            error.max_abs_error = max(error.max_abs_error, float(difference.max()))
            error.magnitude = max(error.magnitude, float(a.abs().nan_to_num().max()))
        on_frame()
    return list(errors.values())


def error_table(errors: Sequence[OutputError]) -> str:
    """Plain text table with a verdict a line."""
    width = max(len(error.name) for error in errors)
    lines = [f"{'output':<{width}}  {'max abs error':>13}  {'largest value':>13}"]
    for error in errors:
        verdict = "" if error.passed else "  too large"
        lines.append(f"{error.name:<{width}}  {error.max_abs_error:13.2e}  {error.magnitude:13.4g}{verdict}")
    return "\n".join(lines)


def _matching_agents(expected: DriverOutputs, given: DriverOutputs) -> torch.Tensor:
    """[Q]: for every query of `expected` the one of `given` with the nearest state."""
    here, there = (outputs.agent_states_BQD[0].double().cpu().nan_to_num() for outputs in (expected, given))
    _, order = linear_sum_assignment(torch.cdist(here, there).numpy())
    return torch.from_numpy(order)
