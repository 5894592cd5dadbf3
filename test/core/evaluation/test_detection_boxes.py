"""Boxes for the devkit: frames, sizes, attributes."""

from __future__ import annotations

import numpy as np
import pytest
from perception_helpers import as_agents, objects
from pyquaternion import Quaternion

from aln_p3_core.evaluation.detection_boxes import attribute_of, detection_boxes
from aln_p3_core.geometry import make_transform, transform_points
from aln_p3_core.scene import AGENT_CLASSES


def test_a_car_that_drives_ahead_of_us_while_we_go_north_east() -> None:
    """The model frame's y axis points forward, so its x axis points south-east."""
    turned = np.deg2rad(-45.0)
    T_global_model = make_transform([np.cos(turned / 2), 0, 0, np.sin(turned / 2)], [100.0, 200.0, 1.8])
    agents = as_agents(objects([{"class": 0, "center": (0.0, 20.0), "velocity": (0.0, 10.0)}]))
    (box,) = detection_boxes(agents, T_global_model, "token")
    assert np.allclose(box.translation, [100 + 20 / np.sqrt(2), 200 + 20 / np.sqrt(2), 1.8])
    assert np.allclose(box.velocity, [10 / np.sqrt(2), 10 / np.sqrt(2)])
    assert Quaternion(box.rotation).yaw_pitch_roll[0] == pytest.approx(np.pi / 4)
    assert box.size == (2.0, 4.0, 1.5)  # width, length, height
    assert (box.detection_name, box.attribute_name, box.sample_token) == ("car", "vehicle.moving", "token")


def test_roll_and_pitch_of_the_frame_are_kept() -> None:
    from nuscenes.utils.data_classes import Box

    rng = np.random.default_rng(5)
    T_global_model = make_transform(Quaternion(rng.normal(0, 1, 4)).unit.elements, rng.normal(0, 9, 3))
    agents = as_agents(objects([{"center": (3.0, 4.0)}]))
    (found,) = detection_boxes(agents, T_global_model, "")
    corners = Box(found.translation, found.size, Quaternion(found.rotation)).corners().T
    local = Box(agents.centers_model[0], (2.0, 4.0, 1.5), Quaternion(axis=[0, 0, 1], angle=np.pi / 2)).corners().T
    assert np.allclose(corners, transform_points(T_global_model, local), atol=1e-5)


@pytest.mark.parametrize("name", AGENT_CLASSES)
def test_attributes_are_those_that_the_devkit_knows(name: str) -> None:
    from nuscenes.eval.detection.utils import detection_name_to_rel_attributes

    allowed = detection_name_to_rel_attributes(name)
    for speed in (0.0, 0.19, 5.0):
        assert attribute_of(name, speed) in (allowed or [""])
    assert (attribute_of(name, 0.0) != attribute_of(name, 5.0)) == bool(allowed)
