# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import struct

import laspy
import numpy as np
import pytest

from ttt3r_ros.mapping.cloud_files import (
    CloudFileError,
    read_ply,
    write_las,
    write_pcd,
    write_ply,
)
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


def test_a_ply_file_is_read_as_it_was_written():
    rng = np.random.default_rng(0)
    cloud = VoxelCloud(
        rng.normal(size=(50, 3)).astype(np.float32),
        rng.integers(0, 256, (50, 3)).astype(np.uint8),
        rng.uniform(1, 9, 50).astype(np.float32),
    )
    file = io.BytesIO()
    write_ply(file, cloud)

    read = read_ply(io.BytesIO(file.getvalue()))

    np.testing.assert_array_equal(read.points, cloud.points)
    np.testing.assert_array_equal(read.colors, cloud.colors)
    np.testing.assert_array_equal(read.confidence, cloud.confidence)


@pytest.mark.parametrize(
    'change', [(b'float x', b'float q'), (b'vertex 1', b'vertex 9'), (b'ply', b'')]
)
def test_a_ply_file_of_another_kind_is_refused(change):
    cloud = VoxelCloud(
        np.ones((1, 3), np.float32), np.ones((1, 3), np.uint8), np.ones(1, np.float32)
    )
    file = io.BytesIO()
    write_ply(file, cloud)

    with pytest.raises(CloudFileError):
        read_ply(io.BytesIO(file.getvalue().replace(*change)))


@pytest.mark.parametrize('count', [0, 1, 500])
def test_another_library_reads_the_points_of_a_las_file(count):
    rng = np.random.default_rng(count)
    cloud = VoxelCloud(
        rng.uniform(-300, 300, (count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        rng.uniform(0, 1000, count).astype(np.float32),
    )
    file = io.BytesIO()

    write_las(file, cloud)
    file.seek(0)
    read = laspy.read(file)

    assert (str(read.header.version), read.header.point_count) == ('1.2', count)
    np.testing.assert_allclose(read.xyz, cloud.points, atol=1e-4)
    colors = np.stack([read.red, read.green, read.blue], axis=1) >> 8
    np.testing.assert_array_equal(colors, cloud.colors)
    np.testing.assert_allclose(read.intensity, cloud.confidence, atol=0.5)
    if count:
        np.testing.assert_allclose(read.header.mins, cloud.points.min(axis=0), atol=1e-4)
        np.testing.assert_allclose(read.header.maxs, cloud.points.max(axis=0), atol=1e-4)


def test_points_beyond_the_integers_of_las_are_refused():
    far = VoxelCloud(
        np.array([[3e5, 0, 0]], np.float32), np.zeros((1, 3), np.uint8), np.ones(1, np.float32)
    )
    with pytest.raises(CloudFileError, match='200 km'):
        write_las(io.BytesIO(), far)
