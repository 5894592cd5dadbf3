"""From `DrivingScene` to the package's messages. Pure functions.

The scene speaks in the model frame, the messages in base_link at the header's stamp, which is the stamp of the
newest image.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from aln_p3.msg import (
    Float16Tensor,
    MapLine,
    PlannedTrajectory,
    PredictedObject,
    PredictedObjects,
    PredictedPath,
    SceneTokens,
    TrajectoryAlternative,
    TrajectoryPoint,
    VectorMap,
)
from aln_p3.msg import RouteCommand as RouteCommandMessage
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from nav_msgs.msg import Path
from numpy.typing import ArrayLike, NDArray
from std_msgs.msg import Header

from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import FloatArray, heading_of, make_transform, rotate_vectors, transform_points
from aln_p3_core.scene import DrivingScene, FloatTensor
from aln_p3_ros.messages.stamps import to_duration, to_time
from aln_p3_ros.messages.trajectory import TrajectoryArrays, kinematics
from aln_p3_ros.messages.transforms import fill_pose

#: Cells along the longer side of the BEV map that is sent to the explainer.
MAX_TOKEN_CELLS = 50

_PROVENANCES = (CommandProvenance.GIVEN, CommandProvenance.DEFAULT, CommandProvenance.GROUND_TRUTH)
_LINE_TYPES = {
    "divider": MapLine.DIVIDER,
    "ped_crossing": MapLine.PED_CROSSING,
    "boundary": MapLine.BOUNDARY,
}


def command_message(command: RouteCommand, header: Header | None = None) -> RouteCommandMessage:
    """`RouteCommand` message; the numbers of the commands are those of the planner's output."""
    return RouteCommandMessage(
        header=header or Header(),
        command=command.command.value,
        provenance=_PROVENANCES.index(command.provenance),
    )


def command_from_message(message: RouteCommandMessage) -> RouteCommand:
    """The inverse of `command_message`.

    Raises:
        ValueError: for a command or provenance that does not exist.
    """
    if message.provenance >= len(_PROVENANCES):
        raise ValueError(f"route command with provenance {message.provenance}; there are 0, 1 and 2")
    return RouteCommand(Command(message.command), _PROVENANCES[message.provenance])


def scene_header(scene: DrivingScene, frame_id: str = "base_link") -> Header:
    """Header of everything made from a scene: the newest image's stamp."""
    return Header(stamp=to_time(scene.newest_image_stamp_ns), frame_id=frame_id)


def trajectory_points(trajectory: TrajectoryArrays) -> list[TrajectoryPoint]:
    """Points of a trajectory message."""
    points = []
    for k in range(len(trajectory)):
        x, y = trajectory.positions[k]
        points.append(
            TrajectoryPoint(
                time_from_start=to_duration(round(trajectory.times_s[k] * 1e9)),
                pose=_pose(x, y, 0.0, trajectory.headings[k]),
                longitudinal_velocity=float(trajectory.velocities[k]),
                acceleration=float(trajectory.accelerations[k]),
                heading_rate=float(trajectory.heading_rates[k]),
                curvature=float(trajectory.curvatures[k]),
            )
        )
    return points


def planned_trajectory(
    scene: DrivingScene, *, plan_id: str, checkpoint_hash: str, current_speed: float | None, frame_id: str = "base_link"
) -> PlannedTrajectory:
    """The plan for the command, with the plans for the others as alternatives.

    Degradation and age are the caller's: they are not the scene's to know.
    """
    positions, headings = scene.plan_in_ego()
    step_s = scene.plan.step_s
    # The path starts at the reference stamp: with the newest image's stamp as reference these are the same.
    plans = [
        trajectory_points(kinematics(path, heading, step_s, current_speed))
        for path, heading in zip(positions, headings, strict=True)
    ]
    chosen = scene.plan.command.command.value
    header = scene_header(scene, frame_id)
    return PlannedTrajectory(
        header=header,
        plan_id=plan_id,
        checkpoint_hash=checkpoint_hash,
        command=command_message(scene.plan.command, Header(stamp=header.stamp)),
        points=plans[chosen],
        alternatives=[
            TrajectoryAlternative(command=index, points=points) for index, points in enumerate(plans) if index != chosen
        ],
    )


def predicted_objects(
    scene: DrivingScene, *, plan_id: str, min_score: float = 0.0, limit: int = 100, frame_id: str = "base_link"
) -> PredictedObjects:
    """Objects with a score of at least `min_score`, best first, at most `limit`."""
    agents = scene.agents
    T_ego_model = scene.T_ego_model
    turn = heading_of(T_ego_model)
    centers = transform_points(T_ego_model, agents.centers_model)
    velocities = rotate_vectors(T_ego_model, agents.velocities_model)
    forecasts = transform_points(T_ego_model, agents.forecasts_model)
    message = PredictedObjects(header=scene_header(scene, frame_id), plan_id=plan_id)
    for index in detected(agents.scores, min_score, limit):
        length, width, height = (float(value) for value in agents.sizes_lwh[index])
        center = centers[index]
        probabilities = agents.forecast_probabilities[index]
        message.objects.append(
            PredictedObject(
                class_name=agents.class_names[agents.class_ids[index]],
                score=float(agents.scores[index]),
                pose=_pose(center[0], center[1], center[2], agents.headings_model[index] + turn),
                size=Vector3(x=length, y=width, z=height),
                velocity=Vector3(x=float(velocities[index, 0]), y=float(velocities[index, 1])),
                query_id=int(agents.query_ids[index]),
                paths=[
                    PredictedPath(
                        probability=float(probabilities[mode]),
                        time_step=to_duration(round(agents.step_s * 1e9)),
                        points=_points(forecasts[index, mode], center[2]),
                    )
                    for mode in np.argsort(-probabilities, kind="stable")
                ],
            )
        )
    return message


def vector_map(
    scene: DrivingScene, *, plan_id: str, min_score: float = 0.0, limit: int = 100, frame_id: str = "base_link"
) -> VectorMap:
    """Map lines with a score of at least `min_score`, best first, at most `limit`."""
    elements = scene.map_elements
    message = VectorMap(header=scene_header(scene, frame_id), plan_id=plan_id)
    for index in detected(elements.scores, min_score, limit):
        message.lines.append(
            MapLine(
                line_type=_LINE_TYPES[elements.class_names[elements.class_ids[index]]],
                score=float(elements.scores[index]),
                points=_points(transform_points(scene.T_ego_model, elements.points_model[index]), 0.0),
            )
        )
    return message


def scene_tokens(
    scene: DrivingScene,
    *,
    plan_id: str,
    checkpoint_hash: str,
    min_object_score: float = 0.0,
    min_line_score: float = 0.0,
    limit: int = 100,
    speed: float | None = None,
    frame_id: str = "base_link",
) -> SceneTokens:
    """What the explainer reads: rows of what was detected, and the BEV map at 50 x 50 cells or fewer.

    The inverse is `messages.scene_from_tokens`.

    Args:
        speed: of the vehicle at the scene's stamp, m/s; None where it is unknown.

    Raises:
        ValueError: when the scene was planned without tokens.
    """
    tokens = scene.tokens
    if tokens is None:
        raise ValueError("the scene holds no tokens: plan with with_tokens=True")
    objects = detected(scene.agents.scores, min_object_score, limit)
    lines = detected(scene.map_elements.scores, min_line_score, limit)
    agent_ids = scene.agents.query_ids[objects]
    line_ids = scene.map_elements.query_ids[lines]
    header = scene_header(scene, frame_id)
    return SceneTokens(
        header=header,
        plan_id=plan_id,
        checkpoint_hash=checkpoint_hash,
        model_pose=fill_pose(Pose(), scene.T_ego_model),
        speed=float("nan") if speed is None else speed,
        command=command_message(scene.plan.command, Header(stamp=header.stamp)),
        bev=float16_tensor(pool_bev(tokens.bev)),
        agents=float16_tensor(tokens.agents[agent_ids]),
        motion=float16_tensor(tokens.motion[agent_ids]),
        agent_query_ids=agent_ids.tolist(),
        map=float16_tensor(tokens.map[line_ids]),
        map_query_ids=line_ids.tolist(),
        ego=float16_tensor(tokens.ego),
        plan=float16_tensor(scene.plan.trajectories_model),
        plan_time_step=to_duration(round(scene.plan.step_s * 1e9)),
    )


def path_message(trajectory: PlannedTrajectory, T_odom_base: FloatArray, odom_frame: str = "odom") -> Path:
    """The plan as a path in odom, from the vehicle's place at the plan's stamp on."""
    header = Header(stamp=trajectory.header.stamp, frame_id=odom_frame)
    poses = [PoseStamped(header=header, pose=fill_pose(Pose(), T_odom_base))]
    stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
    for point in trajectory.points:
        q, p = point.pose.orientation, point.pose.position
        T_base_point = make_transform([q.w, q.x, q.y, q.z], [p.x, p.y, p.z])
        due_ns = stamp_ns + point.time_from_start.sec * 10**9 + point.time_from_start.nanosec
        poses.append(
            PoseStamped(
                header=Header(stamp=to_time(due_ns), frame_id=odom_frame),
                pose=fill_pose(Pose(), T_odom_base @ T_base_point),
            )
        )
    return Path(header=header, poses=poses)


def detected(scores: ArrayLike, min_score: float, limit: int) -> list[int]:
    """Rows with at least this score, best first, at most `limit`."""
    values = np.asarray(scores)
    order = np.argsort(-values, kind="stable")
    return [int(index) for index in order if values[index] >= min_score][:limit]


def pool_bev(bev: NDArray[Any]) -> NDArray[Any]:
    """Averages a BEV map [rows, columns, D] over square blocks until no side has more than 50 cells."""
    rows, columns, width = bev.shape
    block = max(1, -(-max(rows, columns) // MAX_TOKEN_CELLS))
    if block == 1:
        return bev
    if rows % block or columns % block:
        # A partial block repeats its last cells: no cell is made of nothing.
        bev = np.pad(bev, ((0, -rows % block), (0, -columns % block), (0, 0)), mode="edge")
        rows, columns, width = bev.shape
    return bev.reshape(rows // block, block, columns // block, block, width).mean(axis=(1, 3))


def float16_tensor(values: ArrayLike) -> Float16Tensor:
    """Half-precision tensor message; values beyond its range are clipped to it."""
    largest = float(np.finfo(np.float16).max)
    numbers = np.clip(np.asarray(values), -largest, largest).astype("<f2")
    data = array("B")
    data.frombytes(numbers.tobytes())
    message = Float16Tensor(shape=list(numbers.shape))
    message.data = data
    return message


def float16_array(message: Float16Tensor) -> FloatTensor:
    """The tensor of a message as float32, in its shape.

    Raises:
        ValueError: when its bytes do not fill its shape.
    """
    return np.frombuffer(message.data, dtype="<f2").reshape(tuple(message.shape)).astype(np.float32)


def _points(points: FloatArray, z: float) -> list[Point]:
    return [Point(x=float(x), y=float(y), z=float(z)) for x, y in points]


def _pose(x: float, y: float, z: float, heading: float) -> Pose:
    half = float(heading) / 2
    return Pose(
        position=Point(x=float(x), y=float(y), z=float(z)),
        orientation=Quaternion(z=float(np.sin(half)), w=float(np.cos(half))),
    )


def path_of(points: Sequence[TrajectoryPoint]) -> FloatArray:
    """[T, 2] positions of trajectory points."""
    return np.array([[point.pose.position.x, point.pose.position.y] for point in points]).reshape(-1, 2)
