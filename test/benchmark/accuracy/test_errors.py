# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors of sequences against cases that can be checked by hand."""

from dataclasses import astuple
import math

import numpy as np
import pytest

from benchmark.accuracy.errors import mean, PathErrors, ratio, Record, SceneErrors
from benchmark.accuracy.sequences import ImageSequence
from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics

LENS = CameraIntrinsics.from_field_of_view(16, 12, 90)


@pytest.fixture
def sequence():
    """Return three images of a wall 2 m ahead; the camera moves parallel to it."""
    poses = transform(np.tile(np.eye(3), (3, 1, 1)), [[0, 0, 0], [0.1, 0, 0], [0.3, 0, 0]])
    rgb = np.zeros((3, 12, 16, 3), np.uint8)
    depth = np.full((3, 12, 16), 2.0, np.float16)
    return ImageSequence('wall', 'S', 'hand', rgb, depth, poses, np.arange(3), LENS)


def points_of(sequence, scale=1.0):
    depth = scale * sequence.depth.astype(np.float32)
    return LENS.rays() * depth[..., None]


def test_true_points_and_poses_have_no_error(sequence):
    errors = SceneErrors.of(points_of(sequence), sequence.world_T_camera, sequence)
    # Points are float32 of some metres.
    assert astuple(errors) == pytest.approx((0.0,) * 3, abs=1e-5)


def test_depth_a_quarter_too_large_is_metric_error_only(sequence):
    errors = SceneErrors.of(points_of(sequence, 1.25), sequence.world_T_camera, sequence)
    assert errors.metric == pytest.approx(0.25, abs=1e-6)
    assert errors.scaled == pytest.approx(0.0, abs=1e-6)


def test_a_pose_that_is_off_moves_the_world_points_by_as_much(sequence):
    poses = sequence.world_T_camera.copy()
    poses[:, 1, 3] += 0.5
    errors = SceneErrors.of(points_of(sequence), poses, sequence)
    assert errors.world == pytest.approx(0.5 / 2.0, abs=1e-6)


def test_images_without_true_depth_do_not_count(sequence):
    sequence.depth[1] = 0
    points = points_of(sequence, 1.25)
    points[1] = 77.0
    assert SceneErrors.of(points, sequence.world_T_camera, sequence).metric == pytest.approx(
        0.25, abs=1e-6
    )


def test_a_recording_without_any_depth_has_no_depth_error(sequence):
    sequence.depth[:] = 0
    scene = SceneErrors.of(points_of(sequence, 1.0), sequence.world_T_camera, sequence)
    assert math.isnan(scene.scaled)
    record = Record.about(sequence, 'm', 3, PathErrors(1, 0, 0, 0, 0), scene)
    assert record.to_json()['scene'] is None


def test_a_turned_and_scaled_path_has_drift_but_no_ate(sequence):
    turned = transform(rotation_about([0, 1, 0], math.pi / 2), [0.0, 0, 0])
    estimate = turned @ sequence.world_T_camera
    estimate[:, :3, 3] *= 3
    truth = sequence.world_T_camera
    # (x, 0, 0) turned a quarter about y is (0, 0, -x); three times that is sqrt(10) x off.
    errors = PathErrors.of(estimate, truth)
    assert errors.ate == pytest.approx(0.0, abs=1e-9)
    assert errors.drift == pytest.approx(
        math.sqrt(10) * math.sqrt((0.1**2 + 0.3**2) / 3), abs=1e-9
    )
    assert errors.turn == pytest.approx(0.0, abs=1e-5)


def test_the_mean_comes_with_its_standard_error():
    value, error = mean([1.0, 2.0, 3.0])
    assert value == pytest.approx(2.0, abs=1e-9)
    assert error == pytest.approx(1.0 / math.sqrt(3), abs=1e-9)


def test_a_sequence_with_hardly_any_path_does_not_spoil_the_ratio():
    value, error = ratio([0.1, 0.2, 0.01], [1.0, 2.0, 1e-6])
    assert value == pytest.approx(0.31 / 3.000001, abs=1e-9)
    assert error < 0.01


def test_a_ratio_that_is_the_same_everywhere_is_certain():
    assert ratio([0.1, 0.3], [1.0, 3.0]) == pytest.approx((0.1, 0.0), abs=1e-9)


def test_one_sequence_has_no_standard_error():
    assert math.isnan(mean([1.0]).error)
