"""The size of the car is one that a car can have."""

from __future__ import annotations

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.vehicle import NUSCENES_VEHICLE, VehicleSize
from aln_p3_core.world.ego import EGO_CENTER_AHEAD_M, EGO_SIZE_LWH


@pytest.mark.parametrize("size", [(4.0, 0.3, 1.0), (4.0, 1.8, 2.5), (0.0, 1.8, 0.0), (4.0, float("nan"), 1.0)])
def test_a_car_that_cannot_be_is_refused(size):
    with pytest.raises(ConfigError, match="vehicle cannot be"):
        VehicleSize(*size)


def test_the_world_drives_the_car_that_stands_for_nuscenes():
    assert (*EGO_SIZE_LWH[:2], EGO_CENTER_AHEAD_M) == (4.08, 1.73, 1.39)
    assert VehicleSize(*EGO_SIZE_LWH[:2], EGO_CENTER_AHEAD_M) == NUSCENES_VEHICLE
