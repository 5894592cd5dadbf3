"""Driving score and success, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from aln_p3_core.world.closed_loop.events import Fault, Infraction, InfractionKind
from aln_p3_core.world.closed_loop.score import PENALTIES, driving_score, is_success, penalty_of


def event(kind: InfractionKind, **changes) -> Infraction:
    return dataclasses.replace(Infraction(kind, 1.0, 0.0, 0.0), **changes)


def test_penalties_are_those_of_the_leaderboard():
    assert PENALTIES[InfractionKind.COLLISION_PEDESTRIAN] == 0.5
    assert PENALTIES[InfractionKind.COLLISION_VEHICLE] == PENALTIES[InfractionKind.COLLISION_CYCLIST] == 0.6
    assert PENALTIES[InfractionKind.COLLISION_STATIC] == 0.65
    assert PENALTIES[InfractionKind.RED_LIGHT] == 0.7


def test_penalties_multiply():
    events = [event(InfractionKind.COLLISION_VEHICLE), event(InfractionKind.COLLISION_VEHICLE)]
    events += [event(InfractionKind.RED_LIGHT), event(InfractionKind.BLOCKED)]
    assert penalty_of(events) == pytest.approx(0.6 * 0.6 * 0.7)
    assert driving_score(0.5, 0.2, events) == pytest.approx(50 * 0.8 * 0.6 * 0.6 * 0.7)


def test_a_contact_that_does_not_count_costs_nothing():
    bumped = event(InfractionKind.COLLISION_VEHICLE, counts=False, fault=Fault.OTHER)
    assert driving_score(1.0, 0.0, [bumped]) == 100.0
    assert is_success(True, [bumped])


def test_success_needs_the_goal_and_a_clean_sheet():
    assert is_success(True, []) and not is_success(False, [])
    assert not is_success(True, [event(InfractionKind.OFF_ROAD)])
    others = [event(InfractionKind.COLLISION_VEHICLE, fault=Fault.OTHER)]
    assert not is_success(True, others) and is_success(True, others, own_fault_only=True)
