# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import invert, rotation_angle, transform
from ttt3r_ros.tracking.feature_depth import depth_at
from ttt3r_ros.tracking.following import look
from ttt3r_ros.tracking.tracked_pose import View

WIDTH, HEIGHT, FOCAL = 224, 160, 160.0
MIDDLE = 111.5, 79.5
CAMERA = np.array([[FOCAL, 0, MIDDLE[0]], [0, FOCAL, MIDDLE[1]], [0, 0, 1]])
RADIUS = 3.0  # metres; a picture is all around, on a cylinder with the axis y
PER_RADIAN = 200.0
TURN, WAY = np.radians(5.0), 0.01  # from image to image


def picture():
    rng = np.random.default_rng(3)
    small = rng.uniform(20, 235, (90, 160, 3)).astype(np.float32)
    return cv2.resize(small, (1256, 700), interpolation=cv2.INTER_CUBIC).clip(0, 255)


PICTURE = picture()


def pose(k):
    turn = Rotation.from_rotvec([0, TURN * k, 0]).as_matrix()
    return transform(turn, [WAY * k, 0, 0.5 * WAY * k])


def view(world_T_camera):
    """Look at the cylinder: image and exact depth."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - MIDDLE[0]) / FOCAL, (v - MIDDLE[1]) / FOCAL, np.ones(u.shape)], -1)
    rays = rays @ world_T_camera[:3, :3].T
    x, z = world_T_camera[[0, 2], 3]
    a = rays[..., 0] ** 2 + rays[..., 2] ** 2
    b = rays[..., 0] * x + rays[..., 2] * z
    depth = (-b + np.sqrt(b**2 - a * (x**2 + z**2 - RADIUS**2))) / a
    points = rays * depth[..., None] + world_T_camera[:3, 3]
    column = np.arctan2(points[..., 0], points[..., 2]) * PER_RADIAN + 300
    row = points[..., 1] / RADIUS * PER_RADIAN + 350
    image = cv2.remap(PICTURE, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), depth


def seen(k, every):
    """Return an image of a camera that turns fast; the network sees every few of them."""
    image, depth = view(pose(k))
    known = k % every == 0
    return View(
        k * 100_000_000, image, CAMERA, depth=depth if known else None, network_T_camera=None
    )


def turned(count, every):
    state, found = None, []
    for k in range(count):
        tracked_pose, state = look(seen(k, every), state)
        found.append(tracked_pose)
    return found, state


@pytest.mark.parametrize('every', [13, 15])
def test_a_key_frame_that_shows_nothing_of_the_one_before_is_joined_by_the_images_between(every):
    found, _ = turned(every + 1, every)

    # So far the camera turns that hardly a feature of the first key frame is seen any more.
    assert TURN * every > 2 * np.arctan(0.5 * WIDTH / FOCAL) - np.radians(6)
    assert found[-1].by == 'the way back'
    assert found[-1].new_key
    error = invert(pose(every)) @ found[-1].track_T_camera
    assert rotation_angle(error[:3, :3]) < np.radians(2)
    assert np.linalg.norm(error[:3, 3]) < 0.1
    covariance = found[-1].key.motion.covariance
    assert rotation_angle(error[:3, :3]) < 3 * np.sqrt(np.trace(covariance[:3, :3]))
    assert np.linalg.norm(error[:3, 3]) < 3 * np.sqrt(np.trace(covariance[3:, 3:]))


def test_images_of_another_place_give_no_way_back():
    every = 14
    state = None
    for k in range(every):
        _, state = look(seen(k, every), state)
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.uniform(0, 255, (40, 56, 3)).astype(np.float32), (WIDTH, HEIGHT))
    elsewhere = replace(seen(every, every), image=noise.astype(np.uint8))

    tracked_pose, _ = look(elsewhere, state)

    assert tracked_pose.by == 'nothing'


def after_gap(degrees, back_m):
    """Return the pose of a camera that turned and moved back while it sent no images."""
    turn = Rotation.from_rotvec([0, np.radians(degrees), 0]).as_matrix()
    return transform(turn, [0.1 * back_m, 0, -back_m])


@pytest.fixture
def before_gap():
    """Return the state of a tracker after images without a gap, of which the network saw all."""
    _, state = turned(7, 1)
    return state


@pytest.mark.parametrize(('degrees', 'back_m'), [(60, 1.0), (70, 0.0), (65, 0.5), (75, 0.5)])
def test_after_a_gap_the_place_is_recognised_from_elsewhere(before_gap, degrees, back_m):
    world_T_camera = after_gap(degrees, back_m)
    image, depth = view(world_T_camera)

    tracked_pose, _ = look(View(10**9, image, CAMERA, depth=depth), before_gap)

    assert (tracked_pose.by, tracked_pose.new_key, tracked_pose.cut) == ('matches', True, False)
    error = invert(world_T_camera) @ tracked_pose.track_T_camera
    assert rotation_angle(error[:3, :3]) < np.radians(2)
    assert np.linalg.norm(error[:3, 3]) < 0.1
    covariance = tracked_pose.key.motion.covariance
    assert np.linalg.norm(error[:3, 3]) < 3 * np.sqrt(np.trace(covariance[3:, 3:]))


def test_after_a_gap_another_place_begins_a_track(before_gap):
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.uniform(0, 255, (40, 56, 3)).astype(np.float32), (WIDTH, HEIGHT))
    elsewhere = replace(seen(10, 1), image=noise.astype(np.uint8))

    tracked_pose, _ = look(elsewhere, before_gap)

    assert tracked_pose.cut


def test_small_holes_of_a_depth_are_filled_and_large_ones_are_not():
    depth = np.full((60, 80), 2.0, np.float32)
    depth[20, 30] = depth[40:43, 50:53] = 0
    depth[:, 60:] = 0
    px = np.array([[30, 20], [51, 41], [55, 10], [61, 30], [70, 30]], np.float32)

    assert depth_at(depth, px) == pytest.approx([2, 2, 2, np.nan, np.nan], abs=1e-6, nan_ok=True)
