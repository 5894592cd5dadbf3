"""A node's topics of the embedded world: what it publishes, and the trajectories that it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from aln_p3.msg import PlannedTrajectory
from rclpy.node import Node

from aln_p3_core.errors import AlnP3Error
from aln_p3_core.frame import CameraCalibration
from aln_p3_core.world.closed_loop.drives import Drive, name_drive, open_drive
from aln_p3_core.world.closed_loop.runner import ClosedLoop, RouteResult, make_renderer
from aln_p3_core.world.closed_loop.settings import DriveSettings
from aln_p3_core.world.planners.planner import Planner
from aln_p3_ros.listeners import await_listeners
from aln_p3_ros.qos import reliable_qos
from aln_p3_ros.replay.outlet import RosOutlet
from aln_p3_ros.simulator.plans import PlanInbox
from aln_p3_ros.simulator.ros_drive import Autopilot, Pacing, RosDrive
from aln_p3_ros.simulator.sensors import SensorMessages
from aln_p3_ros.topics import TOPICS

#: Stamp of the first drive, and simulated time between two drives: more than any memory of a driver spans.
FIRST_STAMP_NS = 1_700_000_000_000_000_000
_GAP_NS = 20_000_000_000
_MATCH_S = 10.0


class WorldTopics:
    """Drives one drive after the other over the topics of a node.

    Args:
        node: that publishes and listens; its callbacks are run by somebody else, in another thread.
        rig: cameras by channel.
        transport: "compressed" (JPEG) or "raw".
        planner: publishes trajectories from inside; None: somebody else does.
        ground_truth: publish everybody around.

    Attributes:
        current: the drive under way, None between two. name: of it.
    """

    def __init__(
        self,
        node: Node,
        rig: Mapping[str, CameraCalibration],
        transport: str,
        *,
        planner: Planner | None = None,
        ground_truth: bool = False,
    ) -> None:
        self._node, self._rig, self._planner, self._ground_truth = node, rig, planner, ground_truth
        self._sensors = SensorMessages(rig, transport, ground_truth=ground_truth)
        self._outlet = RosOutlet(node, self._sensors, with_clock=True)
        self._inbox = PlanInbox()
        self._start_ns = FIRST_STAMP_NS
        self.current: RosDrive | None = None
        self.name = ""
        topic = TOPICS["trajectory"].name
        node.create_subscription(PlannedTrajectory, topic, self._inbox.put, reliable_qos())
        self._plans = node.create_publisher(PlannedTrajectory, topic, reliable_qos()) if planner else None

    def close(self) -> None:
        """Ends waits and helper threads. No drive may be under way."""
        self._sensors.close()

    def wake(self) -> None:
        """Ends a wait for a trajectory, for good."""
        self._inbox.close()

    def await_listeners(self, nodes: Sequence[str], timeout_s: float, closing: threading.Event) -> None:
        """Waits until the named nodes subscribe to the images (anybody, when none is named)."""
        await_listeners(
            self._node,
            self._outlet,
            self._sensors.image_topics,
            wait_for_nodes=nodes,
            timeout_s=timeout_s,
            closing=closing,
        )

    def drain(self) -> None:
        """Waits, within bounds, until subscribers have the last messages."""
        self._outlet.drain()

    def drive(
        self,
        what: Drive,
        settings: DriveSettings,
        pacing: Pacing,
        *,
        planner_name: str,
        closing: threading.Event,
        images: bool = True,
    ) -> RouteResult:
        """Runs one drive to its end, or until `closing` is set.

        Args:
            what: the drive. settings: how. pacing: how time passes.
            planner_name: for the result.
            closing: ends it.
            images: whether cameras are rendered and sent.

        Raises:
            PlannerTimeoutError: in lock-step, when no plan came. ConfigError: when pictures cannot be rendered here.
        """
        opened, identity = open_drive(what), name_drive(what)
        stage = opened.stage
        renderer = None
        try:
            self._match_own_plans(closing)
            renderer = make_renderer(stage, opened.weather, settings, self._rig) if images else None
            loop = ClosedLoop(
                stage,
                settings,
                rig=self._rig,
                renderer=renderer,
                time_limit_s=opened.time_limit_s,
                start_ns=self._start_ns,
                drive_id=str(identity["name"]),
            )
            self._inbox.clear()
            self.name = str(identity["name"])
            self.current = RosDrive(
                loop,
                self._sensors,
                self._outlet,
                self._inbox,
                pacing,
                autopilot=None if self._planner is None else Autopilot(self._planner, self._publish_plan),
                ground_truth=self._ground_truth,
                images=images,
                closing=closing,
            )
            result = self.current.run(planner_name, identity)
            self._start_ns = loop.simulation.stamp_ns(loop.simulation.time_s) + _GAP_NS
            return result
        finally:
            self.current = None
            if renderer is not None:
                renderer.close()
            stage.traffic.close()

    def _match_own_plans(self, closing: threading.Event) -> None:
        """Waits until the own subscription is known to the own publisher: what is published before is lost."""
        until = time.monotonic() + _MATCH_S
        while self._plans is not None and not self._plans.get_subscription_count():
            if closing.wait(0.01):
                return
            if time.monotonic() > until:
                raise AlnP3Error(f"nobody listens to {self._plans.topic_name}, not even this node; is DDS blocked?")

    def _publish_plan(self, message: PlannedTrajectory) -> None:
        assert self._plans is not None
        if self._node.context.ok():
            self._plans.publish(message)
