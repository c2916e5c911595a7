# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera of 10 Hz over an odometry that is slow or late."""

import time

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import pytest

from ttt3r_ros.geometry import transform
from ttt3r_ros.node import messages

SECOND = 1_000_000_000
IMAGES = 20


def drive(rig, period_s, delay_s):
    """Show ten images a second while odometry comes; return the stamps of the images."""
    start = time.monotonic()
    start_ns = rig.now_ns()
    odometry = [(k * period_s + delay_s, k * period_s) for k in range(int(4 / period_s))]
    images = [(0.03 + 0.1 * n, n) for n in range(IMAGES)]
    while images or (odometry and odometry[0][0] < 3.0):
        now = time.monotonic() - start
        while odometry and odometry[0][0] <= now:
            at = odometry.pop(0)[1]
            pose = transform(np.eye(3), [at, 0, 0])
            rig.send_transform('odom', 'base_link', pose, start_ns + round(at * SECOND))
        if images and images[0][0] <= now:
            at, number = images.pop(0)
            rig.show(number, start_ns + round(at * SECOND))
        rig.spin_for(0.01)
    return [start_ns + round((0.03 + 0.1 * n) * SECOND) for n in range(IMAGES)]


@pytest.mark.parametrize(('period_s', 'delay_s'), [(0.2, 0.0), (0.1, 0.4)])
def test_every_image_is_mapped_though_odometry_is_slow_or_late(rig, period_s, delay_s):
    rig.start(**{'tf.timeout': 1.0})
    rig.mount_camera(np.eye(4))
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.wait_for_log('the network is loaded')

    stamps = drive(rig, period_s, delay_s)

    rig.spin_until(lambda: not stamps_missing(poses, stamps), 'every image is mapped', 5.0)
    rig.wait_for_log('images wait 0.')
    assert float(rig.counts()['latency median (s)']) < delay_s + period_s + 0.3


def stamps_missing(poses, stamps):
    mapped = {messages.nanoseconds(pose.header.stamp) for pose in poses}
    return set(stamps) - mapped
