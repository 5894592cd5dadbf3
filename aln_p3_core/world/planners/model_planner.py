"""A trained `Driver` (or one with untrained heads) behind the planner interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aln_p3_core.errors import InvalidFrameError
from aln_p3_core.world.planners.planner import EgoPlan, Observation

if TYPE_CHECKING:
    from aln_p3_core.driver.frame_driver import FrameDriver
    from aln_p3_core.scene import DrivingScene


class ModelPlanner:
    """Drives by the six pictures, the command and, where its recipe reads it, the ego status: no ground truth.

    Attributes:
        driver: what plans.
        scene: what it saw at the last tick, None before the first.
    """

    needs_images = True

    def __init__(self, driver: FrameDriver, name: str = "") -> None:
        """`name`: for tables; the driver's description when empty."""
        self.driver = driver
        self.scene: DrivingScene | None = None
        self._name = name or driver.description

    @property
    def name(self) -> str:
        """For tables and reports."""
        return self._name

    def reset(self) -> None:
        """Drops the driver's memory."""
        self.driver.reset("new episode")
        self.scene = None

    def plan(self, observation: Observation) -> EgoPlan:
        """The trajectory of the commanded mode.

        Raises:
            InvalidFrameError: when the observation has no pictures.
        """
        if observation.frame is None:
            raise InvalidFrameError(
                f"{self.name} drives by cameras, and the observation has no images; observe with a renderer"
            )
        self.scene = self.driver.plan(observation.frame)
        plan = self.scene.plan
        points, headings = self.scene.plan_in_ego()
        mode = plan.command.command.value
        # The frame, and so the plan, speaks of the newest picture's instant.
        stamp_s = max((view.time_s for view in observation.views.values()), default=observation.state.time_s)
        return EgoPlan(stamp_s, plan.times_s, points[mode], headings[mode])
