"""A tree of fixed transforms, filled from /tf_static.

tf2's Python binding does not exist outside a distribution, and the driver needs fixed mounting poses only, so
plain subscriptions to `tf2_msgs/TFMessage` and this tree are enough on every machine.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from aln_p3_core.errors import CalibrationError, ConfigError
from aln_p3_core.geometry import FloatArray, invert_transform, make_transform, matrix_to_quaternion


def tf_message_type() -> Any:
    """The class `tf2_msgs.msg.TFMessage`.

    Raises:
        ConfigError: saying where to get it.
    """
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise ConfigError(
            "tf2_msgs is not installed, so /tf and /tf_static cannot be read: install it from the ROS 2 distribution, "
            "or build the stand-in in third_party_interfaces/tf2_msgs (`make` does)"
        ) from error
    return TFMessage


class TransformTree:
    """Fixed transforms between named frames. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[str, tuple[str, FloatArray]] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Grows whenever a transform is new or changes."""
        return self._version

    def set(self, parent: str, child: str, T_parent_child: FloatArray) -> bool:
        """Adds or replaces one transform; returns whether anything changed.

        Raises:
            CalibrationError: when it would close a loop.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        with self._lock:
            known = self._parents.get(child)
            if known is not None and known[0] == parent and np.array_equal(known[1], T_parent_child):
                return False
            ancestor: str | None = parent
            while ancestor is not None:
                if ancestor == child:
                    raise CalibrationError(f"the transform {parent} -> {child} would close a loop of frames")
                ancestor = self._parents[ancestor][0] if ancestor in self._parents else None
            self._parents[child] = (parent, np.asarray(T_parent_child, dtype=np.float64))
            self._version += 1
            return True

    def add_message(self, message: Any) -> list[str]:
        """Takes over every transform of a `TFMessage`; returns what was wrong with those that were refused."""
        problems = []
        for stamped in message.transforms:
            parent, child = stamped.header.frame_id, stamped.child_frame_id
            try:
                self.set(parent, child, transform_from_message(stamped.transform))
            except ValueError as error:
                problems.append(f"transform {parent} -> {child}: {error}")
        return problems

    def lookup(self, target: str, source: str) -> FloatArray | None:
        """4x4, source frame to target frame, or None where the tree does not connect them."""
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            to_target_root = self._chain(target)
            to_source_root = self._chain(source)
        for frame, T_frame_source in to_source_root.items():
            if frame in to_target_root:
                return invert_transform(to_target_root[frame]) @ T_frame_source
        return None

    def frames(self) -> list[str]:
        """All frames known, sorted."""
        with self._lock:
            return sorted({*self._parents, *(parent for parent, _ in self._parents.values())})

    def _chain(self, frame: str) -> dict[str, FloatArray]:
        """Every ancestor of a frame (itself first) with the transform from the frame to it."""
        transform = np.eye(4)
        chain = {frame: transform}
        while frame in self._parents:
            frame, T_parent_child = self._parents[frame]
            transform = T_parent_child @ transform
            chain[frame] = transform
        return chain


def transform_from_message(message: Any) -> FloatArray:
    """4x4 of a `geometry_msgs/Transform` or `geometry_msgs/Pose`.

    Raises:
        ValueError: when the quaternion has not norm 1, or a number is not finite.
    """
    place = getattr(message, "translation", None) or message.position
    rotation = getattr(message, "rotation", None) or message.orientation
    translation = [place.x, place.y, place.z]
    if not np.isfinite(translation).all():
        raise ValueError(f"a position must be three finite numbers, got {translation}")
    return make_transform([rotation.w, rotation.x, rotation.y, rotation.z], translation)


def fill_pose(message: Any, transform: FloatArray) -> Any:
    """Writes a 4x4 into a `geometry_msgs/Pose` or `Transform`, and returns it."""
    is_pose = hasattr(message, "position")
    place, rotation = (message.position, message.orientation) if is_pose else (message.translation, message.rotation)
    place.x, place.y, place.z = (float(value) for value in transform[:3, 3])
    rotation.w, rotation.x, rotation.y, rotation.z = (float(value) for value in matrix_to_quaternion(transform))
    return message
