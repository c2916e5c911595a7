# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.inputs.pose_series import PoseSeries
from ttt3r_ros.inputs.transform_tree import FixedPose, Link, TransformMissing, TransformTree

RNG = np.random.default_rng(3)


def some_pose():
    return transform(rotation_about(RNG.normal(size=3), RNG.uniform(-3, 3)), RNG.normal(size=3))


def fixed(parent, child, pose):
    return Link('/tf_static', parent, child, FixedPose(pose))


def moving(parent, child, stamps_ns):
    count = len(stamps_ns)
    translations = np.arange(3.0 * count).reshape(count, 3)
    return Link(
        '/tf',
        parent,
        child,
        PoseSeries(np.array(stamps_ns), translations, np.array([[0, 0, 0, 1.0]] * count)),
    )


def test_a_path_over_a_common_ancestor_is_the_product_of_its_links():
    map_T_odom, odom_T_base, base_T_mast, mast_T_camera, base_T_lidar = (
        some_pose() for _ in range(5)
    )
    tree = TransformTree(
        [
            fixed('mast', 'camera', mast_T_camera),
            fixed('base', 'lidar', base_T_lidar),
            fixed('map', 'odom', map_T_odom),
            fixed('base', 'mast', base_T_mast),
            fixed('odom', 'base', odom_T_base),
        ]
    )

    down = tree.look_up('map', 'camera', 0)
    up = tree.look_up('lidar', 'odom', 0)
    across = tree.look_up('lidar', 'camera', 0)

    np.testing.assert_allclose(
        down, map_T_odom @ odom_T_base @ base_T_mast @ mast_T_camera, atol=1e-12
    )
    np.testing.assert_allclose(up, np.linalg.inv(odom_T_base @ base_T_lidar), atol=1e-12)
    np.testing.assert_allclose(
        across, np.linalg.inv(base_T_lidar) @ base_T_mast @ mast_T_camera, atol=1e-12
    )
    np.testing.assert_array_equal(tree.look_up('base', 'base', 0), np.eye(4))


def test_frames_that_are_not_connected_are_both_named():
    tree = TransformTree([fixed('odom', 'base', some_pose()), fixed('a', 'camera', some_pose())])

    assert tree.path('base', 'camera') is None
    for source in ('camera', 'unheard_of'):
        with pytest.raises(TransformMissing, match=rf"'base' to '{source}' in the bag"):
            tree.look_up('base', source, 0)


def test_a_link_that_is_silent_at_the_time_is_named():
    tree = TransformTree(
        [moving('odom', 'base', [0, 1_000_000_000]), fixed('base', 'camera', some_pose())]
    )

    with pytest.raises(
        TransformMissing, match=r"'odom' to 'camera' at 5\.000000000 s.* no odom -> base near"
    ):
        tree.look_up('odom', 'camera', 5_000_000_000)


def test_frames_in_a_circle_end_the_search():
    tree = TransformTree(
        [fixed('a', 'b', some_pose()), fixed('b', 'c', some_pose()), fixed('c', 'a', some_pose())]
    )

    assert tree.path('a', 'elsewhere') is None
    assert [str(link) for link in tree.path('a', 'c')] == ['c -> a']


def test_a_frame_with_two_parents_is_found_from_each():
    wheels, vision = some_pose(), some_pose()
    tree = TransformTree([fixed('odom', 'base', wheels), fixed('vision', 'base', vision)])

    np.testing.assert_allclose(tree.look_up('odom', 'base', 0), wheels, atol=1e-12)
    np.testing.assert_allclose(tree.look_up('vision', 'base', 0), vision, atol=1e-12)
