"""`SamplePrediction`: what is said about one key frame, by a driver or a baseline. Metrics read this alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from aln_p3_core.frame import RouteCommand
from aln_p3_core.geometry import FloatArray
from aln_p3_core.scene import Agents, MapElements


@dataclass(frozen=True, slots=True, eq=False)
class SamplePrediction:
    """One key frame.

    Attributes:
        token: of the sample. scene: its name.
        plan_model: [6, 2] planned places of the model frame's origin every 0.5 s, m, model frame.
        plans_model: [3, 6, 2] the same for every command (index: `Command.value`), or None where there is one plan.
        agents, map_elements: what is seen; None where nothing looks.
        command: the command that `plan_model` follows, with its provenance.
    """

    token: str
    scene: str
    plan_model: FloatArray
    plans_model: FloatArray | None = None
    agents: Agents | None = None
    map_elements: MapElements | None = None
    command: RouteCommand = field(default_factory=RouteCommand)

    def with_command(self, command: RouteCommand) -> SamplePrediction:
        """The same prediction under another command: no second pass, since all plans are there.

        A prediction with one plan only stays as it is.
        """
        if self.plans_model is None:
            return self
        return replace(self, command=command, plan_model=np.asarray(self.plans_model[command.command.value]))
