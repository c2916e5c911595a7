# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import invert, transform
from ttt3r_ros.tracking.features import begin, follow, gray_of
from ttt3r_ros.tracking.following import look
from ttt3r_ros.tracking.standstill import agrees
from ttt3r_ros.tracking.tracked_pose import View

WIDTH, HEIGHT = 224, 160
CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])
WALL = 2.0  # metres; a picture hangs on a plane z = WALL of the world
PER_METRE = 120.0


def picture():
    rng = np.random.default_rng(0)
    small = rng.uniform(20, 235, (90, 120, 3)).astype(np.float32)
    return cv2.resize(small, (1200, 900), interpolation=cv2.INTER_CUBIC).clip(0, 255)


PICTURE = picture()


def pose(turn, shift):
    return transform(Rotation.from_rotvec(turn).as_matrix(), shift)


def view(world_T_camera, noise=0):
    """Look at the wall: image and exact depth."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - 111.5) / 160, (v - 79.5) / 160, np.ones(u.shape)], axis=-1)
    turned = rays @ world_T_camera[:3, :3].T
    depth = (WALL - world_T_camera[2, 3]) / turned[..., 2]
    points = turned * depth[..., None] + world_T_camera[:3, 3]
    x, y = points[..., 0] * PER_METRE + 600, points[..., 1] * PER_METRE + 450
    image = cv2.remap(PICTURE, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    rng = np.random.default_rng(noise)
    if noise:
        image = image + rng.normal(0, 2, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), depth


def seen(index, world_T_camera, **more):
    image, depth = view(world_T_camera, more.pop('noise', 0))
    fields = {'depth': depth, 'network_T_camera': world_T_camera, **more}
    return View(index * 100_000_000, image, CAMERA, **fields)


def path(steps):
    """Walk along the wall and turn."""
    return [pose([0, -0.012 * k, 0], [0.03 * k, 0.002 * k, 0.005 * k]) for k in range(steps)]


def walk(images):
    state, found = None, []
    for one in images:
        tracked_pose, state = look(one, state)
        found.append(tracked_pose)
    return found, state


def test_features_are_followed_to_where_they_are():
    start, later = pose([0, 0, 0], [0, 0, 0]), pose([0, 0.03, 0], [0.05, 0, 0.02])
    gray, after = (gray_of(view(p)[0]) for p in (start, later))
    tracks = follow(begin(gray), after)
    depth = WALL
    rays = np.c_[(tracks.key_px - CAMERA[:2, 2]) / 160.0, np.ones(len(tracks))]
    points = (rays * depth) @ later[:3, :3] - later[:3, 3] @ later[:3, :3]
    true = points[:, :2] / points[:, 2:] * 160.0 + CAMERA[:2, 2]

    error = np.linalg.norm(tracks.px - true, axis=1)
    assert len(tracks) > 100
    assert np.median(error) < 0.1
    assert np.mean(error < 0.5) > 0.95


def test_a_chain_with_exact_depth_stays_exact_over_many_key_frames():
    poses = path(60)
    found, _ = walk(seen(k, p) for k, p in enumerate(poses))

    assert found[-1].key.number >= 3
    assert all(f.by == 'features' for f in found[1:])
    for pose_, tracked_pose in zip(poses, found):
        rest = invert(poses[0] @ tracked_pose.track_T_camera) @ pose_
        assert np.linalg.norm(rest[:3, 3]) < 0.02
        assert np.linalg.norm(Rotation.from_matrix(rest[:3, :3]).as_rotvec()) < 0.01


def test_images_between_those_of_the_network_have_a_pose_and_become_no_key_frame():
    poses = path(40)
    images = [seen(k, p) for k, p in enumerate(poses)]
    images = [
        one if k % 5 == 0 else replace(one, depth=None, network_T_camera=None)
        for k, one in enumerate(images)
    ]
    found, _ = walk(images)

    assert all(f.by == 'features' for f in found[1:])
    assert all(k % 5 == 0 for k, f in enumerate(found) if f.new_key)
    rest = invert(found[-1].track_T_camera) @ poses[-1]
    assert np.linalg.norm(rest[:3, 3]) < 0.02


def test_the_first_image_needs_its_depth():
    with pytest.raises(ValueError, match='depth'):
        look(replace(seen(0, np.eye(4)), depth=None), None)


def test_a_look_changes_no_state_that_was_given():
    _, state = walk(seen(k, p) for k, p in enumerate(path(4)))
    next_image = seen(4, path(5)[4])
    bad = replace(next_image, image=np.zeros_like(next_image.image))

    first, _ = look(next_image, state)
    look(bad, state)
    again, _ = look(next_image, state)

    np.testing.assert_array_equal(first.key_T_camera, again.key_T_camera)
    assert first.inliers == again.inliers


def test_standing_still_holds_the_pose_to_the_bit_through_noise():
    images = [seen(k, path(10)[k]) for k in range(10)]
    images += [seen(10 + k, path(10)[9], noise=k + 1) for k in range(40)]
    found, state = walk(images)

    held = found[12:]
    assert all(f.still for f in held)
    for one in held:
        np.testing.assert_array_equal(one.track_T_camera, held[0].track_T_camera)
    assert state.last.stamp_ns <= found[11].stamp_ns


def test_a_person_who_walks_through_the_view_does_not_move_the_camera():
    images = []
    for k in range(40):
        one = seen(k, np.eye(4), noise=k + 1)
        image = one.image.copy()
        image[20:, max(0, 6 * k - 60) : max(0, 6 * k)] = 90 + 10 * (k % 3)
        images.append(replace(one, image=image))
    found, _ = walk(images)

    for one in found:
        assert np.abs(one.track_T_camera - np.eye(4)).max() < 0.003


def test_a_slow_motion_is_no_standing_still():
    slow = [pose([0, 0, 0], [0.002 * k, 0, 0]) for k in range(60)]
    found, _ = walk(seen(k, p, noise=k + 1) for k, p in enumerate(slow))

    assert found[-1].track_T_camera[0, 3] == pytest.approx(0.118, abs=0.01)


def test_wheels_at_rest_hold_the_pose_where_the_image_trembles():
    odom = np.eye(4)
    tremble = [pose([0, 0.002 * (-1) ** k, 0], [0, 0, 0]) for k in range(20)]
    images = [seen(k, p, odom_T_camera=odom) for k, p in enumerate(tremble)]
    found, _ = walk(images)

    assert all(f.still for f in found[1:])


def test_where_features_fail_the_wheels_go_on_and_then_the_network():
    start = seen(0, np.eye(4), odom_T_camera=np.eye(4), base_T_camera=np.eye(4))
    moved = pose([0, 0.1, 0], [0.2, 0, 0])
    dark = View(
        100_000_000,
        np.zeros_like(start.image),
        CAMERA,
        odom_T_camera=moved,
        base_T_camera=np.eye(4),
    )
    _, state = look(start, None)

    by_wheels, _ = look(dark, state)
    by_network, _ = look(replace(dark, odom_T_camera=None, network_T_camera=moved), state)

    assert (by_wheels.by, by_network.by) == ('wheels', 'network')
    for tracked_pose in (by_wheels, by_network):
        np.testing.assert_allclose(tracked_pose.track_T_camera, moved, atol=1e-9)


@pytest.mark.parametrize(
    'jump', [transform(np.eye(3), [8.0, 0, 0]), pose([0, 0, 1.0], [0.0, 0, 0])]
)
def test_wheels_that_jump_are_told_and_not_believed_until_the_next_key_frame(jump):
    """Walk along the wall; wheels jump at the fourth image."""
    places = path(12)
    odometry = [jump @ p if k > 2 else p for k, p in enumerate(places)]
    found, _ = walk(
        [seen(k, p, odom_T_camera=o) for k, (p, o) in enumerate(zip(places, odometry))]
    )

    assert [f.slips for f in found] == [k == 3 for k in range(12)]
    key = found[3].key.number
    assert all(f.slipped == (k >= 3) for k, f in enumerate(found) if f.key.number == key)
    later = next((f for f in found if f.key.number > key), None)
    assert later is None or later.key.slipped
    for tracked_pose, place in zip(found, places):
        np.testing.assert_allclose(tracked_pose.track_T_camera, place, atol=0.02)


def test_wheels_agree_within_what_images_and_wheels_err():
    assert agrees(transform(np.eye(3), [0.1, 0, 0]), transform(np.eye(3), [0.2, 0, 0]))
    assert not agrees(transform(np.eye(3), [0.5, 0, 0]), transform(np.eye(3), [0.1, 0, 0]))
    assert not agrees(pose([0, 0, 0.4], [0, 0, 0]), np.eye(4))


def test_in_the_dark_wheels_go_before_the_network_unless_no_robot_drives_so_fast():
    start = seen(0, np.eye(4), odom_T_camera=np.eye(4), base_T_camera=np.eye(4))
    _, state = look(start, None)
    moved, far = transform(np.eye(3), [0.1, 0, 0]), transform(np.eye(3), [30.0, 0, 0])
    dark = replace(start, stamp_ns=10**8, image=np.zeros_like(start.image), network_T_camera=moved)

    by_wheels, _ = look(replace(dark, odom_T_camera=moved), state)
    by_network, _ = look(replace(dark, odom_T_camera=far), state)

    assert (by_wheels.by, by_wheels.slips) == ('wheels', False)
    assert (by_network.by, by_network.slips) == ('network', True)
    np.testing.assert_allclose(by_network.track_T_camera, moved, atol=1e-9)


def test_after_images_between_the_network_goes_on_from_the_last_of_them():
    poses = path(7)
    images = [seen(k, p) for k, p in enumerate(poses)]
    between = [replace(one, depth=None, network_T_camera=None) for one in images[1:6]]
    _, state = walk([images[0], *between])
    dark = replace(images[6], image=np.zeros_like(images[6].image))

    tracked_pose, _ = look(dark, state)

    assert tracked_pose.by == 'network'
    rest = invert(poses[0] @ tracked_pose.track_T_camera) @ poses[6]
    assert np.linalg.norm(rest[:3, 3]) < 0.02
