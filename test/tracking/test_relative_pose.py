# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import invert, transform, transform_points
from ttt3r_ros.tracking.feature_depth import depth_at
from ttt3r_ros.tracking.relative_pose import (
    pixel_jacobians,
    pose_covariance,
    rays_at,
    solve_pose,
    TILT_SIGMA,
    WHITE_DEPTH_SIGMA,
)

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])


def pose(turn, shift):
    return transform(Rotation.from_rotvec(turn).as_matrix(), shift)


def scene(count, seed=0):
    """Draw points in front of a camera and their pixels."""
    rng = np.random.default_rng(seed)
    px = rng.uniform([5, 5], [219, 155], (count, 2))
    return rays_at(px, CAMERA) * rng.uniform(1.0, 5.0, (count, 1))


def project(key_T_camera, points):
    seen = transform_points(invert(key_T_camera), points)
    return seen[:, :2] / seen[:, 2:] * CAMERA[[0, 1], [0, 1]] + CAMERA[:2, 2]


def error_of(true, found):
    rest = invert(found) @ true
    return np.concatenate([Rotation.from_matrix(rest[:3, :3]).as_rotvec(), rest[:3, 3]])


def test_exact_pixels_give_the_exact_pose_and_outliers_do_not_count():
    key_T_camera, points = pose([0.05, -0.2, 0.03], [0.3, -0.1, 0.2]), scene(120)
    px = project(key_T_camera, points)
    px[:30] += np.random.default_rng(1).uniform(20, 60, (30, 2))

    found = solve_pose(points, px, CAMERA)

    np.testing.assert_allclose(found.key_T_camera, key_T_camera, atol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(~found.inliers), np.arange(30))


def test_noise_gives_no_pose():
    rng = np.random.default_rng(2)
    assert solve_pose(scene(100), rng.uniform(0, 160, (100, 2)), CAMERA) is None


def test_the_covariance_is_that_of_many_trials():
    key_T_camera, points = pose([0.0, -0.15, 0.02], [0.25, 0.0, 0.1]), scene(150, 3)
    rng, errors = np.random.default_rng(4), []
    tangents = points[:, :2] / points[:, 2:]
    for _ in range(300):
        # What is assumed: pixels of sqrt 2, white depth, two tilts; the true points differ.
        log_error = rng.normal(0, WHITE_DEPTH_SIGMA, len(points))
        log_error += tangents @ rng.normal(0, 0.2 * TILT_SIGMA, 2)
        px = project(key_T_camera, points * np.exp(log_error)[:, None])
        px += rng.normal(0, np.sqrt(2), px.shape)
        found = solve_pose(points, px, CAMERA, ransac_px=60.0)
        errors.append(error_of(key_T_camera, found.key_T_camera))
    measured = np.sqrt(np.mean(np.square(errors), axis=0))

    wide = pose_covariance(key_T_camera, points, CAMERA)
    assert pytest.approx(0.34, abs=1e-12) == TILT_SIGMA
    by_pose, by_depth = pixel_jacobians(key_T_camera, points, CAMERA)
    inverse = np.linalg.inv(np.einsum('nij,nik->jk', by_pose, by_pose))
    moved = -np.einsum('ij,nkj,nk->ni', inverse, by_pose, by_depth)
    tilts = TILT_SIGMA * (moved.T @ tangents)
    predicted = wide - (1 - 0.2**2) * tilts @ tilts.T  # the tilts drawn are a fifth as wide

    np.testing.assert_allclose(measured / np.sqrt(np.diag(predicted)), 1.0, atol=0.2)


def test_derivatives_of_pixels_are_those_of_differences():
    key_T_camera, points, step = pose([0.1, -0.2, 0.05], [0.3, -0.1, 0.2]), scene(5), 1e-6
    by_pose, by_log_depth = pixel_jacobians(key_T_camera, points, CAMERA)

    for i in range(6):
        small = np.zeros(6)
        small[i] = step
        moved = project(key_T_camera @ pose(small[:3], small[3:]), points)
        numeric = (moved - project(key_T_camera, points)) / step
        np.testing.assert_allclose(by_pose[:, :, i], numeric, atol=1e-2)
    deeper = project(key_T_camera, points * np.exp(step))
    numeric = (deeper - project(key_T_camera, points)) / step
    np.testing.assert_allclose(by_log_depth, numeric, atol=1e-2)


def test_depth_is_read_between_pixels_and_refused_at_edges():
    depth = np.tile(np.linspace(1.0, 2.0, 11), (8, 1))
    depth[:, 8:] = 4.0
    px = np.array([[2.5, 3.0], [7.6, 3.0], [4.0, 5.25]])

    np.testing.assert_allclose(depth_at(depth, px), [1.25, np.nan, 1.4], atol=1e-6)
