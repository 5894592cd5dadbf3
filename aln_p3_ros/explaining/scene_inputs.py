"""The newest scene that was published whole: plan, tokens, objects and map of one `plan_id`.

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

    @property
    def warnings(self) -> tuple[str, ...]:
        """What goes with all words about the scene, a line each."""
        return tuple(f"the plan is degraded: {reason}" for reason in self.degraded)


class SceneInputs:
    """Puts together what belongs to one plan. Used by one thread (the executor's).

    Args:
        on_scene: called with every scene that is complete and newer than the last.
        on_stop: called with the reasons of every declared stop. on_plan: with the stamp of every plan that is none.

    Attributes:
        received: how many tokens came. newest_ns: stamp of the newest of them; 0 where there is none since the start,
            or since `forget`.
        unreadable: how many messages ended before their plan's id. problem: what the last of them was, until a scene
            is whole again; else "".
    """

    def __init__(
        self, on_scene: Callable[[RawScene], None], on_stop: Callable[[str], None], on_plan: Callable[[int], None]
    ) -> None:
        self._on_scene, self._on_stop, self._on_plan = on_scene, on_stop, on_plan
        self._degraded: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._objects: OrderedDict[str, bytes] = OrderedDict()
        self._maps: OrderedDict[str, bytes] = OrderedDict()
        self._tokens: tuple[int, str, bytes] | None = None
        self.received = 0
        self.newest_ns = 0
        self.unreadable = 0
        self.problem = ""

    def add_plan(self, message: PlannedTrajectory) -> None:
        """Takes a plan: whether the vehicle follows it, and with less than all inputs."""
        stamp_ns = to_ns(message.header.stamp)
        if message.degraded == PlannedTrajectory.DEGRADED_STOP:
            self._on_stop("; ".join(message.degraded_reasons))
            return
        self._on_plan(stamp_ns)
        _keep(self._degraded, message.plan_id, tuple(message.degraded_reasons))
        self._match()

    def add_tokens(self, data: bytes) -> None:
        """Takes tokens; those that still wait for what belongs to them are dropped."""
        self.received += 1
        head = self._head("scene tokens", data)
        if head is not None:
            self._tokens = (*head, data)
            self.newest_ns = head[0]
            self._match()

    def add_objects(self, data: bytes) -> None:
        """Takes the objects of a plan."""
        head = self._head("objects", data)
        if head is not None:
            _keep(self._objects, head[1], data)
            self._match()

    def add_map(self, data: bytes) -> None:
        """Takes the map lines of a plan."""
        head = self._head("map", data)
        if head is not None:
            _keep(self._maps, head[1], data)
            self._match()

    def forget(self) -> None:
        """Drops all that waits: the clock has jumped back, and it is of another time."""
        for kept in (self._degraded, self._objects, self._maps):
            kept.clear()
        self._tokens, self.newest_ns = None, 0

    @property
    def missing(self) -> str:
        """What the newest tokens wait for, in words; "" for nothing."""
        waiting = self._tokens
        if waiting is None:
            return ""
        parts = (("trajectory", self._degraded), ("objects", self._objects), ("map", self._maps))
        return " and ".join(word for word, kept in parts if waiting[1] not in kept)

    def _head(self, what: str, data: bytes) -> tuple[int, str] | None:
        """Stamp and plan id of a message, or None, which is counted: it must not end the node."""
        try:
            return head_of(data)
        except ValueError as error:
            self.unreadable += 1
            self.problem = f"{what} that cannot be read: {error}"
            return None

    def _match(self) -> None:
        if self._tokens is None:
            return
        stamp_ns, plan_id, tokens = self._tokens
        # Without the plan itself nobody knows whether it is degraded.
        degraded = self._degraded.get(plan_id)
        objects, vector_map = self._objects.get(plan_id), self._maps.get(plan_id)
        if degraded is not None and objects is not None and vector_map is not None:
            self._tokens, self.problem = None, ""
            self._on_scene(RawScene(stamp_ns, tokens, objects, vector_map, degraded))


def head_of(data: bytes) -> tuple[int, str]:
    """Nanoseconds of the stamp, and the plan id, of a serialised message that begins with header and `plan_id`.

    Raises:
        ValueError: when it ends before that, or the id is no text.
    """
    try:
        order = "<" if data[1] & 1 else ">"
        at = _CDR_HEADER + 8
        for _ in range(2):  # frame_id, then plan_id
            at += -at % 4
            (length,) = struct.unpack_from(f"{order}I", data, at)
            text = data[at + 4 : at + 4 + length]
            at += 4 + length
        if at > len(data):
            raise ValueError(f"{len(data)} bytes end within the plan's id")
        return stamp_of(data), bytes(text).rstrip(b"\0").decode()
    except (IndexError, struct.error):
        raise ValueError(f"{len(data)} bytes end before the plan's id") from None


def stamp_of(data: bytes) -> int:
    """Nanoseconds of the stamp of a serialised message that begins with a `std_msgs/Header`."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, _CDR_HEADER)
    return int(seconds) * 10**9 + int(nanoseconds)


def _keep(messages: OrderedDict[str, Any], plan_id: str, value: object) -> None:
    messages[plan_id] = value
    messages.move_to_end(plan_id)
    while len(messages) > _KEPT_PLANS:
        messages.popitem(last=False)
