# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import struct

import numpy as np

from ttt3r_ros.mapping.cloud_files import write_pcd, write_ply
from ttt3r_ros.mapping.voxels import VoxelCloud


def test_the_header_describes_the_bytes_that_follow():
    cloud = VoxelCloud(
        np.array([[1, 2, 3], [-4, 5.5, 6]], np.float32),
        np.array([[255, 0, 7], [1, 2, 3]], np.uint8),
        np.array([1.5, 20], np.float32),
    )
    file = io.BytesIO()

    write_ply(file, cloud)

    header, body = file.getvalue().split(b'end_header\n')
    assert header.decode().splitlines() == [
        'ply',
        'format binary_little_endian 1.0',
        'comment ttt3r_ros: metres, map frame (x forward, y left, z up)',
        'element vertex 2',
        'property float x',
        'property float y',
        'property float z',
        'property uchar red',
        'property uchar green',
        'property uchar blue',
        'property float confidence',
    ]
    assert list(struct.iter_unpack('<fffBBBf', body)) == [
        (1, 2, 3, 255, 0, 7, 1.5),
        (-4, 5.5, 6, 1, 2, 3, 20),
    ]


def test_an_empty_map_is_a_valid_file():
    empty = VoxelCloud(
        np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), np.empty(0, np.float32)
    )
    file = io.BytesIO()

    write_ply(file, empty)

    assert b'element vertex 0\n' in file.getvalue()
    assert file.getvalue().endswith(b'end_header\n')


def test_a_pcd_file_holds_the_same_points_with_packed_colours():
    cloud = VoxelCloud(
        np.array([[1, 2, 3], [-4, 5.5, 6]], np.float32),
        np.array([[255, 0, 7], [1, 2, 3]], np.uint8),
        np.array([1.5, 20], np.float32),
    )
    file = io.BytesIO()

    write_pcd(file, cloud)

    header, body = file.getvalue().split(b'DATA binary\n')
    lines = dict(line.split(' ', 1) for line in header.decode().splitlines()[1:])
    assert lines['FIELDS'] == 'x y z rgb confidence'
    assert lines['POINTS'] == lines['WIDTH'] == '2'
    assert list(struct.iter_unpack('<fffIf', body)) == [
        (1, 2, 3, 0xFF0007, 1.5),
        (-4, 5.5, 6, 0x010203, 20),
    ]
