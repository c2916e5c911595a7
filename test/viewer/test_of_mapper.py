# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from ttt3r_ros.geometry import IDENTITY, Similarity, transform
from ttt3r_ros.graph.additions import KeyFrames
from ttt3r_ros.mapping.parts import PartedVoxels
from ttt3r_ros.mapping.voxels import VoxelCloud, VoxelPoints
from ttt3r_ros.viewer.of_mapper import key_places, MapState

HERE = Similarity(IDENTITY)
SIZE = 0.1


def row(first, end):
    """Return points in the middles of the voxels of a row along x."""
    points = (np.array([[x, 0, 0] for x in range(first, end)], np.float32) + 0.5) * SIZE
    count = len(points)
    cloud = VoxelCloud(points, np.full((count, 3), 9, np.uint8), np.full(count, 2, np.float32))
    return VoxelPoints.of(cloud, SIZE)


def test_a_point_is_as_old_as_the_first_key_frame_that_saw_it():
    voxels, shares = PartedVoxels(SIZE), [(4, row(0, 60)), (7, row(40, 100)), (-1, row(98, 110))]
    placed = tuple((number, points.placed(HERE)) for number, points in shares)
    for _, points in placed:
        voxels.add(points)
    cells = tuple((number, points.cells) for number, points in placed)

    state = MapState(voxels.whole(), cells, {4: 1.5, 7: 3.0, 9: 0.5})
    cloud = state.cloud()

    x = np.floor(cloud.points[:, 0] / SIZE).astype(int)
    ages = dict(zip(x.tolist(), cloud.seen_s.tolist()))
    # What a loaded map has is of key frames without a time: as old as can be.
    expected = dict.fromkeys(range(60), 1.5) | dict.fromkeys(range(60, 98), 3.0)
    assert ages == expected | dict.fromkeys(range(98, 110), 0.0)


def test_loops_lead_from_key_frame_to_key_frame():
    poses = {n: transform(np.eye(3), [n, 0, 0]) for n in (2, 5, 9)}

    places = key_places(KeyFrames(poses, ((2, 9),)))

    np.testing.assert_allclose(places.places[:, 0], [2, 5, 9], atol=1e-6)
    np.testing.assert_allclose(places.loops[0, :, 0], [2, 9], atol=1e-6)
    assert key_places(KeyFrames({}, ())).loops.shape == (0, 2, 3)
