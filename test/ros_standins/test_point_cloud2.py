# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import struct

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

FIELDS = [
    PointField(name=name, offset=offset, datatype=datatype, count=1)
    for name, offset, datatype in (
        ('x', 0, PointField.FLOAT32),
        ('y', 4, PointField.FLOAT32),
        ('z', 8, PointField.FLOAT32),
        ('ring', 12, PointField.UINT16),
    )
]


def test_points_lie_in_the_message_as_the_fields_say():
    points = np.zeros(2, point_cloud2.dtype_from_fields(FIELDS, point_step=16))
    points['x'], points['z'], points['ring'] = [1.5, 2.5], [-1, -2], [7, 8]
    cloud = point_cloud2.create_cloud(Header(frame_id='camera'), FIELDS, points, point_step=16)
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 2, 16, 32)
    assert cloud.header.frame_id == 'camera'
    assert struct.unpack_from('<fffH', bytes(cloud.data), 16) == (2.5, 0.0, -2.0, 8)


def test_positions_go_out_and_come_back():
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), points)
    np.testing.assert_array_equal(point_cloud2.read_points(cloud, ['z'])['z'], points[:, 2])


def test_an_organized_big_endian_cloud_of_padded_points_is_read_row_by_row():
    data = b''
    for row in range(2):
        for column in range(3):
            data += struct.pack('>fffH2x', column, row, 1, 10 * row + column)
    cloud = PointCloud2(
        height=2,
        width=3,
        fields=FIELDS,
        is_bigendian=True,
        point_step=16,
        row_step=48,
        data=data,
    )
    # Once only: the real package swaps the bytes in the message itself.
    points = point_cloud2.read_points(cloud, uvs=[5, 0, 1, 3])
    assert points['ring'].tolist() == [12, 0, 1, 10]


def test_points_with_a_nan_are_left_out_on_request():
    points = np.array([[1, 2, 3], [np.nan, 2, 3], [1, 2, np.nan]], np.float32)
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    assert len(point_cloud2.read_points(cloud)) == 3
    assert len(point_cloud2.read_points(cloud, skip_nans=True)) == 1
    assert len(point_cloud2.read_points(cloud, ['x', 'y'], skip_nans=True)) == 2


def test_points_that_do_not_fit_the_fields_are_refused():
    with pytest.raises(AssertionError):
        point_cloud2.create_cloud(Header(), FIELDS, np.zeros(2, np.dtype([('x', 'f8')])))
    cloud = point_cloud2.create_cloud_xyz32(Header(), np.zeros((1, 3), np.float32))
    with pytest.raises(AssertionError):
        point_cloud2.read_points(cloud, ['rgb'])


def test_a_field_of_several_values_becomes_several_columns():
    field = PointField(name='cov', offset=4, datatype=PointField.FLOAT64, count=2)
    dtype = point_cloud2.dtype_from_fields([field])
    assert dtype.names == ('cov_0', 'cov_1')
    assert [dtype.fields[name][1] for name in dtype.names] == [4, 12]
