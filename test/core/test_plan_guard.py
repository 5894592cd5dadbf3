"""The guard brakes for whoever is in the way, for nobody else, and never leaves the planned path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guard_helpers import STEP_S, agent, agents
from hypothesis import given, settings
from hypothesis import strategies as st

from aln_p3_core.driver import Driver
from aln_p3_core.driver.plan_guard import BRAKING, guard_plan, guard_scene
from aln_p3_core.frame import Command, CommandProvenance, RouteCommand
from aln_p3_core.geometry import virtual_T_ego_model
from aln_p3_core.scene import AGENT_CLASSES, DrivingScene, MapElements, Plan
from aln_p3_core.synthetic.frames import track_frames
from aln_p3_core.vehicle import NUSCENES_VEHICLE, VehicleSize

AHEAD_M = 0.45  # middle of the car before the LiDAR


def straight(speed, steps=6):
    return np.stack([np.zeros(steps), speed * STEP_S * np.arange(1, steps + 1)], axis=1).astype(np.float32)


def guarded(plan, *those, speed=None):
    return guard_plan(plan, agents(*those), STEP_S, AHEAD_M, speed)


@pytest.mark.parametrize(
    "other",
    [
        agent(0, 12),  # a car that stands in the lane
        agent(0.5, 20, name="pedestrian", size=(0.6, 0.6)),
        agent(0, 14, velocity=(0.0, 3.0)),  # slower ahead
        agent(-8, 18, name="bicycle", velocity=(5.0, 0.0), size=(1.8, 0.6), heading=0.0),  # comes over the road
    ],
)
def test_it_brakes_for_whoever_is_in_the_way(other):
    plan = straight(10.0)
    slowed, found = guarded(plan, other)
    assert found.agent == 0 and found.braking in BRAKING
    assert slowed[-1, 1] < plan[-1, 1] - 2
    # The front stays behind whoever stands there.
    if other["velocity"] == (0.0, 0.0):
        assert slowed[-1, 1] + AHEAD_M + 4.08 / 2 < other["place"][1]
    assert (np.diff(slowed[:, 1], prepend=0) >= 0).all() and not slowed[:, 0].any()


@pytest.mark.parametrize(
    "other",
    [
        agent(2.2, 15),  # parked beside the lane
        agent(0, -8, velocity=(0.0, 9.0)),  # follows
        agent(0, 12, velocity=(0.0, 11.0)),  # drives away
        agent(8, 18, name="pedestrian", velocity=(1.0, 0.0), size=(0.6, 0.6)),  # walks off
        agent(0, 12, score=0.1),  # hardly seen
        agent(0, 90),  # far beyond
        agent(0, 1.0, name="traffic_cone", size=(0.4, 0.4)),  # inside the car: a wrong detection, or too late
    ],
)
def test_nobody_in_the_way_changes_nothing(other):
    plan = straight(10.0)
    slowed, found = guarded(plan, other)
    assert found.braking == 0 and found.agent == -1
    np.testing.assert_array_equal(slowed, plan)


def test_nobody_at_all_and_a_standing_plan():
    plan = straight(10.0)
    assert guard_plan(plan, agents(), STEP_S)[0] is plan
    still = straight(0.02)
    assert guarded(still, agent(0, 5))[0] is still


def test_a_car_neither_backs_up_nor_slides_to_the_side():
    back = -straight(0.8)
    assert not guarded(back, agent(8, 12))[0].any()
    sideways = np.stack([np.linspace(0.1, 0.9, 6), np.linspace(0.0, 0.3, 6)], axis=1).astype(np.float32)
    assert not guarded(sideways, agent(8, 12))[0].any()
    # One that begins a little behind and then drives off waits, and drives off.
    off = straight(2.0)
    off[0] = (0.05, -0.06)
    begun = guarded(off, agent(8, 12))[0]
    assert not begun[0].any() and (begun[1:] == off[1:]).all()
    # Around a hairpin the way may well lead behind the car.
    angle = np.linspace(0, 1.2 * np.pi, 7)[1:]
    hairpin = 8 * np.stack([1 - np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    np.testing.assert_array_equal(guarded(hairpin, agent(-12, 12))[0], hairpin)


def test_a_standing_car_does_not_put_off_its_start():
    late = np.stack([np.zeros(6), [0.0, 0.01, 0.1, 1.0, 2.2, 4.0]], axis=1).astype(np.float32)
    begun, found = guarded(late, agent(8, 12), speed=0.0)
    np.testing.assert_allclose(begun[:3, 1], [1.0, 2.2, 4.0], atol=1e-5)
    assert found.braking == 0
    # One that drives already, and one whose plan is to stay, keep their plans.
    np.testing.assert_array_equal(guarded(late, agent(8, 12), speed=2.0)[0], late)
    np.testing.assert_array_equal(guarded(late * 0.5, agent(8, 12), speed=0.0)[0], late * 0.5)
    # It does not start into somebody.
    assert guarded(late, agent(0, 6), speed=0.0)[0][-1, 1] < 1.5


def test_a_standing_car_moves_up_to_who_stands_further_on():
    plan = np.stack([np.zeros(6), 0.4 * np.arange(1, 7) ** 2], axis=1).astype(np.float32)  # 14 m in 3 s
    moved, found = guarded(plan, agent(0, 17), speed=0.0)
    assert found.agent == 0 and 1.0 < moved[-1, 1] < 17 - 2.25 - 2.04 - AHEAD_M


@pytest.mark.parametrize("gap", [0.15, 0.35, 0.6])
@pytest.mark.parametrize("name", ["car", "pedestrian"])
def test_it_does_not_creep_into_who_stands_right_ahead(gap, name):
    plan = np.stack([np.zeros(6), 0.4 * np.arange(1, 7) ** 2], axis=1).astype(np.float32)
    size = (4.5, 1.8) if name == "car" else (0.6, 0.6)
    front = AHEAD_M + 4.08 / 2
    moved, found = guarded(plan, agent(0, front + gap + size[0] / 2, name=name, size=size), speed=0.4)
    assert found.agent == 0 and moved[-1, 1] <= max(gap - 0.1, 0.05)
    # Who stands beside is passed.
    beside = agent(1.95 if name == "car" else 1.3, 2.0, name=name, size=size)
    np.testing.assert_array_equal(guarded(plan, beside, speed=0.4)[0], plan)


def test_somebody_on_foot_may_go_on_as_now_whatever_is_forecast():
    walking = agents(agent(-4, 14, name="pedestrian", velocity=(2.0, 0.0), size=(0.6, 0.6)))
    stays = np.broadcast_to(walking.centers_model[:, None, None, :2], walking.forecasts_model.shape).copy()
    turned = replace(walking, forecasts_model=stays)
    slowed, found = guard_plan(straight(7.0), turned, STEP_S, AHEAD_M)
    assert found.agent == 0 and slowed[-1, 1] < 14 - AHEAD_M - 2.04
    # A car's forecast is believed.
    car = replace(turned, class_ids=np.array([AGENT_CLASSES.index("car")]))
    assert guard_plan(straight(7.0), car, STEP_S, AHEAD_M)[1].agent == -1
    # Far off in time it is not known where who walks will be.
    slow = replace(turned, velocities_model=turned.velocities_model * 0.5)
    assert guard_plan(straight(3.5), slow, STEP_S, AHEAD_M)[1].agent == -1


def test_it_brakes_no_harder_than_it_must():
    hard = guarded(straight(10.0), agent(0, 14))[1].braking
    mild = guarded(straight(10.0), agent(0, 30))[1].braking
    assert 0 < mild < hard


def test_a_larger_car_keeps_its_own_size_away():
    plan = straight(8.0)
    # Beside the lane of a narrow car, in that of a wide one.
    beside = agents(agent(2.0, 15))
    assert guard_plan(plan, beside, STEP_S, AHEAD_M)[1].agent == -1
    assert guard_plan(plan, beside, STEP_S, AHEAD_M, None, VehicleSize(width_m=2.5))[1].agent == 0
    # A long one stops earlier, by what its front is further ahead.
    stop = agents(agent(0, 17))
    ends = [
        guard_plan(plan, stop, STEP_S, AHEAD_M, None, vehicle)[0][-1, 1]
        for vehicle in (NUSCENES_VEHICLE, VehicleSize(length_m=8.0, width_m=2.5))
    ]
    assert ends[1] + AHEAD_M + 4.0 < 17 - 2.25 and ends[1] < ends[0] - 0.5


def test_a_narrow_car_does_not_fit_through_a_bus():
    bus = agent(0, 20, name="bus", size=(12.0, 2.9))
    for heading, shift in ((np.pi / 2, 0.725), (0.0, 0.75)):
        other = agents({**bus, "heading": heading, "place": (shift, 20)})
        assert guard_plan(straight(8.0), other, STEP_S, 0.0, None, VehicleSize(1.5, 0.7, 0.0))[1].agent == 0


def test_the_middle_of_the_car_is_where_it_is_said_to_be():
    scene = scene_with(agent(0, 12))
    back, ahead = (
        guard_scene(scene, 8.0, None, replace(NUSCENES_VEHICLE, middle_m=middle)).plan.trajectories_model[0, -1, 1]
        for middle in (0.0, 1.39)
    )
    assert back > ahead + 1


def test_the_speed_of_the_car_counts_more_than_the_plans():
    plan = straight(4.0)
    fast = guarded(plan, agent(0, 14), speed=12.0)[1].braking
    slow = guarded(plan, agent(0, 14), speed=4.0)[1].braking
    assert fast > slow > 0


def test_the_plan_stays_on_its_way_around_a_corner():
    angle = np.linspace(0, np.pi / 2, 13)[1:]
    arc = 12 * np.stack([1 - np.cos(angle), np.sin(angle)], axis=1)[1::2].astype(np.float32)  # to the right
    slowed, found = guarded(arc, agent(9.0, 12.0, heading=0.0))
    assert found.agent == 0
    radius = np.hypot(slowed[:, 0] - 12, slowed[:, 1])
    np.testing.assert_allclose(radius, 12, atol=0.3)
    # What stands straight on, where the car does not go, is not in the way.
    assert guarded(arc, agent(-2.0, 24.0))[1].agent == -1


@settings(max_examples=60, deadline=None)
@given(
    speed=st.floats(0.5, 15),
    bend=st.floats(-0.3, 0.3),
    places=st.lists(st.tuples(st.floats(-15, 15), st.floats(-30, 30)), min_size=1, max_size=4),
)
def test_a_guarded_plan_is_never_faster_and_finite(speed, bend, places):
    steps = np.arange(1, 7) * STEP_S * speed
    plan = np.stack([bend * steps**2 / 40, steps], axis=1).astype(np.float32)
    slowed, found = guarded(plan, *(agent(x, y) for x, y in places))
    assert np.isfinite(slowed).all() and slowed.shape == plan.shape

    def way(points):
        return np.linalg.norm(np.diff(points, axis=0, prepend=0), axis=1).cumsum()

    assert (way(slowed) <= way(plan) + 1e-3).all()
    assert (found.braking == 0) == (found.agent < 0)


def scene_with(*those):
    nothing = np.zeros(0, dtype=np.int64)
    return DrivingScene(
        agents=agents(*those),
        map_elements=MapElements(np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32), nothing, nothing),
        plan=Plan(
            np.stack([straight(5.0), straight(8.0), straight(10.0)]),
            RouteCommand(Command.STRAIGHT, CommandProvenance.GIVEN),
        ),
        reference_stamp_ns=0,
        newest_image_stamp_ns=0,
        T_global_ego=np.eye(4),
        T_ego_model=virtual_T_ego_model(),
    )


def test_a_scene_says_for_whom_its_commanded_plan_brakes():
    free = scene_with(agent(6, 12))
    assert guard_scene(free).guard == ""
    np.testing.assert_array_equal(guard_scene(free).plan.trajectories_model, free.plan.trajectories_model)
    scene = guard_scene(scene_with(agent(0, 12)), speed_mps=10.0)
    assert "for a car at 12 m" in scene.guard and "m/s^2" in scene.guard
    # All commands are guarded, each as much as it has to be.
    ends = scene.plan.trajectories_model[:, -1, 1]
    assert (ends < 12 - 2.25).all() and scene.plan.command.command is Command.STRAIGHT


def test_a_driver_guards_what_it_plans_unless_told_not_to():
    small = {"bev.rows": 20, "bev.columns": 10, "agents.queries": 30, "map.instances": 8}
    driver = Driver.from_recipe("nano", overrides=small, precision="fp32")
    frame = track_frames(1, rate_hz=2.0, size=(400, 225))[0]
    scene = scene_with(agent(0, 12))
    assert driver.guarded and driver.guard(scene, frame).guard
    # In the size of the car that it is told of: nuScenes' passes who is beside the lane, a wider one does not.
    beside = scene_with(agent(2.0, 12))
    driver.reset()
    assert not driver.guard(beside, frame).guard
    driver.vehicle = VehicleSize(width_m=2.5)
    assert driver.guard(beside, frame).guard
    driver.guarded = False
    assert driver.guard(scene, frame) is scene
    assert not Driver.from_recipe("nano", overrides=small | {"planner.guard": False}, precision="fp32").guarded
