# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Point clouds as binary PLY, PCD and LAS files."""

from __future__ import annotations

import re
import struct
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.voxels import VoxelCloud

VERTEX = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('red', 'u1'),
        ('green', 'u1'),
        ('blue', 'u1'),
        ('confidence', '<f4'),
    ]
)
PCD_POINT = np.dtype([(name, '<f4') for name in ('x', 'y', 'z', 'rgb', 'confidence')])
# Point format 2 of LAS 1.2: coordinates in units of LAS_SCALE, colours of 16 bit.
LAS_POINT = np.dtype(
    [
        ('x', '<i4'),
        ('y', '<i4'),
        ('z', '<i4'),
        ('intensity', '<u2'),
        ('returns', 'u1'),
        ('classification', 'u1'),
        ('scan_angle', 'i1'),
        ('user_data', 'u1'),
        ('source', '<u2'),
        ('red', '<u2'),
        ('green', '<u2'),
        ('blue', '<u2'),
    ]
)
LAS_HEADER = struct.Struct('<4sHH16sBB32s32sHHHIIBHI5I12d')
LAS_SCALE = 1e-4  # metres
ONE_RETURN = 0b001001  # the first of one
PLY_NAMES = {'<f4': 'float', '|u1': 'uchar'}


class CloudFileError(UserError):
    """A file has no readable cloud."""


def write_ply(file: IO[bytes], cloud: VoxelCloud) -> None:
    """
    Write a cloud with colours and confidence.

    :param file: open for binary writing.
    :param cloud: may be empty.
    """
    vertices = _vertices(cloud)
    file.write(_ply_header(len(vertices)) + b'end_header\n')
    file.write(vertices.tobytes())


def read_ply(file: IO[bytes]) -> VoxelCloud:
    """
    Read a cloud that `write_ply` wrote.

    :param file: open for binary reading.
    :raises CloudFileError: when it is another kind of PLY, or damaged.
    """
    header, end, body = file.read().partition(b'end_header\n')
    count = re.search(rb'^element vertex (\d+)$', header, re.MULTILINE)
    if not end or count is None or header != _ply_header(int(count[1])):
        raise CloudFileError('not a PLY file as this program writes them')
    if len(body) != int(count[1]) * VERTEX.itemsize:
        raise CloudFileError(f'the PLY file holds {len(body)} bytes of {int(count[1])} points')
    vertices = np.frombuffer(body, VERTEX)
    return VoxelCloud(
        np.stack([vertices[name] for name in ('x', 'y', 'z')], axis=1),
        np.stack([vertices[name] for name in ('red', 'green', 'blue')], axis=1),
        vertices['confidence'].copy(),
    )


def _ply_header(count: int) -> bytes:
    """Return all lines of the header but the last one."""
    properties = [f'property {PLY_NAMES[VERTEX[name].str]} {name}' for name in VERTEX.names or ()]
    lines = [
        'ply',
        'format binary_little_endian 1.0',
        'comment ttt3r_ros: metres, map frame (x forward, y left, z up)',
        f'element vertex {count}',
        *properties,
        '',
    ]
    return '\n'.join(lines).encode()


def write_pcd(file: IO[bytes], cloud: VoxelCloud) -> None:
    """
    Write a cloud with colours and confidence for PCL.

    :param file: open for binary writing.
    :param cloud: may be empty.
    """
    vertices = _vertices(cloud)
    points = np.empty(len(vertices), PCD_POINT)
    for name in ('x', 'y', 'z', 'confidence'):
        points[name] = vertices[name]
    red, green, blue = (vertices[name].astype('<u4') for name in ('red', 'green', 'blue'))
    points['rgb'] = (red << 16 | green << 8 | blue).view('<f4')
    header = [
        '# .PCD v0.7 - ttt3r_ros: metres, map frame (x forward, y left, z up)',
        'VERSION 0.7',
        'FIELDS ' + ' '.join(PCD_POINT.names or ()),
        'SIZE 4 4 4 4 4',
        'TYPE F F F F F',
        'COUNT 1 1 1 1 1',
        f'WIDTH {len(points)}',
        'HEIGHT 1',
        'VIEWPOINT 0 0 0 1 0 0 0',
        f'POINTS {len(points)}',
        'DATA binary',
    ]
    file.write('\n'.join([*header, '']).encode())
    file.write(points.tobytes())


def write_las(file: IO[bytes], cloud: VoxelCloud) -> None:
    """
    Write a cloud as LAS 1.2; the confidence is the intensity, at most 65535.

    :param file: open for binary writing.
    :param cloud: may be empty.
    :raises CloudFileError: when a point is farther from the origin than the format allows.
    """
    steps = np.rint(cloud.points.astype(np.float64) / LAS_SCALE)
    if np.abs(steps).max(initial=0) > np.iinfo(np.int32).max:
        raise CloudFileError('LAS holds points up to 200 km from the origin')
    points = np.zeros(len(steps), LAS_POINT)
    points['x'], points['y'], points['z'] = steps.T
    points['intensity'] = np.rint(np.minimum(cloud.confidence, 65535))
    points['returns'] = ONE_RETURN
    for name, column in zip(('red', 'green', 'blue'), cloud.colors.T):
        points[name] = column.astype(np.uint16) * 257
    file.write(_las_header(steps * LAS_SCALE))
    file.write(points.tobytes())


def _las_header(places: Array) -> bytes:
    count = len(places)
    low, high = (places.min(axis=0), places.max(axis=0)) if count else (np.zeros(3), np.zeros(3))
    bounds = [number for pair in zip(high.tolist(), low.tolist()) for number in pair]
    return LAS_HEADER.pack(
        b'LASF', 0, 0, bytes(16), 1, 2, b'ttt3r_ros', b'ttt3r_ros', 0, 0, LAS_HEADER.size,
        LAS_HEADER.size, 0, 2, LAS_POINT.itemsize, count, count, 0, 0, 0, 0,
        *[LAS_SCALE] * 3, *[0.0] * 3, *bounds,
    )  # fmt: skip


def _vertices(cloud: VoxelCloud) -> NDArray[np.void]:
    vertices = np.empty(len(cloud.points), VERTEX)
    for name, column in zip(('x', 'y', 'z'), cloud.points.T):
        vertices[name] = column
    for name, column in zip(('red', 'green', 'blue'), cloud.colors.T):
        vertices[name] = column
    vertices['confidence'] = cloud.confidence
    return vertices
