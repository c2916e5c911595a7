# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Replacement for sensor_msgs_py.point_cloud2: numpy arrays to and from PointCloud2.

Names and signatures are those of the real package, as far as a mapping node needs them.
"""

import array
import sys

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField

_DTYPE_OF = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}


def dtype_from_fields(fields, point_step=None):
    """
    Return the structured type of one point.

    :param fields: the PointFields; one with a count of n > 1 becomes n, named name_0, name_1.
    :param point_step: bytes of one point; by default the fields without padding after them.
    :returns: a structured dtype.
    """
    names, formats, offsets = [], [], []
    for number, field in enumerate(fields):
        dtype = _DTYPE_OF[field.datatype]
        name = field.name or f'unnamed_field_{number}'
        for index in range(field.count):
            names.append(name if field.count == 1 else f'{name}_{index}')
            formats.append(dtype)
            offsets.append(field.offset + index * dtype.itemsize)
    layout = {'names': names, 'formats': formats, 'offsets': offsets}
    if point_step is not None:
        layout['itemsize'] = point_step
    return np.dtype(layout)


def create_cloud(header, fields, points, point_step=None):
    """
    Return a cloud message.

    :param header: std_msgs/Header.
    :param fields: the PointFields.
    :param points: (N,) of the fields' structured type, (N, number of fields) of one type, or
        any iterable of points. Organized clouds are not supported.
    :param point_step: bytes of one point; by default the fields without padding after them.
    :returns: an unorganized PointCloud2, is_dense false: it does not look for NaN.
    """
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(point) for point in points], dtype=dtype)
    elif points.dtype.names is None:
        points = unstructured_to_structured(points, dtype=dtype)
    if points.dtype != dtype:
        raise AssertionError(f'points are {points.dtype}, the fields say {dtype}')
    if points.ndim != 1:
        raise AssertionError(f'points have the shape {points.shape}, needed is a flat array')
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(points)).cast('B'))
    cloud = PointCloud2(
        header=header,
        height=1,
        width=len(points),
        is_dense=False,
        is_bigendian=sys.byteorder != 'little',
        fields=fields,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * len(points),
    )
    cloud.data = data  # the constructor would copy it
    return cloud


def create_cloud_xyz32(header, points):
    """
    Return a cloud message of positions only.

    :param header: std_msgs/Header.
    :param points: (N, 3), metres, in the frame of the header.
    :returns: a PointCloud2 with the fields x, y, z, float32.
    """
    fields = [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in (('x', 0), ('y', 4), ('z', 8))
    ]
    return create_cloud(header, fields, points)


def read_points(cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False):
    """
    Return the points of a cloud.

    :param cloud: PointCloud2.
    :param field_names: which fields; by default all.
    :param skip_nans: omit points with a NaN in a chosen field.
    :param uvs: indices of the points; by default all.
    :param reshape_organized_cloud: return (width, height) as the real package does.
    :returns: (N,) of a structured type; bytes between two rows are not expected.
    """
    if reshape_organized_cloud:
        raise NotImplementedError('this stand-in reads clouds as flat arrays')
    dtype = dtype_from_fields(cloud.fields, point_step=cloud.point_step)
    if cloud.is_bigendian != (sys.byteorder != 'little'):
        dtype = dtype.newbyteorder()
    points = np.ndarray(cloud.height * cloud.width, dtype, buffer=cloud.data)
    if field_names is not None:
        missing = set(field_names) - set(dtype.names)
        if missing:
            raise AssertionError(f'the cloud has no field {", ".join(sorted(missing))}')
        points = points[list(field_names)]
    if uvs is not None:
        points = points[np.asarray(uvs)]
    if skip_nans:
        finite = np.ones(len(points), bool)
        for name in points.dtype.names:
            finite &= ~np.isnan(points[name])
        points = points[finite]
    return points


def read_points_numpy(
    cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False
):
    """
    Return the points of a cloud as a plain array; the chosen fields must have one type.

    :param cloud: PointCloud2.
    :param field_names: which fields; by default all.
    :param skip_nans: omit points with a NaN in a chosen field.
    :param uvs: indices of the points, as in read_points.
    :param reshape_organized_cloud: as in read_points.
    :returns: (N, number of fields).
    """
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    kinds = {points.dtype[name] for name in points.dtype.names}
    if len(kinds) != 1:
        raise AssertionError(f'the fields have several types: {points.dtype}')
    return structured_to_unstructured(points)
