# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A row of rooms, of which two look the same or do not."""

import numpy as np

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.row import build_row, build_twins, CORRIDOR, ROOMS, WALL, WIDTH

CAMERA = CameraIntrinsics.from_field_of_view(80, 60, 70.0)
APART = (ROOMS - 1) * (WIDTH + WALL)


def looks(world):
    """Return images and depths from a place in the first room and from that in the last."""
    here = transform(rotation_about([0, 0, 1], 1.2), [1.5, CORRIDOR + 0.8, 0.8]) @ BODY_T_OPTICAL
    there = transform(np.eye(3), [APART, 0, 0]) @ here
    images, depths = render_clip(world, CAMERA, np.stack([here, there]))
    return images.astype(int), depths


def test_two_rooms_look_the_same_to_the_texture():
    (here, there), (near, far) = looks(build_twins(0))

    assert np.abs(here - there).max() <= 1
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_two_rooms_have_the_same_shape_and_look_different():
    (here, there), (near, far) = looks(build_row(0))

    assert np.abs(here - there).mean() > 10
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_a_path_through_one_world_leads_through_the_other():
    paths = [
        robot_path(build(0), 0, 6.0, 2.0, camera_height=0.8, tilt=0.0).world_T_camera
        for build in (build_row, build_twins)
    ]
    np.testing.assert_array_equal(*paths)
