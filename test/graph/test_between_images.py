# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera takes two images, a tenth of a second apart, and is asked for at other times."""

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.graph.between_images import moved_to
from ttt3r_ros.tracking.tracked_pose import TrackedPose

SECOND = 10**9


@pytest.fixture
def two_images(robot):
    """Return two images of a camera that goes 0.4 units ahead from one to the other."""
    (key,) = robot.drive([0], mount=BODY_T_OPTICAL)
    return [
        TrackedPose(
            k * SECOND // 10,
            key,
            transform(np.eye(3), [0, 0, 0.4 * k]),
            1e-6 * np.eye(6),
            'features',
            False,
            False,
            99,
            odom_T_camera=BODY_T_OPTICAL,
        )
        for k in range(2)
    ]


@pytest.mark.parametrize(('stamp', 'moved'), [(0.05, 0.2), (0.1, 0.4), (0.15, 0.6)])
def test_a_camera_is_where_it_was_or_goes_on_as_before(two_images, stamp, moved):
    at = moved_to(round(stamp * SECOND), two_images)

    np.testing.assert_allclose(at.key_T_camera[:3, 3], [0, 0, moved], atol=1e-9)
    sure = np.diag(at.covariance)
    assert (sure[5] > 1e-5) == (stamp > 0.1)  # what it has not done yet is not known well


def test_after_a_gap_it_is_not_known_where_a_camera_is(two_images):
    assert moved_to(SECOND, two_images) is None


@pytest.mark.parametrize('stamp', [0.05, 0.1, 0.15])
def test_the_wheels_of_another_camera_do_not_count_once_more(two_images, stamp):
    assert moved_to(round(stamp * SECOND), two_images).odom_T_camera is None
