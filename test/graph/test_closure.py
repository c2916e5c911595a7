# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import adjoint, invert, rotation_angle, transform, transform_points
from ttt3r_ros.graph.closure import FeaturePoints, verify
from ttt3r_ros.graph.places import Vocabulary
from ttt3r_ros.tracking.local_features import LocalFeatures, match
from ttt3r_ros.tracking.relative_pose import solve_pose

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])


def pose(turn, shift):
    return transform(Rotation.from_rotvec(turn).as_matrix(), shift)


def view(map_T_camera, cloud, descriptors, scale=1.0):
    """See a cloud whose points have descriptors; depth is in a unit of its own."""
    points = transform_points(invert(map_T_camera), cloud)
    px = (points[:, :2] / points[:, 2:] * 160.0 + CAMERA[:2, 2]).astype(np.float32)
    inside = (points[:, 2] > 0.3) & ((px > 0) & (px < [223, 159])).all(axis=1)
    features = LocalFeatures(px[inside], descriptors[inside])
    return FeaturePoints(features, points[inside] / scale, CAMERA)


def world(seed, count=300):
    rng = np.random.default_rng(seed)
    cloud = rng.uniform([-3, -1.5, 2.0], [3, 1.5, 5.0], (count, 3))
    return cloud, rng.integers(0, 200, (count, 128), dtype=np.uint8)


def test_a_place_seen_again_gives_pose_and_ratio_of_scales():
    cloud, descriptors = world(0)
    here, there = pose([0, 0, 0], [0, 0, 0]), pose([0, 0.2, 0], [0.4, 0, -0.2])

    closure = verify(view(here, cloud, descriptors), view(there, cloud, descriptors, 1.25))

    np.testing.assert_allclose(closure.here_T_there.key_T_camera, there, atol=1e-4)
    shift = invert(there)[:3, 3] / 1.25
    np.testing.assert_allclose(closure.there_T_here.key_T_camera[:3, 3], shift, atol=1e-4)
    assert closure.log_ratio == pytest.approx(np.log(1.25), abs=1e-4)


def tilted(seen, tilt):
    """Return a view whose depth is wrong by a slope over the image."""
    tangent = seen.points[:, :2] / seen.points[:, 2:]
    return replace(seen, points=seen.points * np.exp(tangent @ tilt)[:, None])


def test_tilts_of_the_depths_do_not_tilt_the_pose():
    cloud, descriptors = world(4)
    here, there = pose([0, 0, 0], [0, 0, 0]), pose([0.05, 0.2, 0], [0.8, 0.1, -0.2])
    first = tilted(view(here, cloud, descriptors), [0.15, -0.1])
    second = tilted(view(there, cloud, descriptors), [-0.1, 0.15])

    found = verify(first, second).here_T_there.key_T_camera

    mine, theirs = match(first.features.descriptors, second.features.descriptors)
    direct = solve_pose(first.points[mine], second.features.px[theirs], CAMERA, 4.0)
    assert rotation_angle(direct.key_T_camera[:3, :3].T @ there[:3, :3]) > np.radians(0.8)
    assert rotation_angle(found[:3, :3].T @ there[:3, :3]) < np.radians(0.2)
    np.testing.assert_allclose(found[:3, 3], there[:3, 3], atol=0.04)


def test_both_directions_are_one_measurement_that_counts_once():
    cloud, descriptors = world(5)
    there = pose([0, 0.2, 0], [0.4, 0, -0.2])
    closure = verify(view(np.eye(4), cloud, descriptors), view(there, cloud, descriptors, 1.25))
    forth, back = closure.here_T_there, closure.there_T_here

    # Information adds up; a length of there's unit is 1.25 of here's.
    to_there = np.diag([1.0] * 3 + [1 / 1.25] * 3) @ adjoint(forth.key_T_camera)
    of_back = to_there.T @ np.linalg.inv(back.covariance) @ to_there
    np.testing.assert_allclose(of_back @ forth.covariance, np.eye(6), atol=1e-2)


def test_another_place_is_none():
    (cloud, descriptors), (other_cloud, other) = world(0), world(1)
    assert verify(view(np.eye(4), cloud, descriptors), view(np.eye(4), other_cloud, other)) is None


def test_the_same_features_in_another_order_are_another_place():
    cloud, descriptors = world(0)
    mixed = np.random.default_rng(2).permutation(cloud)
    assert verify(view(np.eye(4), cloud, descriptors), view(np.eye(4), mixed, descriptors)) is None


def test_matches_are_mutual_and_clear():
    _, descriptors = world(3, 20)
    twice = np.concatenate([descriptors, descriptors[:1]])  # the first one is ambiguous now

    mine, theirs = match(descriptors, twice)

    np.testing.assert_array_equal(mine, np.arange(1, 20))
    np.testing.assert_array_equal(theirs, np.arange(1, 20))


def test_a_place_is_most_like_itself():
    places = [world(seed)[1] for seed in range(6)]
    vocabulary = Vocabulary.learned(places)
    vectors = np.stack([vocabulary.describe(place) for place in places])
    part = vocabulary.describe(places[2][:200])

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert int(np.argmax(vectors @ part)) == 2


def test_the_adjoint_takes_a_small_motion_to_other_axes():
    a_T_b, small = pose([0.3, -0.2, 0.5], [1.0, -2.0, 0.5]), 1e-6 * np.arange(1.0, 7.0)
    moved = a_T_b @ pose(small[:3], small[3:]) @ invert(a_T_b)
    expected = np.concatenate([Rotation.from_matrix(moved[:3, :3]).as_rotvec(), moved[:3, 3]])

    np.testing.assert_allclose(adjoint(a_T_b) @ small, expected, atol=1e-10)
