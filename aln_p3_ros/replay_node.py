"""replay_node: a nuScenes-schema data set, or a bag, as ROS 2 topics with their own stamps."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from aln_p3.srv import ReplayControl
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from aln_p3_core.errors import AlnP3Error
from aln_p3_ros.listeners import await_listeners
from aln_p3_ros.parameters import check_changes, declare_settings, read_settings
from aln_p3_ros.replay.outlet import RosOutlet
from aln_p3_ros.replay.player import Player
from aln_p3_ros.replay.replay_settings import ReplaySettings
from aln_p3_ros.spin import spin_node
from aln_p3_ros.topics import TOPICS


class ReplayNode(Node):
    """Plays a timeline and offers the service `~/control` (aln_p3/srv/ReplayControl).

    The topics are those of `topics.TOPICS`; ROS remapping renames them.

    Attributes:
        finished: set when the node has nothing more to do.
        failure: why it ended early, or None.

    Raises:
        AlnP3Error: when the data cannot be opened or a parameter does not fit.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("replay_node", **kwargs)
        declare_settings(self, ReplaySettings)
        try:
            settings = read_settings(self, ReplaySettings)
            timeline = settings.timeline()
        except AlnP3Error:
            super().destroy_node()
            raise
        self.finished = threading.Event()
        self.failure: AlnP3Error | None = None
        self._settings = settings
        self._image_topics = tuple(timeline.image_topics)
        has_clock = any(topic.name == TOPICS["clock"].name for topic in timeline.topics)
        with_clock = settings.clock == "player" or (settings.clock == "auto" and not has_clock)
        self._outlet = RosOutlet(self, timeline, with_clock=with_clock)
        self._player = Player(
            timeline,
            self._outlet,
            rate=settings.rate,
            loop=settings.loop,
            loop_gap_s=settings.loop_gap_s,
            start_offset_s=settings.start_offset_s,
            clock_rate_hz=settings.clock_rate_hz,
            paused=settings.start_paused,
            on_end=self._at_end,
            on_error=self._on_error,
        )
        self.create_service(ReplayControl, "~/control", self._control)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._starter = threading.Thread(target=self._start, name="starter", daemon=True)
        self._closing = threading.Event()
        duration_s = (timeline.end_ns - timeline.start_ns) * 1e-9
        self.get_logger().info(
            f"{settings.bag or settings.root}: {duration_s:.2f} s on {len(timeline.topics)} topics, "
            f"rate {settings.rate:g}{', looping' if settings.loop else ''}"
        )

    def start(self) -> None:
        """Plays, once every image topic has a subscriber or the wait for them is over."""
        self._starter.start()

    def destroy_node(self) -> None:
        """Stops the player and waits for its thread, then destroys the node."""
        self._closing.set()
        if self._starter.is_alive():
            self._starter.join()
        self._player.stop()
        super().destroy_node()

    def _start(self) -> None:
        await_listeners(
            self,
            self._outlet,
            self._image_topics,
            wait_for_nodes=self._settings.wait_for_nodes,
            timeout_s=self._settings.wait_for_subscribers_s,
            closing=self._closing,
        )
        if not self._closing.is_set():
            self._player.start()

    def _at_end(self) -> None:
        self._outlet.drain()
        # Best-effort subscribers acknowledge nothing, and still read from this process's shared memory.
        self._closing.wait(self._settings.linger_s)
        self.get_logger().info("the replay is over")
        if self._settings.at_end == "exit":
            self.finished.set()

    def _on_error(self, error: AlnP3Error) -> None:
        self.get_logger().fatal(str(error))
        self.failure = error
        self.finished.set()

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        result = check_changes(self, ReplaySettings, changes, configured=True)
        for parameter in changes:
            if result.successful and parameter.name == "rate":
                self._player.set_rate(parameter.value)
        return result

    def _control(self, request: ReplayControl.Request, response: ReplayControl.Response) -> ReplayControl.Response:
        actions = {
            ReplayControl.Request.PAUSE: self._player.pause,
            ReplayControl.Request.RESUME: self._player.resume,
            ReplayControl.Request.STEP: self._player.step,
            ReplayControl.Request.SEEK: lambda: self._player.seek(request.start_offset),
            ReplayControl.Request.SET_RATE: lambda: self._player.set_rate(request.rate),
        }
        response.success = request.action in actions
        if not response.success:
            response.message = f"there is no action {request.action}; actions are 0 to {max(actions)}"
            return response
        try:
            actions[request.action]()
        except AlnP3Error as error:
            response.success = False
            response.message = str(error)
            return response
        state = "playing" if self._player.playing else "paused"
        response.message = f"{state} at {self._player.position_s:.3f} s"
        return response


def main(args: list[str] | None = None, parameters: Mapping[str, Any] | None = None) -> None:
    """Entry point of the executable; ends with 1 when the data cannot be replayed.

    Args:
        args: command line; None: the process's own.
        parameters: values that stand where the command line gives none.
    """

    def started(**kwargs: Any) -> ReplayNode:
        node = ReplayNode(**kwargs)
        node.start()
        return node

    node = spin_node("replay_node", started, args, parameters=parameters, until=lambda node: node.finished.is_set())
    sys.exit(1 if node.failure else 0)


if __name__ == "__main__":
    main()
