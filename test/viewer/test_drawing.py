# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the viewer draws, before a browser sees it."""

import numpy as np
import pytest

from ttt3r_ros.geometry import transform
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import Cloud, Scene, View

pytest.importorskip('viser', reason='needs the package viser')


def test_a_path_on_the_floor_is_drawn_above_the_points_of_the_floor():
    from ttt3r_ros.viewer.drawing import Drawing, Look
    from ttt3r_ros.viewer.server import LocalServer

    x, y = np.meshgrid(np.linspace(0, 10, 200), np.linspace(0, 10, 200))
    floor = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1).astype(np.float32)
    cloud = Cloud(floor, np.zeros(floor.shape, np.uint8), np.ones(len(floor), np.float32))
    poses = np.stack([transform(np.eye(3), [n, 5, 0]) for n in range(10)])
    path = Trajectory(np.arange(10), poses)
    server = LocalServer(0)
    try:
        drawing = Drawing(server)
        drawing.draw(Scene(cloud=cloud, voxel_size=0.05, path=path, finished=True), Look())
        drawn = server.scene._handle_from_node_name['/path'].points
    finally:
        server.stop()

    np.testing.assert_allclose(drawn[:, 0, :2], poses[:-1, :2, 3], atol=1e-6)
    assert (drawn[..., 2] > 0.05).all()


def test_of_the_images_those_along_the_path_so_far_are_drawn():
    from ttt3r_ros.viewer.drawing import Drawing, Look
    from ttt3r_ros.viewer.server import LocalServer

    second = 1_000_000_000
    path = Trajectory(second * np.arange(10), np.tile(np.eye(4), (10, 1, 1)))
    rgb = np.zeros((4, 4, 3), np.uint8)
    views = tuple(View(int(stamp), np.eye(4), rgb, None, 1.0) for stamp in path.stamps_ns)
    scene = Scene(path=path, views=views, finished=True)
    server = LocalServer(0)

    def drawn():
        return sum(name.startswith('/images/') for name in server.scene._handle_from_node_name)

    try:
        drawing = Drawing(server)
        drawing.draw(scene, Look())
        assert drawn() == 10
        drawing.draw(scene.until(3.5), Look())
        assert drawn() == 4
    finally:
        server.stop()
