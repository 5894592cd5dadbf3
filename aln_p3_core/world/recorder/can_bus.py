"""CAN bus messages of a scene in the format of the nuScenes CAN bus expansion, as `NuScenesCanBus` reads them.

Messages are made from the physics states of the ego, interpolated to the rate of each message. What a simulated
car does not have (battery, solar irradiation) is left at a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aln_p3_core.frame import GRAVITY_MS2
from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.ego import MAX_ACCELERATION, MAX_BRAKING, EgoState

#: Messages per second. (On the real car some are faster; nothing of the world's car changes faster than this.)
RATES_HZ = {
    "pose": 50.0,
    "ms_imu": 50.0,
    "steeranglefeedback": 50.0,
    "zoe_veh_info": 10.0,
    "zoesensors": 10.0,
    "vehicle_monitor": 2.0,
}
#: Steering wheel angle over front wheel angle.
STEERING_RATIO = 15.2
WHEEL_CIRCUMFERENCE_M = 1.9
_TRACK_M = 1.5

Message = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Motion:
    """The ego at the instants of one kind of message; every array has one row a message."""

    utime: list[int]
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    speed: FloatArray
    acceleration: FloatArray
    steering: FloatArray
    yaw_rate: FloatArray
    distance: FloatArray
    left: FloatArray
    right: FloatArray


def can_messages(
    states: Sequence[EgoState], start_us: int, route: FloatArray, turn_signals: Sequence[int] | None = None
) -> dict[str, object]:
    """All message files of a scene by message name: "pose", "ms_imu", ..., "meta", "route".

    Args:
        states: the ego at every physics step, two at least, in time order.
        start_us: stamp of time 0, microseconds.
        route: [P, 2] the planned way, m.
        turn_signals: per state: 1 indicating left, -1 right, 0 none.
    """
    signals = np.zeros(len(states)) if turn_signals is None else np.asarray(turn_signals, dtype=np.float64)
    files: dict[str, object] = {}
    for name, rate in RATES_HZ.items():
        motion = _resample(states, start_us, rate, signals)
        files[name] = _rows(_BUILDERS[name](motion), motion.utime)
    files["meta"] = {name: _meta(files[name], rate) for name, rate in RATES_HZ.items()}  # type: ignore[arg-type]
    files["route"] = np.round(route, 2).tolist()
    return files


def _resample(states: Sequence[EgoState], start_us: int, rate: float, signals: FloatArray) -> _Motion:
    seconds = np.array([state.time_s for state in states])
    times = seconds[0] + np.arange(int((seconds[-1] - seconds[0]) * rate + 1e-6) + 1) / rate

    def at(name: str) -> FloatArray:
        return np.interp(times, seconds, [getattr(state, name) for state in states])

    speed = at("speed")
    heading = np.interp(times, seconds, np.unwrap([state.heading for state in states]))
    nearest = np.clip(np.searchsorted(seconds, times - 1e-9), 0, len(states) - 1)
    return _Motion(
        utime=[start_us + round(t * 1e6) for t in times.tolist()],
        x=at("x"),
        y=at("y"),
        heading=heading,
        speed=speed,
        acceleration=at("acceleration"),
        steering=at("steering"),
        yaw_rate=at("yaw_rate"),
        distance=np.concatenate([[0.0], np.cumsum(np.abs(speed[1:] + speed[:-1]) / 2 / rate)]),
        left=(signals[nearest] > 0).astype(np.float64),
        right=(signals[nearest] < 0).astype(np.float64),
    )


def _vector(x: FloatArray, y: FloatArray | float, z: FloatArray | float) -> FloatArray:
    return np.stack(np.broadcast_arrays(x, y, z), axis=1)


def _inertial(m: _Motion) -> Mapping[str, FloatArray]:
    zero = np.zeros_like(m.heading)
    return {
        "accel": _vector(m.acceleration, m.speed * m.yaw_rate, GRAVITY_MS2),
        "orientation": np.column_stack([np.cos(m.heading / 2), zero, zero, np.sin(m.heading / 2)]),
        "rotation_rate": _vector(zero, 0.0, m.yaw_rate),
    }


def _pose(m: _Motion) -> Mapping[str, FloatArray]:
    return {**_inertial(m), "pos": _vector(m.x, m.y, 0.0), "vel": _vector(m.speed, 0.0, 0.0)}


def _ms_imu(m: _Motion) -> Mapping[str, FloatArray]:
    inertial = _inertial(m)
    return {
        "linear_accel": inertial["accel"],
        "q": inertial["orientation"],
        "rotation_rate": inertial["rotation_rate"],
    }


def _steering_feedback(m: _Motion) -> Mapping[str, FloatArray]:
    return {"value": m.steering * STEERING_RATIO}


def _pedals(m: _Motion) -> tuple[FloatArray, FloatArray]:
    """Throttle and brake, 0..1."""
    return np.clip(m.acceleration / MAX_ACCELERATION, 0, 1), np.clip(-m.acceleration / MAX_BRAKING, 0, 1)


def _wheel_rpm(m: _Motion, side: float) -> FloatArray:
    """Of a rear wheel; side is +1 on the left, -1 on the right."""
    return (m.speed - side * m.yaw_rate * _TRACK_M / 2) / WHEEL_CIRCUMFERENCE_M * 60


def _zoe_veh_info(m: _Motion) -> Mapping[str, FloatArray]:
    throttle, brake = _pedals(m)
    constant = np.zeros_like(m.speed)
    degrees = np.degrees(m.steering) * STEERING_RATIO
    front = _wheel_rpm(m, 0.0) / np.maximum(np.cos(m.steering), 0.5)
    return {
        "FL_wheel_speed": front,
        "FR_wheel_speed": front,
        "RL_wheel_speed": _wheel_rpm(m, 1.0),
        "RR_wheel_speed": _wheel_rpm(m, -1.0),
        "left_solar": constant,
        "longitudinal_accel": m.acceleration,
        "meanEffTorque": 400 + 200 * (throttle - brake),
        "odom": m.distance,
        "odom_speed": m.speed * 3.6,
        "pedal_cc": throttle * 100,
        "regen": brake,
        "requestedTorqueAfterProc": 400 + 200 * (throttle - brake),
        "right_solar": constant,
        "steer_corrected": degrees,
        "steer_offset_can": constant,
        "steer_raw": degrees,
        "transversal_accel": m.speed * m.yaw_rate,
    }


def _zoesensors(m: _Motion) -> Mapping[str, FloatArray]:
    throttle, brake = _pedals(m)
    return {"brake_sensor": brake, "steering_sensor": m.steering * STEERING_RATIO, "throttle_sensor": throttle}


def _vehicle_monitor(m: _Motion) -> Mapping[str, FloatArray]:
    throttle, brake = _pedals(m)
    constant = np.ones_like(m.speed)
    braking = brake > 0.02
    return {
        "available_distance": 120 * constant,
        "battery_level": 90 * constant,
        "brake": np.round(brake * 126),
        "brake_switch": np.where(braking, 2.0, 1.0),
        "gear_position": 7 * constant,
        "left_signal": m.left,
        "rear_left_rpm": _wheel_rpm(m, 1.0),
        "rear_right_rpm": _wheel_rpm(m, -1.0),
        "right_signal": m.right,
        "steering": np.degrees(m.steering) * STEERING_RATIO,
        "steering_speed": np.gradient(np.degrees(m.steering) * STEERING_RATIO) * RATES_HZ["vehicle_monitor"]
        if len(m.steering) > 1
        else 0 * constant,
        "throttle": np.round(throttle * 200),
        "vehicle_speed": m.speed * 3.6,
        "yaw_rate": np.degrees(m.yaw_rate),
    }


_BUILDERS: dict[str, Callable[[_Motion], Mapping[str, FloatArray]]] = {
    "pose": _pose,
    "ms_imu": _ms_imu,
    "steeranglefeedback": _steering_feedback,
    "zoe_veh_info": _zoe_veh_info,
    "zoesensors": _zoesensors,
    "vehicle_monitor": _vehicle_monitor,
}
_WHOLE = {"available_distance", "battery_level", "brake", "brake_switch", "gear_position", "left_signal"} | {
    "right_signal",
    "throttle",
}


def _rows(columns: Mapping[str, FloatArray], utime: list[int]) -> list[Message]:
    lists = {
        name: values.astype(np.int64).tolist() if name in _WHOLE else np.round(values, 6).tolist()
        for name, values in columns.items()
    }
    names = sorted(lists)
    return [
        dict(zip(names, values, strict=True)) | {"utime": stamp}
        for stamp, *values in zip(utime, *(lists[name] for name in names), strict=True)
    ]


def _meta(messages: list[Message], rate: float) -> dict[str, object]:
    """Count, rate and spread of every field, as the expansion's meta file has them."""
    spread = {}
    for name in messages[0]:
        values = np.array([message[name] for message in messages], dtype=np.float64)
        spread[name] = {
            key: np.round(function(values, axis=0), 6).tolist()
            for key, function in (("max", np.max), ("mean", np.mean), ("min", np.min), ("std", np.std))
        }
    span = (messages[-1]["utime"] - messages[0]["utime"]) * 1e-6
    return {"message_count": len(messages), "message_freq": rate, "timespan": span, "var_stats": spread}
