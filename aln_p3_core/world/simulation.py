"""`Simulation`: the loop of ego, traffic and cameras, 20 steps a second, the same bytes for the same episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType

import numpy as np

from aln_p3_core.frame import (
    CameraCalibration,
    CameraView,
    CommandProvenance,
    DrivingFrame,
    EgoPose,
    EgoStatus,
    RouteCommand,
)
from aln_p3_core.geometry import FloatArray, virtual_T_ego_model
from aln_p3_core.world.controller import TrackingController
from aln_p3_core.world.ego import Control, EgoState, interpolate_ego, pushed, step_bicycle
from aln_p3_core.world.episode import Stage
from aln_p3_core.world.planners.planner import EgoPlan, Observation
from aln_p3_core.world.render.images import RenderedView, SceneRenderer, Shot
from aln_p3_core.world.rig import EXPOSURE_LEAD_S
from aln_p3_core.world.state import TrafficState, WorldState, interpolate_world
from aln_p3_core.world.traffic.source import TRAFFIC_STEP_S, interpolate_traffic

#: Seconds of one physics step (20 Hz).
STEP_S = 0.05
_STEPS_PER_TRAFFIC_STEP = round(TRAFFIC_STEP_S / STEP_S)
_PAST_S = 2.0


class Simulation:
    """One episode, step by step.

    Traffic is computed one of its own steps ahead and interpolated, so that it is known at every camera's
    exposure: others react to the ego with a delay of at most `TRAFFIC_STEP_S`.
    """

    def __init__(
        self,
        stage: Stage,
        rig: Mapping[str, CameraCalibration],
        renderer: SceneRenderer | None = None,
        *,
        start_ns: int = 0,
        drive_id: str = "",
    ) -> None:
        """Places everybody at time 0.

        Args:
            stage: what to run; closed together with the simulation.
            rig: cameras by channel.
            renderer: None drives blind: observations then have no images.
            start_ns: stamp of time 0.
            drive_id: of the frames.
        """
        self.stage = stage
        self.rig = dict(rig)
        self.start_ns = start_ns
        self._renderer = renderer
        self._drive_id = drive_id
        self._controller = TrackingController()
        self._steps = 0
        self._traffic_before = stage.traffic.start(stage.start)
        self._traffic_after = stage.traffic.step(stage.start)
        self._egos: list[EgoState] = [stage.start]
        self._previous = self._state = WorldState(
            stage.start, self._traffic_before.actors, self._traffic_before.signals
        )
        self.route_s = stage.route.project(stage.start.xy)[0]

    @property
    def state(self) -> WorldState:
        """The world now."""
        return self._state

    @property
    def time_s(self) -> float:
        """Seconds since the episode began."""
        return self._steps * STEP_S

    @property
    def next_time_s(self) -> float:
        """When the next physics step ends, seconds since the episode began."""
        return (self._steps + 1) * STEP_S

    @property
    def finished(self) -> bool:
        """The ego is at the end of its route, or the recording is over."""
        over = self.stage.duration_s is not None and self.time_s >= self.stage.duration_s - 1e-9
        return over or self.route_s >= self.stage.route.length - 1.0

    def stamp_ns(self, time_s: float) -> int:
        """Stamp of an instant of the episode, rounded to microseconds as nuScenes has them."""
        return self.start_ns + round(time_s * 1e6) * 1000

    def follow(self, plan: EgoPlan) -> None:
        """Has the controller track a plan from now on. Its stamp may lie up to two seconds back."""
        self._controller.follow(plan, self.ego_at(plan.stamp_s).T_world_ego)

    def ego_at(self, time_s: float) -> EgoState:
        """The ego at an instant of the last two seconds, interpolated between physics steps."""
        later = next((i for i, ego in enumerate(self._egos) if ego.time_s >= time_s - 1e-9), len(self._egos) - 1)
        if later == 0:
            return self._egos[0]
        return interpolate_ego(self._egos[later - 1], self._egos[later], time_s)

    def advance(self, ego: EgoState | None = None, disturbance: Control | None = None) -> WorldState:
        """One physics step: the ego tracks its plan (or is placed at `ego`), traffic moves on.

        Args:
            ego: the ego's next state, where a recording tells it.
            disturbance: added to what the controller asks for; it never makes the car back up.
        """
        before = self._state.ego
        self._steps += 1
        time_s = self._steps * STEP_S
        if ego is None:
            control = self._controller.control(before)
            if disturbance is not None:
                control = pushed(control, disturbance, before.speed, STEP_S)
            ego = step_bicycle(before, control, STEP_S)
        ego = _at_time(ego, time_s)
        traffic = self._traffic_at(time_s, ego)
        self._previous, self._state = self._state, WorldState(ego, traffic.actors, traffic.signals)
        self._egos.append(ego)
        while self._egos[0].time_s < time_s - _PAST_S - 0.5 * STEP_S:
            self._egos.pop(0)
        self.route_s = self.stage.route.project(ego.xy, self.route_s)[0]
        return self._state

    def observe(self, *, images: bool = True, truth: bool = False) -> Observation:
        """What a planner may know now; renders the cameras when `images` (with depth and labels when `truth`)."""
        views: dict[str, RenderedView] = {}
        frame = None
        if images and self._renderer is not None:
            views = self._renderer.render([self._shot(name) for name in self.rig], truth=truth)
            frame = self._frame(views)
        return Observation(self._state, self.stage.route, self.route_s, self.stage.city, frame, views)

    def close(self) -> None:
        """Ends the traffic. The renderer is the caller's."""
        self.stage.traffic.close()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _traffic_at(self, time_s: float, ego: EgoState) -> TrafficState:
        if time_s > self._traffic_after.time_s - 1e-9:
            now = self._traffic_after
            self._traffic_before, self._traffic_after = now, self.stage.traffic.step(ego)
            return now
        return interpolate_traffic(self._traffic_before, self._traffic_after, time_s)

    def _shot(self, camera: str) -> Shot:
        exposure = max(0.0, self.time_s - EXPOSURE_LEAD_S.get(camera, 0.0))
        return Shot(camera, exposure, interpolate_world(self._previous, self._state, exposure))

    def _frame(self, views: Mapping[str, RenderedView]) -> DrivingFrame:
        """The frame of these pictures, by the rule of the road: it speaks of the newest image's instant."""
        time_s = max(view.time_s for view in views.values())
        ego = self.ego_at(time_s)
        past = tuple(
            EgoPose(self.stamp_ns(e.time_s), e.T_world_ego) for e in self._egos if e.time_s < time_s - 0.5 * STEP_S
        )
        command = RouteCommand(
            self.stage.route.command_at(self.route_s, self._state.ego.speed), CommandProvenance.GIVEN
        )
        return DrivingFrame(
            cameras=tuple(self.rig),
            views={
                name: CameraView(view.color, self.stamp_ns(view.time_s), view.calibration, view.state.ego.T_world_ego)
                for name, view in views.items()
            },
            reference_stamp_ns=self.stamp_ns(time_s),
            T_global_ego=ego.T_world_ego,
            T_ego_model=virtual_T_ego_model(),
            command=command,
            ego_status=_status(ego),
            past_poses=past,
            drive_id=self._drive_id,
        )


def _at_time(ego: EgoState, time_s: float) -> EgoState:
    """The state with the exact time of its step, free of the error that adding up 0.05 s gathers."""
    return replace(ego, time_s=time_s)


def _status(ego: EgoState) -> EgoStatus:
    return EgoStatus(
        velocity=_vector(ego.speed, 0.0, 0.0),
        acceleration=_vector(ego.acceleration, ego.speed * ego.yaw_rate, 0.0),
        rotation_rate=_vector(0.0, 0.0, ego.yaw_rate),
        source="odometry",
    )


def _vector(x: float, y: float, z: float) -> FloatArray:
    return np.array([x, y, z])
