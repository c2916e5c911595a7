# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Point clouds as binary PLY files."""

from __future__ import annotations

from typing import IO

import numpy as np

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
PLY_NAMES = {'<f4': 'float', '|u1': 'uchar'}


def write_ply(file: IO[bytes], cloud: VoxelCloud) -> None:
    """
    Write a cloud with colours and confidence.

    :param file: open for binary writing.
    :param cloud: may be empty.
    """
    vertices = np.empty(len(cloud.points), VERTEX)
    for name, column in zip(('x', 'y', 'z'), cloud.points.T):
        vertices[name] = column
    for name, column in zip(('red', 'green', 'blue'), cloud.colors.T):
        vertices[name] = column
    vertices['confidence'] = cloud.confidence
    properties = [f'property {PLY_NAMES[VERTEX[name].str]} {name}' for name in VERTEX.names or ()]
    header = [
        'ply',
        'format binary_little_endian 1.0',
        'comment ttt3r_ros: metres, map frame (x forward, y left, z up)',
        f'element vertex {len(vertices)}',
        *properties,
        'end_header',
    ]
    file.write('\n'.join([*header, '']).encode())
    file.write(vertices.tobytes())
