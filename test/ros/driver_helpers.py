"""A rig of publishers, a listener and a small model, to drive `driver_node` in tests.

Time is simulated: the test says what time it is, so nothing depends on how fast the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import rclpy
from aln_p3.msg import PlannedTrajectory, PredictedObjects, RouteCommand, SceneTokens, VectorMap
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry, Path
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from replay_helpers import WAIT_S, wait_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from aln_p3_core.config import get_recipe
from aln_p3_core.driver.memory import TemporalMemory
from aln_p3_core.frame import NUSCENES_CAMERAS, CameraCalibration, DrivingFrame
from aln_p3_core.geometry import make_transform
from aln_p3_core.preprocess import ImagePreprocessor
from aln_p3_core.scene import Agents, DrivingScene, MapElements, Plan
from aln_p3_core.scene import SceneTokens as Tokens
from aln_p3_core.synthetic import track
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_ros.driver_node import DriverNode
from aln_p3_ros.environment import use_dds_profile
from aln_p3_ros.messages.camera_info import info_message
from aln_p3_ros.messages.images import compressed_message, image_message
from aln_p3_ros.messages.stamps import to_ns, to_time
from aln_p3_ros.messages.transforms import fill_pose
from aln_p3_ros.qos import latched_qos, reliable_qos
from aln_p3_ros.topics import TOPICS

SIZE = (160, 90)
SPEED = 8.0
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000
_SETTLED_STATES = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)
RELIABLE_IMAGES = {
    f"qos_overrides./sensors/camera/{name.lower()}/image{suffix}.subscription.reliability": "reliable"
    for name in NUSCENES_CAMERAS
    for suffix in ("", "/compressed")
}


def values(status: DiagnosticStatus) -> dict[str, str]:
    """The values of a diagnostic status."""
    return {entry.key: entry.value for entry in status.values}


def straight_scene(frame: DrivingFrame, *, with_tokens: bool = False, reset: str = "", steps: int = 6) -> DrivingScene:
    """A scene with a plan straight ahead at 8 m/s (and gentle curves for the other commands), a car and a line."""
    along = SPEED * 0.5 * np.arange(1, steps + 1)
    trajectories = np.zeros((3, steps, 2), np.float32)
    trajectories[:, :, 1] = along
    trajectories[0, :, 0] = 0.01 * along**2
    trajectories[1, :, 0] = -0.01 * along**2
    agents = Agents(
        centers_model=np.array([[2.0, 20.0, -1.0], [-3.0, 10.0, -1.0]], np.float32),
        sizes_lwh=np.array([[4.5, 1.9, 1.6], [0.7, 0.7, 1.8]], np.float32),
        headings_model=np.array([np.pi / 2, 0.0], np.float32),
        velocities_model=np.array([[0.0, 8.0], [1.0, 0.0]], np.float32),
        scores=np.array([0.9, 0.1], np.float32),
        class_ids=np.array([0, 8]),
        forecasts_model=np.zeros((2, 6, steps, 2), np.float32),
        forecast_probabilities=np.tile(np.array([0.1, 0.5, 0.1, 0.1, 0.1, 0.1], np.float32), (2, 1)),
        query_ids=np.array([7, 3]),
    )
    lines = MapElements(
        points_model=np.array([[[0.0, 0.0], [0.0, 10.0]]], np.float32),
        scores=np.array([0.8], np.float32),
        class_ids=np.array([2]),
        query_ids=np.array([4]),
    )
    tokens = None
    if with_tokens:
        tokens = Tokens(
            bev=np.arange(100 * 100 * 4, dtype=np.float32).reshape(100, 100, 4) / 1e3,
            agents=np.arange(10 * 4, dtype=np.float32).reshape(10, 4),
            motion=np.zeros((10, 6, 8), np.float32),
            map=np.arange(5 * 4, dtype=np.float32).reshape(5, 4),
            ego=np.ones(8, np.float32),
        )
    return DrivingScene(
        agents=agents,
        map_elements=lines,
        plan=Plan(trajectories, frame.command),
        reference_stamp_ns=frame.reference_stamp_ns,
        newest_image_stamp_ns=frame.newest_image_stamp_ns,
        T_global_ego=frame.T_global_ego,
        T_ego_model=frame.T_ego_model,
        tokens=tokens,
        missing_cameras=frame.missing_cameras,
        memory_reset=reset,
        history_age_s=None,
        timings_ms={"backbone": 1.0},
    )


class StraightModel:
    """Plans straight ahead, after decoding the images and applying the real rules of memory.

    Attributes:
        frames: all frames that it has planned on.
        gate: while cleared, `plan` waits.
        entered: how many plans have begun.
    """

    def __init__(self, settings: Any = None) -> None:
        self.config = get_recipe("nano")
        self.checkpoint_hash = "0123abcd"
        self.description = "a model that drives straight ahead"
        self.frames: list[DrivingFrame] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = 0
        self.error: Exception | None = None
        self._memory = TemporalMemory(self.config.memory)
        self._preprocessor = ImagePreprocessor(self.config.image)

    def plan(self, frame: DrivingFrame, *, with_tokens: bool = False) -> DrivingScene:
        self.entered += 1
        assert self.gate.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        self._preprocessor.prepare(frame, self.config.cameras)
        reset = self._memory.advance(frame)
        self.frames.append(frame)
        return straight_scene(frame, with_tokens=with_tokens, reset=reset)

    def reset(self, reason: str = "asked for") -> None:
        self._memory.reset(reason)

    def warm_up(self, frames: int = 2) -> None:
        return


class SensorRig(Node):
    """Publishes clock, transforms, odometry, calibration and images of the test track, when told to."""

    def __init__(self, context: Context, transport: str = "compressed") -> None:
        super().__init__("sensor_rig", context=context)
        self.transport = transport
        self.now_ns = START_NS
        self.calibrations: dict[str, CameraCalibration] = dict(track.rig(*SIZE))
        self._rounds = track_frames(3, size=SIZE, encoded=transport == "compressed")
        self.sent = dict.fromkeys(NUSCENES_CAMERAS, 0)
        self.distortion: dict[str, list[float]] = {}
        self._round = 0
        self._clock = self.create_publisher(Clock, "/clock", 1)
        self._odometry = self.create_publisher(Odometry, TOPICS["odometry"].name, reliable_qos())
        self._tf_static = self.create_publisher(TFMessage, "/tf_static", latched_qos(1))
        self._command = self.create_publisher(RouteCommand, TOPICS["route_command"].name, reliable_qos())
        key, kind = ("camera_image", Image) if transport == "raw" else ("camera_compressed", CompressedImage)
        self._images = {
            name: self.create_publisher(kind, TOPICS[key].name.format(camera=name.lower()), reliable_qos())
            for name in NUSCENES_CAMERAS
        }
        self._infos = {
            name: self.create_publisher(
                CameraInfo, TOPICS["camera_info"].name.format(camera=name.lower()), reliable_qos()
            )
            for name in NUSCENES_CAMERAS
        }
        self._send_transforms()

    def connected(self, calibration_topics: bool = True) -> bool:
        """Whether the driver listens to everything."""
        publishers = [*self._images.values(), self._odometry, self._clock]
        if calibration_topics:
            publishers += [*self._infos.values(), self._tf_static]
        return all(publisher.get_subscription_count() >= 1 for publisher in publishers)

    def tick(self, nanoseconds: int = PERIOD_NS) -> None:
        """Lets time pass, and nothing else."""
        self.now_ns += nanoseconds
        self._clock.publish(Clock(clock=to_time(self.now_ns)))

    def send_round(
        self,
        *,
        skip: Collection[str] = (),
        messages: Mapping[str, Any] | None = None,
        odometry: bool = True,
        same: Collection[str] = (),
    ) -> int:
        """One period further: odometry and an image of each camera, 2 ms apart. Returns the newest stamp.

        Args:
            skip: cameras that send nothing.
            messages: camera -> message to send instead (its stamp is filled in).
            odometry: whether odometry is sent.
            same: cameras whose picture stays the same.
        """
        self.tick()
        stamp_ns = self.now_ns - 20_000_000
        if odometry:
            self.send_odometry(self.now_ns)
        self._round += 1
        newest = 0
        for index, name in enumerate(NUSCENES_CAMERAS):
            if name in skip:
                continue
            exposure_ns = stamp_ns + 2_000_000 * index
            header = Header(stamp=to_time(exposure_ns), frame_id=name.lower())
            message = (messages or {}).get(name)
            if message is None:
                message = self.image(name, 0 if name in same else self._round)
            message.header = header
            self._images[name].publish(message)
            self.sent[name] += 1
            newest = exposure_ns
        return newest

    def send_infos(self) -> None:
        """CameraInfo of all cameras."""
        for name, calibration in self.calibrations.items():
            header = Header(stamp=to_time(self.now_ns), frame_id=name.lower())
            message = info_message(calibration, header)
            message.d = self.distortion.get(name, message.d)
            self._infos[name].publish(message)

    def image(self, name: str, index: int) -> Any:
        """An image message of a camera."""
        view = self._rounds[index % len(self._rounds)].views[name]
        if self.transport == "raw":
            return image_message(view.image, to_time(0), name.lower())
        return compressed_message(view.image.data, to_time(0), name.lower(), "jpeg")

    def send_odometry(self, stamp_ns: int) -> None:
        """Straight ahead along x at 8 m/s."""
        message = Odometry(header=Header(stamp=to_time(stamp_ns), frame_id="odom"), child_frame_id="base_link")
        fill_pose(message.pose.pose, make_transform(np.eye(3), [SPEED * (stamp_ns - START_NS) * 1e-9, 0, 0]))
        message.twist.twist.linear.x = SPEED
        self._odometry.publish(message)

    def send_command(self, command: int) -> None:
        """A route command given by a navigator."""
        header = Header(stamp=to_time(self.now_ns))
        self._command.publish(RouteCommand(header=header, command=command, provenance=RouteCommand.PROVENANCE_GIVEN))

    def _send_transforms(self) -> None:
        transforms = []
        for name, calibration in self.calibrations.items():
            stamped = TransformStamped(header=Header(frame_id="base_link"), child_frame_id=name.lower())
            fill_pose(stamped.transform, calibration.T_ego_cam)
            transforms.append(stamped)
        self._tf_static.publish(TFMessage(transforms=transforms))


class Listener(Node):
    """Collects what the driver publishes."""

    def __init__(self, context: Context) -> None:
        super().__init__("listener", context=context)
        self.received: dict[str, list[Any]] = {}
        for key, kind in (
            ("trajectory", PlannedTrajectory),
            ("path", Path),
            ("objects", PredictedObjects),
            ("map", VectorMap),
            ("plan_markers", MarkerArray),
            ("perception_markers", MarkerArray),
            ("diagnostics", DiagnosticArray),
        ):
            self.listen(key, kind)

    def listen(self, key: str, kind: Any) -> None:
        """Subscribes to one more topic of the table."""
        messages = self.received[key] = []
        self.create_subscription(kind, TOPICS[key].name, messages.append, reliable_qos(100))

    def listen_to_tokens(self) -> None:
        """Subscribes to the scene tokens, which are published only then."""
        self.listen("scene_tokens", SceneTokens)

    def with_stamp(self, key: str, stamp_ns: int) -> Any | None:
        """The first message of a topic with this stamp, or None."""
        return next((m for m in self.received[key] if to_ns(m.header.stamp) == stamp_ns), None)

    def status(self, part: str) -> DiagnosticStatus | None:
        """The newest diagnostic status of a part of the driver, or None."""
        for array in reversed(self.received["diagnostics"]):
            for status in array.status:
                if status.name == f"driver_node: {part}":
                    return status
        return None


def change_state(asking: Node, transition: str, name: str = "driver_node") -> bool:
    """Asks a managed node for a transition by its label, through a node that spins.

    An answer can get lost while the two discover each other, so the state itself is looked at as well.
    """
    client = asking.create_client(ChangeState, f"{name}/change_state")
    _happens(client.service_is_ready)
    before = _state(asking, name)
    number = getattr(Transition, f"TRANSITION_{transition.upper()}")
    future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
    deadline = time.monotonic() + WAIT_S
    while not _happens(future.done):
        now = _state(asking, name)
        if now in _SETTLED_STATES and not future.done():
            return now != before
        assert time.monotonic() < deadline, f"the transition {transition} does not end"
    return bool(future.result().success)


def _state(asking: Node, name: str) -> int:
    """The state of a managed node; asked for again until it answers."""
    client = asking.create_client(GetState, f"{name}/get_state")
    _happens(client.service_is_ready)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        future = client.call_async(GetState.Request())
        if _happens(future.done):
            return int(future.result().current_state.id)
        client.remove_pending_request(future)
    raise AssertionError(f"{name} does not tell its state")


def _happens(condition: Callable[[], Any], within_s: float = 2.0) -> bool:
    """Whether something happens soon."""
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


class Spinner:
    """Spins an executor in a thread until told to stop; then all callbacks have ended."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)


class DriverTest:
    """The driver node, a rig and a listener, spinning in one executor."""

    def __init__(
        self,
        context: Context,
        model: Any | None = None,
        parameters: Mapping[str, Any] | None = None,
        transport: str = "compressed",
        factory: Callable[[Any], Any] | None = None,
    ) -> None:
        self.model = model or StraightModel()
        values = {
            "use_sim_time": True,
            "image_transport": transport,
            "diagnostics_rate_hz": 20.0,
            # A busy machine must not look like a stuck model.
            "inference_timeout_s": WAIT_S,
            **RELIABLE_IMAGES,
            **(parameters or {}),
        }
        self.node = DriverNode(
            driver_factory=factory or (lambda settings: self.model),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.rig = SensorRig(context, transport)
        self.listener = Listener(context)
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.rig, self.listener):
            self.executor.add_node(node)
        self._spinner = Spinner(self.executor)

    def activate(self, calibration_topics: bool = True) -> None:
        """Configures and activates the node, and waits until everything is connected and calibrated."""
        assert self.change("configure")
        assert self.change("activate")
        self.listener.received["diagnostics"].clear()
        self.rig.sent = dict.fromkeys(NUSCENES_CAMERAS, 0)
        wait_until(lambda: self.rig.connected(calibration_topics), "subscriptions")
        wait_until(lambda: self.listener.status("model"), "diagnostics")
        self.rig.tick()
        self.rig.send_odometry(self.rig.now_ns)

        def ready() -> bool:
            self.rig.send_infos()
            parts = [self.listener.status(f"camera {name}") for name in NUSCENES_CAMERAS]
            odometry = self.listener.status("odometry")
            calibrated = all(part and not part.message.startswith("uncalibrated") for part in parts)
            return calibrated and odometry is not None and odometry.level == DiagnosticStatus.OK

        wait_until(ready, "calibration and odometry")

    def change(self, transition: str) -> bool:
        """Asks the node for a lifecycle transition; returns whether it went well."""
        return change_state(self.listener, transition)

    def drive(self, rounds: int = 1, **kwargs: Any) -> PlannedTrajectory:
        """Sends rounds of images and waits for the trajectory of each; returns the last."""
        for _ in range(rounds):
            stamp_ns = self.rig.send_round(**kwargs)
            if kwargs.get("skip") or kwargs.get("messages") or kwargs.get("same"):
                # A set that waits for a camera goes out when time passes, once everything else has arrived.
                wait_until(self.all_arrived, "the images")
                self.rig.tick()
            trajectory = wait_until(lambda s=stamp_ns: self.listener.with_stamp("trajectory", s), "a trajectory")
        return trajectory

    def recover(self) -> PlannedTrajectory:
        """Sends whole rounds until the plan is whole again. Cameras that were away miss their first set."""
        for _ in range(4):
            last = len(self.listener.received["trajectory"])
            self.rig.send_round()
            wait_until(self.all_arrived, "the images")
            wait_until(lambda n=last: len(self.listener.received["trajectory"]) > n, "a trajectory")
            trajectory = self.listener.received["trajectory"][-1]
            if trajectory.degraded == PlannedTrajectory.DEGRADED_NONE:
                return trajectory
        raise AssertionError(f"still degraded: {trajectory.degraded_reasons}")

    def all_arrived(self) -> bool:
        """Whether the driver has seen every image that was sent."""
        statuses = {name: self.listener.status(f"camera {name}") for name in NUSCENES_CAMERAS}
        return all(status and values(status)["images"] == str(self.rig.sent[n]) for n, status in statuses.items())

    def close(self) -> None:
        """Ends everything, in the order that rclpy wants."""
        self._spinner.stop()
        for node in (self.node, self.rig, self.listener):
            node.destroy_node()


@pytest.fixture
def ros_context(ros_domain: int) -> Iterator[Context]:
    """A context on a domain of its own, on this machine only."""
    use_dds_profile()
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    yield context
    context.try_shutdown()


@contextmanager
def driver_test(context: Context, *args: Any, **kwargs: Any) -> Iterator[DriverTest]:
    """A `DriverTest` that is closed at the end."""
    test = DriverTest(context, *args, **kwargs)
    try:
        yield test
    finally:
        if hasattr(test.model, "gate"):
            test.model.gate.set()
        test.close()
