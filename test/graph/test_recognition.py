# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Submaps in rendered buildings: real features, exact depth."""

import numpy as np
import pytest

from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tracking.feature_depth import depth_at
from ttt3r_ros.tracking.features import begin, gray_of
from ttt3r_ros.tracking.relative_pose import RelativePose
from ttt3r_ros.tracking.tracked_pose import KeyView, View

CAMERA = CameraIntrinsics.from_field_of_view(160, 120, 70.0)
SEED = 3
# Images of a drive at 5 Hz, about 0.4 m or 15 degrees apart, and others between them.
MAPPED = (0, 3, 6, 8, 11, 15, 19, 23, 28, 32, 36, 40)
BETWEEN = (13, 17, 21)


def path(family, images):
    drive = robot_path(build_world(family, SEED), SEED, 9.0, 5.0, camera_height=0.8, tilt=0.0)
    return drive.world_T_camera[list(images)]


def key_frames(family, poses, number):
    """Return key frames with their true motions, one track."""
    images, depths = render_clip(build_world(family, SEED), CAMERA, poses)
    sure = np.diag([1e-3**2] * 3 + [5e-3**2] * 3)
    for i, (image, depth, pose) in enumerate(zip(images, depths, poses)):
        # Each key frame numbers its features anew, so the window has nothing to adjust.
        tracks = begin(gray_of(image), first_number=1000 * (number + i))
        motion = None
        if i:
            motion = RelativePose(invert(poses[i - 1]) @ pose, sure, np.ones(99, bool), 1.0)
        view = View(i, image, CAMERA.matrix, depth=depth)
        log_depth = np.log(depth_at(depth, tracks.px))
        track_T_camera = invert(poses[0]) @ pose
        yield KeyView(
            number + i, view, tracks, log_depth, motion, 'features', track_T_camera, 0.0, number
        )


@pytest.fixture(scope='module')
def stored():
    """Return a map of a building that was driven through."""
    graph = KeyFrameGraph()
    for key in key_frames('S', path('S', MAPPED), 0):
        graph.add(key)
    return graph.stored()


def test_a_robot_finds_itself_in_a_building_that_it_knows(stored):
    graph, poses = KeyFrameGraph.resumed(stored), path('S', BETWEEN)
    keys = list(key_frames('S', poses, graph.next_number))

    joined = [graph.add(key).joined for key in keys]

    assert joined == [False, True, False]
    for key, pose, near, image in zip(keys, poses, (4, 5, 6), MAPPED[4:7]):
        expected = invert(path('S', [image])[0]) @ pose
        found = invert(graph.belief.poses[near]) @ graph.belief.poses[key.number]
        # A pixel is 9 mm wide at a metre, so at the 5 m of a room half of one is 2 cm.
        np.testing.assert_allclose(found[:3, 3], expected[:3, 3], atol=0.04)
        np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=0.01)


def test_a_robot_does_not_find_itself_in_another_building(stored):
    graph = KeyFrameGraph.resumed(stored)
    for key in key_frames('M', path('M', MAPPED[:6]), graph.next_number):
        assert not graph.add(key).joined
    assert graph.belief.lost
