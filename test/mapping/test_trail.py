# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.graph.additions import Correction
from ttt3r_ros.graph.thinning import RemovedKeyFrame
from ttt3r_ros.mapping.trail import Trail

LOG_2 = float(np.log(2.0))
TURNED = transform(rotation_about([1, 2, 3], 0.5), [1.0, -2.0, 0.5])


def at(x):
    return transform(np.eye(3), [x, 0, 0])


@pytest.fixture
def walked(located_frame):
    """Return a trail of ten images, five on each of two key frames at x = 0 and x = 5."""
    trail = Trail()
    for i in range(10):
        key, step = divmod(i, 5)
        trail.add(
            located_frame(
                i,
                map_T_camera=at(float(i)),
                key=key,
                map_T_key=Similarity(at(5.0 * key), 2.0),
                key_T_camera=at(0.5 * step),
            )
        )
    return trail


def test_poses_come_in_the_order_of_their_stamps(walked):
    found = walked.trajectory()

    assert found.stamps_ns.tolist() == [10**9 + i for i in range(10)]
    np.testing.assert_allclose(found.poses, [at(float(i)) for i in range(10)], atol=1e-12)


def test_a_correction_moves_and_stretches_what_hangs_on_a_key_frame(walked):
    walked.move(Correction({0: Similarity(at(0.0), 2.0), 1: Similarity(TURNED, 3.0)}, ()))

    poses = walked.trajectory().poses
    np.testing.assert_allclose(poses[:5], [at(float(i)) for i in range(5)], atol=1e-12)
    np.testing.assert_allclose(poses[5:], [TURNED @ at(1.5 * i) for i in range(5)], atol=1e-12)


def test_poses_of_a_removed_key_frame_move_with_its_successor(walked):
    removed = RemovedKeyFrame(
        number=0,
        successor=1,
        successor_T_removed=at(-5.0),
        log_scale=LOG_2,
        successor_log_scale=LOG_2,
    )
    walked.move(Correction({1: Similarity(at(5.0), 2.0)}, (removed,)))
    expected = [at(float(i)) for i in range(10)]
    np.testing.assert_allclose(walked.trajectory().poses, expected, atol=1e-12)

    walked.move(Correction({1: Similarity(TURNED @ at(5.0), 2.0)}, ()))
    moved = [TURNED @ pose for pose in expected]
    np.testing.assert_allclose(walked.trajectory().poses, moved, atol=1e-12)


def test_what_the_wheels_measured_is_not_stretched(located_frame):
    trail = Trail()
    frame = located_frame(
        0, at(2.0), key=1, map_T_key=Similarity(at(1.0), 2.0), key_T_camera=at(0.5)
    )
    trail.add(replace(frame, by_wheels=True))
    trail.move(Correction({1: Similarity(TURNED @ at(1.0), 3.0)}, ()))
    np.testing.assert_allclose(trail.trajectory().poses, [TURNED @ at(2.0)], atol=1e-12)

    removed = RemovedKeyFrame(
        number=1,
        successor=4,
        successor_T_removed=at(7.0),
        log_scale=np.log(3.0),
        successor_log_scale=LOG_2,
    )
    trail.move(Correction({4: Similarity(at(0.0), 5.0)}, (removed,)))
    np.testing.assert_allclose(trail.trajectory().poses, [at(8.0)], atol=1e-12)


def test_a_bounded_trail_keeps_the_newest_poses(located_frame):
    trail = Trail(most=16)
    for i in range(1000):
        trail.add(located_frame(i, map_T_camera=at(float(i)), key=i // 7))

    stamps = trail.trajectory().stamps_ns - 10**9
    assert len(stamps) == len(trail) <= 16
    np.testing.assert_array_equal(stamps, np.arange(1000 - len(stamps), 1000))


def test_poses_closer_than_the_step_are_left_out(located_frame):
    trail = Trail(step_m=0.25)
    for i in range(100):
        trail.add(located_frame(i, map_T_camera=at(0.1 * i)))

    poses = trail.trajectory().poses
    assert np.diff(poses[:, 0, 3]).min() >= 0.25
    assert len(poses) == 34  # each third one


def test_after_a_reset_nothing_is_left(walked):
    walked.reset()
    assert len(walked.trajectory().stamps_ns) == len(walked) == 0
