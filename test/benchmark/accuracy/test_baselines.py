# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The baselines are right where their assumptions hold, and say so where they do not."""

from dataclasses import astuple

import numpy as np
import pytest

from benchmark.accuracy.baselines import classical, constant_pose, constant_velocity
from benchmark.accuracy.errors import PathErrors
from ttt3r_ros.geometry import invert, rotation_about, rotation_angle, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path
from ttt3r_ros.simulation.renderer import render_clip

FRAMES = 10


@pytest.fixture(scope='module')
def rendered():
    """Return six rendered images, their exact depth, first_T_camera and intrinsics."""
    world = build_world('S', 7)
    intrinsics = CameraIntrinsics.from_field_of_view(192, 144, 75)
    poses = hand_path(world, 4, 2.0, 5.0).world_T_camera[:6]
    rgb, depth = render_clip(world, intrinsics, poses, smooth=True)
    return rgb, depth, invert(poses[0]) @ poses, intrinsics


def test_a_helix_is_a_constant_velocity():
    # Closed form: turning about y by `turn` a frame while moving on a circle of radius r.
    turn, radius = 0.05, 2.0
    angles = turn * np.arange(FRAMES)
    truth = transform(
        np.stack([rotation_about([0, 1, 0], angle) for angle in angles]),
        np.stack(
            [radius * (1 - np.cos(angles)), 0.1 * np.arange(FRAMES), radius * np.sin(angles)],
            axis=1,
        ),
    )
    errors = PathErrors.of(constant_velocity(truth[1], FRAMES), truth)
    assert max(errors.ate, errors.drift, errors.step, errors.turn) < 1e-6


def test_a_still_camera_has_a_constant_pose():
    still = np.tile(np.eye(4), (FRAMES, 1, 1))
    errors = PathErrors.of(constant_pose(FRAMES), still)
    assert astuple(errors) == pytest.approx((0.0,) * 5, abs=1e-9)  # metres and radians


def test_a_constant_pose_misses_a_straight_path_by_its_spread():
    # Steps of 1 m: from the first camera 0, 1, 2 m off; from their middle 1, 0, 1 m.
    truth = transform(np.tile(np.eye(3), (3, 1, 1)), [[0, 0, 0], [0, 0, 1], [0, 0, 2]])
    errors = PathErrors.of(constant_pose(3), truth)
    assert errors.path == pytest.approx(2.0, abs=1e-9)
    assert errors.drift == pytest.approx(np.sqrt(5 / 3), abs=1e-9)
    assert errors.ate == pytest.approx(np.sqrt(2 / 3), abs=1e-9)
    assert errors.step == pytest.approx(1.0, abs=1e-9)


def test_features_with_true_depth_recover_a_rendered_motion(rendered):
    rgb, depth, truth, intrinsics = rendered
    path = classical(rgb, depth, intrinsics)
    # A walk of 0.64 m in which the camera turns by 15 degrees.
    assert np.degrees(rotation_angle(truth[-1, :3, :3])) > 15
    assert np.linalg.norm(truth[-1, :3, 3]) > 0.6
    error = invert(truth) @ path
    assert np.degrees(rotation_angle(error[:, :3, :3])).max() < 0.6
    assert np.linalg.norm(error[:, :3, 3], axis=1).max() < 0.04


def test_depth_twice_as_large_gives_a_motion_twice_as_large(rendered):
    rgb, depth, truth, intrinsics = rendered
    path = classical(rgb, 2 * depth, intrinsics)
    expected = 2 * truth[-1, :3, 3]
    assert np.linalg.norm(path[-1, :3, 3] - expected) < 0.15 * np.linalg.norm(expected)


@pytest.mark.parametrize('depth', [0.0, 3.0])
def test_without_features_or_depth_the_camera_stands(depth):
    rng = np.random.default_rng(0)
    # Noise has features that match nothing; grey has none.
    rgb = np.full((3, 48, 64, 3), 128, np.uint8)
    rgb[1] = rng.integers(256, size=rgb[1].shape)
    lens = CameraIntrinsics.from_field_of_view(64, 48, 70)
    path = classical(rgb, np.full((3, 48, 64), depth), lens)
    np.testing.assert_array_equal(path, constant_pose(3))
