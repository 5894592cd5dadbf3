"""What the adapter's tests share: stand-ins of other packages' messages, built once, and plans and odometry for it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from aln_p3.msg import PlannedTrajectory
from nav_msgs.msg import Odometry
from std_msgs.msg import Header

from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.world.ego import EgoState
from aln_p3_core.world.planners.planner import EgoPlan
from aln_p3_ros.driving.odometry import OdometrySample
from aln_p3_ros.messages.stamps import to_time
from aln_p3_ros.messages.transforms import fill_pose
from aln_p3_ros.simulator.plans import message_from_plan

INTERFACES = Path(__file__).parent / "interfaces"
PACKAGES = ("ackermann_msgs", "autoware_planning_msgs")
START_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="session")
def built_messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install prefix of the stand-in message packages."""
    repository = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(repository / "scripts"))
    from build_interfaces import build_environment

    wheels = Path(sys.prefix)
    if not (wheels / "share" / "ament_cmake" / "package.xml").is_file():
        pytest.skip(f"no ament wheels in {wheels}; make setup installs them")
    for program in ("cmake", "ninja", "g++"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("messages")
    environment = build_environment(wheels)
    # Debug: the code is compiled faster, and runs for a moment only.
    options = [f"-DCMAKE_INSTALL_PREFIX={folder / 'prefix'}", f"-DPython3_EXECUTABLE={wheels / 'bin' / 'python3'}"]
    options += ["-DCMAKE_BUILD_TYPE=Debug", "-DBUILD_TESTING=OFF"]

    def build(package: str) -> str:
        target = folder / "build" / package
        for command in (
            ["cmake", "-S", str(INTERFACES / package), "-B", str(target), "-G", "Ninja", *options],
            ["cmake", "--build", str(target), "--target", "install"],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stdout + done.stderr
        return ""

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(build, PACKAGES)) == ["", ""]
    return folder / "prefix"


@pytest.fixture
def foreign_messages(built_messages: Path) -> Iterator[None]:
    """The stand-in packages can be imported, and their types sent, while the test runs."""
    sites = str(next(built_messages.glob("lib/python3*/site-packages")))
    _load_libraries(sorted(built_messages.glob("lib/*.so")))
    sys.path.insert(0, sites)
    yield
    sys.path.remove(sites)
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]


def _load_libraries(libraries: list[Path]) -> None:
    """Loads libraries that need one another, as LD_LIBRARY_PATH would have found them."""
    while libraries:
        failed = []
        for library in libraries:
            try:
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
            except OSError:
                failed.append(library)
        assert len(failed) < len(libraries), failed
        libraries = failed


def ego_at(time_s: float, speed: float = 8.0, heading: float = 0.5, steering: float = 0.0) -> EgoState:
    """Straight on from (100, 50) at a constant speed."""
    way = speed * time_s
    return EgoState(
        time_s, 100 + way * float(np.cos(heading)), 50 + way * float(np.sin(heading)), heading, speed, steering=steering
    )


def sample_of(ego: EgoState) -> OdometrySample:
    """Odometry of a state; its time 0 is `START_NS`."""
    stamp_ns = START_NS + round(ego.time_s * 1e9)
    return OdometrySample(
        stamp_ns, ego.T_world_ego, np.array([ego.speed, 0.0, 0.0]), np.array([0.0, 0.0, ego.yaw_rate])
    )


def odometry_of(ego: EgoState) -> Odometry:
    """The message of `sample_of`."""
    sample = sample_of(ego)
    message = Odometry(header=Header(stamp=to_time(sample.stamp_ns), frame_id="map"), child_frame_id="base_link")
    fill_pose(message.pose.pose, sample.T_odom_base)
    message.twist.twist.linear.x = ego.speed
    message.twist.twist.angular.z = ego.yaw_rate
    return message


def curving_plan(time_s: float, speed: float = 8.0, yaw_rate: float = 0.2) -> EgoPlan:
    """Three seconds on a circle to the left."""
    times = 0.5 * np.arange(1, 7)
    headings = yaw_rate * times
    chord = speed * times * np.sinc(headings / 2 / np.pi)
    points = np.stack([chord * np.cos(headings / 2), chord * np.sin(headings / 2)], axis=1)
    return EgoPlan(time_s, times, points, headings)


def message_of(plan: EgoPlan) -> PlannedTrajectory:
    """The plan as our message."""
    stamp_ns = START_NS + round(plan.stamp_s * 1e9)
    command = RouteCommand(Command.STRAIGHT, CommandProvenance.GIVEN)
    return message_from_plan(plan, stamp_ns, command, "plan-1", "test")
