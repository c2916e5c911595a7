# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np

from ttt3r_ros.geometry import BODY_T_OPTICAL, IDENTITY, rotation_about, transform
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.point_view import above, alike, below_ceiling, perspective, rendered, View


def cloud_of(points, colors):
    count = len(points)
    colors = np.broadcast_to(np.asarray(colors, np.uint8), (count, 3))
    return VoxelCloud(np.asarray(points, np.float32), colors, np.ones(count, np.float32))


def cameras_that_look(yaws):
    turns = [transform(rotation_about([0, 0, 1], yaw), [0, 0, 0]) for yaw in yaws]
    return np.stack(turns) @ BODY_T_OPTICAL


def test_from_above_the_highest_point_is_seen_in_its_true_colour_and_place():
    # A blue floor with a green box on its left quarter, at 5 cm a pixel.
    x, y = np.meshgrid(np.arange(0.025, 2, 0.05), np.arange(0.025, 1, 0.05))
    floor = np.stack([x, y, np.full_like(x, -1)], axis=-1).reshape(-1, 3)
    box = floor[floor[:, 0] < 0.5] + [0, 0, 0.7]
    colors = np.repeat([[0, 255, 0], [0, 0, 255]], [len(box), len(floor)], 0)
    cloud = cloud_of(np.concatenate([box, floor]), colors)

    picture = rendered(cloud, above(np.zeros(2), np.array([3.0, 1.0]), 0.05), 0.05)

    assert picture.shape == (20, 60, 4)
    np.testing.assert_array_equal(picture[1:-1, 1:9, :3], np.broadcast_to([0, 255, 0], (18, 8, 3)))
    far_from_box = picture[1:-1, 14:39, :3]
    np.testing.assert_array_equal(far_from_box, np.broadcast_to([0, 0, 255], (18, 25, 3)))
    assert not picture[:, 42:, 3].any()
    # The floor is darker beside the box, which shows its edge.
    assert picture[10, 10, 2] < 230


def test_y_goes_up_in_a_view_from_above():
    view = above(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), 0.5)

    pixels, _ = view.project(np.array([[-1.0, -2.0, 0.0], [1.0, 2.0, 5.0]]))

    np.testing.assert_allclose(pixels, [[0, 8], [4, 0]], atol=1e-9)


def test_a_pinhole_projects_as_its_formula_says():
    view = View(IDENTITY, 100.0, 640, 480)

    pixels, depth = view.project(np.array([[0.5, -0.25, 2.0]]))

    np.testing.assert_allclose(pixels, [[320 + 100 * 0.25, 240 - 100 * 0.125]], atol=1e-9)
    np.testing.assert_allclose(depth, [2.0], atol=1e-12)


def test_what_is_nearer_hides_what_is_behind_it():
    cloud = cloud_of([[0, 0, 4], [0, 0, 2]], [[255, 0, 0], [0, 255, 0]])

    picture = rendered(cloud, View(IDENTITY, 100.0, 65, 65), 0.4)

    assert picture[32, 32].tolist() == [0, 255, 0, 255]


def test_nothing_behind_the_eye_is_drawn():
    cloud = cloud_of([[0, 0, -1]], [255, 0, 0])

    assert not rendered(cloud, View(IDENTITY, 100.0, 64, 64), 0.4).any()


def test_all_cameras_and_nearly_all_points_are_in_view():
    rng = np.random.default_rng(0)
    for scale in (0.1, 3.0, 200.0):
        points = scale * rng.uniform([1, -2, -1], [5, 2, 1], (5000, 3))
        points[:50] *= 1000  # outliers
        poses = cameras_that_look([0.0, 0.1, 0.2])
        poses[:, 0, 3] = scale * np.array([0.0, 0.5, 1.0])
        poses[:, 1, 3] = scale * np.array([0.0, -1.5, 1.5])

        view = perspective(cloud_of(points, [0, 0, 0]), poses, 800, 450)

        pixels, depth = view.project(np.concatenate([poses[:, :3, 3], points]))
        inside = ((pixels >= 0) & (pixels <= [800, 450])).all(axis=1) & (depth > 0)
        assert inside[:3].all()
        assert inside.mean() > 0.9
        # The picture is filled, not a spot in its middle.
        assert np.ptp(pixels[inside], axis=0).max() > 300


def test_what_has_to_be_in_view_beside_cameras_and_points_is():
    corners = np.array([[-8.0, 6.0, 0.0], [0.0, -9.0, 4.0], [2.0, 0.0, -5.0]])
    points = np.random.default_rng(0).uniform([1, -2, -1], [5, 2, 1], (500, 3))

    view = perspective(cloud_of(points, [0, 0, 0]), cameras_that_look([0.0]), 800, 450, corners)

    pixels, depth = view.project(corners)
    assert ((pixels >= 0) & (pixels <= [800, 450])).all()
    assert (depth > 0).all()


def test_a_single_camera_without_points_has_a_view():
    view = perspective(VoxelCloud.joined([]), cameras_that_look([0.0]), 800, 450)

    pixels, depth = view.project(np.zeros((1, 3)))
    np.testing.assert_allclose(pixels, [[400, 225]], atol=1e-6)
    assert depth > 0


def test_cameras_that_turn_around_are_told_from_those_that_look_ahead():
    assert alike(cameras_that_look([-0.4, 0.0, 0.4]))
    assert not alike(cameras_that_look(np.linspace(0, 2 * math.pi, 12)))


def test_the_ceiling_does_not_hide_the_floor():
    cloud = cloud_of([[0, 0, -1], [0, 0, 2.0]], [0, 0, 0])

    np.testing.assert_allclose(
        below_ceiling(cloud, IDENTITY[None]).points, [[0, 0, -1]], atol=0, rtol=0
    )
