# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform
from ttt3r_ros.graph.mount import MountCheck

MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])


def turned(axis, degrees):
    return transform(rotation_about(axis, np.radians(degrees)), [0, 0, 0])


def drive(in_tf, steps=40, noise=0.0):
    """Drive ahead and turn with a camera on MAST, which TF has elsewhere; return the check."""
    check, rng = MountCheck(), np.random.default_rng(0)
    for k in range(steps):
        turn = 15.0 if k % 2 else 0.0
        moved = transform(rotation_about([0, 0, 1], np.radians(turn)), [0.3, 0, 0])
        shift = transform(
            rotation_about([1, 2, 3], noise * rng.normal()), 0.3 * noise * rng.normal(size=3)
        )
        check.add(invert(MAST) @ moved @ MAST @ shift, invert(in_tf) @ moved @ in_tf)
    return check


@pytest.mark.parametrize('noise', [0.0, 0.1])
def test_a_camera_that_is_where_tf_has_it_is_not_doubted(noise):
    assert drive(MAST, noise=noise).doubt == ''
    assert drive(MAST @ turned([0, 1, 0], 10.0), noise=noise).doubt == ''


@pytest.mark.parametrize(
    ('in_tf', 'wrong'),
    [
        (MAST @ turned([0, 1, 0], 90.0), 'drives 90 degrees'),
        (MAST @ turned([0, 1, 0], 180.0), 'drives 180 degrees'),
        (MAST @ turned([0, 0, 1], 180.0), 'turns about an axis 180 degrees'),
        (MAST @ turned([0, 0, 1], 90.0), 'turns about an axis 90 degrees'),
        (transform(np.eye(3), MAST[:3, 3]), 'drives 90 degrees'),  # x ahead: no optical frame
    ],
)
@pytest.mark.parametrize('noise', [0.0, 0.1])
def test_a_camera_that_is_mounted_otherwise_is_told_by_its_angle(in_tf, wrong, noise):
    doubt = drive(in_tf, noise=noise).doubt
    angle = float(wrong.rpartition(' degrees')[0].split()[-1])
    said = [float(part.split()[-1]) for part in doubt.split(' degrees')[:-1]]
    assert min(abs(one - angle) for one in said) <= (0.5 if noise == 0.0 else 12.0)
    assert wrong.split(f' {angle:.0f}')[0] in doubt
    assert 'optical' in doubt
    assert 'camera.rotation' in doubt  # where the picture is upside down


def test_few_motions_tell_nothing_yet():
    assert drive(MAST @ turned([0, 1, 0], 180.0), steps=8).doubt == ''
