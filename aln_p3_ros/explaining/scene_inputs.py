"""The newest scene that was published whole: tokens, objects and map of one plan.

Messages are kept as the bytes that came. Objects and map come with every plan, tokens far more rarely: only what is
explained is unpacked, in the thread that explains.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aln_p3.msg import PlannedTrajectory, PredictedObjects, SceneTokens, VectorMap
from rclpy.serialization import deserialize_message

from aln_p3_core.scene import DrivingScene
from aln_p3_ros.messages.scene_from_tokens import scene_from_messages
from aln_p3_ros.messages.stamps import to_ns

#: Objects and lines of so many plans wait for tokens, which are published after them.
_KEPT_PLANS = 8
_CDR_HEADER = 4


@dataclass(frozen=True, slots=True)
class RawScene:
    """Messages of one plan as bytes (CDR).

    Attributes:
        stamp_ns: the plan's.
        tokens, objects, vector_map: messages.
        degraded: why the plan was made with less than all inputs, a line each.
    """

    stamp_ns: int
    tokens: bytes
    objects: bytes
    vector_map: bytes
    degraded: tuple[str, ...] = ()

    def read(self) -> HeardScene:
        """Unpacks the messages.

        Raises:
            ValueError: when they do not fit together, or hold no tensors and poses.
        """
        tokens: Any = deserialize_message(self.tokens, SceneTokens)
        objects: Any = deserialize_message(self.objects, PredictedObjects)
        vector_map: Any = deserialize_message(self.vector_map, VectorMap)
        return HeardScene(tokens, scene_from_messages(tokens, objects, vector_map), self.degraded)


@dataclass(frozen=True, slots=True)
class HeardScene:
    """A scene, the message that its tokens came in, and why its plan is degraded."""

    tokens: SceneTokens
    scene: DrivingScene
    degraded: tuple[str, ...] = ()

    @property
    def speed(self) -> float | None:
        """m/s, or None where the driver did not know it."""
        value = float(self.tokens.speed)
        return None if value != value else value


class SceneInputs:
    """Puts together what belongs to one plan. Used by one thread (the executor's).

    Args:
        on_scene: called with every scene that is complete and newer than the last.
        on_stop: called with the reasons of every declared stop. on_plan: with the stamp of every plan that is none.

    Attributes:
        received: how many tokens came. newest_ns: stamp of the newest of them; 0 before the first.
    """

    def __init__(
        self, on_scene: Callable[[RawScene], None], on_stop: Callable[[str], None], on_plan: Callable[[int], None]
    ) -> None:
        self._on_scene, self._on_stop, self._on_plan = on_scene, on_stop, on_plan
        self._degraded: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        self._objects: OrderedDict[int, bytes] = OrderedDict()
        self._maps: OrderedDict[int, bytes] = OrderedDict()
        self._tokens: tuple[int, bytes] | None = None
        self.received = 0
        self.newest_ns = 0

    def add_plan(self, message: PlannedTrajectory) -> None:
        """Takes a plan: whether the vehicle follows it, and with less than all inputs."""
        stamp_ns = to_ns(message.header.stamp)
        if message.degraded == PlannedTrajectory.DEGRADED_STOP:
            self._on_stop("; ".join(message.degraded_reasons))
            return
        self._on_plan(stamp_ns)
        self._degraded[stamp_ns] = tuple(message.degraded_reasons)
        while len(self._degraded) > _KEPT_PLANS:
            self._degraded.popitem(last=False)

    def add_tokens(self, data: bytes) -> None:
        """Takes tokens; those that still wait for their objects are dropped."""
        self.received += 1
        self._tokens = (stamp_of(data), data)
        self.newest_ns = self._tokens[0]
        self._match()

    def add_objects(self, data: bytes) -> None:
        """Takes the objects of a plan."""
        _keep(self._objects, data)
        self._match()

    def add_map(self, data: bytes) -> None:
        """Takes the map lines of a plan."""
        _keep(self._maps, data)
        self._match()

    @property
    def missing(self) -> str:
        """What the newest tokens wait for, in words; "" for nothing."""
        waiting = self._tokens
        if waiting is None:
            return ""
        absent = [
            word for word, kept in (("objects", self._objects), ("map", self._maps)) if waiting[0] not in kept
        ]  # fmt: skip
        return " and ".join(absent)

    def _match(self) -> None:
        if self._tokens is None:
            return
        stamp_ns, tokens = self._tokens
        objects, vector_map = self._objects.get(stamp_ns), self._maps.get(stamp_ns)
        if objects is not None and vector_map is not None:
            self._tokens = None
            self._on_scene(RawScene(stamp_ns, tokens, objects, vector_map, self._degraded.get(stamp_ns, ())))


def stamp_of(data: bytes) -> int:
    """Nanoseconds of the stamp of a serialised message that begins with a `std_msgs/Header`."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, _CDR_HEADER)
    return int(seconds) * 10**9 + int(nanoseconds)


def _keep(messages: OrderedDict[int, bytes], data: bytes) -> None:
    stamp_ns = stamp_of(data)
    messages[stamp_ns] = data
    messages.move_to_end(stamp_ns)
    while len(messages) > _KEPT_PLANS:
        messages.popitem(last=False)
