# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, truth_in_map, View

SECOND = 1_000_000_000


def cloud_of(points, **fields):
    points = np.asarray(points, np.float32)
    return Cloud(points, np.zeros((len(points), 3), np.uint8), np.ones(len(points), np.float32))


def path_along_x(count, height=0.0):
    poses = np.stack([transform(np.eye(3), [x, 0, height]) for x in range(count)])
    return Trajectory(SECOND * np.arange(5, 5 + count), poses)


def slab(height, side=10.0, count=41):
    """Return points on a level square around the origin."""
    x, y = np.meshgrid(*[np.linspace(-side, side, count)] * 2)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)


def test_a_ceiling_is_what_most_of_the_path_has_overhead():
    floor, ceiling = slab(-0.5), slab(2.0)
    path = path_along_x(5)

    room = Scene(cloud=cloud_of(np.concatenate([floor, ceiling])), path=path)
    yard = Scene(cloud=cloud_of(np.concatenate([floor, ceiling[ceiling[:, 1] > 3]])), path=path)

    assert 0.0 < room.ceiling() < 2.0
    assert yard.ceiling() == math.inf  # a roof beside the path hides nothing


def test_limits_hold_the_path_and_leave_outliers_out():
    points = np.concatenate([slab(0.0), [[1e4, 0, 0]]])

    low, high = Scene(cloud=cloud_of(points), path=path_along_x(15)).limits()

    assert high[0] == pytest.approx(14.0, abs=1e-9)
    assert -10.1 < low[0] < -9.0


def test_an_empty_scene_has_limits_and_no_ceiling():
    low, high = Scene().limits()

    assert (high > low).all()
    assert Scene().ceiling() == math.inf


def test_a_scene_until_a_time_has_the_path_and_the_image_of_that_time():
    path = path_along_x(10)
    rgb = np.zeros((2, 2, 3), np.uint8)
    views = tuple(
        View(int(stamp), pose, rgb, None, 1.0)
        for stamp, pose in zip(path.stamps_ns[::3], path.poses[::3])
    )
    keys = KeyPlaces(np.zeros((10, 3), np.float32), np.zeros((0, 2, 3), np.float32))
    scene = Scene(path=path, truth=path, keys=keys, views=views, newest=views[-1], finished=True)

    then = scene.until(4.5)

    assert then.path.stamps_ns.tolist() == (SECOND * np.arange(5, 10)).tolist()
    assert then.truth.stamps_ns.tolist() == then.path.stamps_ns.tolist()
    assert then.newest is views[1]
    assert then.keys is None  # those of the end are elsewhere
    assert scene.until(math.inf) is scene


def test_the_truth_shares_the_first_pose_and_nothing_is_fitted():
    path = path_along_x(6)
    world_T_map = transform(rotation_about([0, 0, 1], 0.7), [3, -2, 1])
    drift = np.stack([transform(rotation_about([0, 0, 1], 0.02 * n), [0, 0, 0]) for n in range(6)])
    truth = Trajectory(path.stamps_ns + 1_000_000, world_T_map @ path.poses @ drift)

    joined = truth_in_map(path, truth)

    np.testing.assert_allclose(joined.poses, path.poses @ drift, atol=1e-9)
    np.testing.assert_allclose(invert(joined.poses[0]) @ path.poses[0], np.eye(4), atol=1e-9)


def test_a_truth_of_another_time_is_none():
    path = path_along_x(3)

    assert truth_in_map(path, Trajectory(path.stamps_ns + 100 * SECOND, path.poses)) is None
