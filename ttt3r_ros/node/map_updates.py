# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The parts of the map that have changed, as messages and back; functions without state.

A point has the fields of all clouds, and which cube of the map it belongs to. A cube in a message
replaces what was there; an empty one has a single row without a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.node.messages import CLOUD_FIELDS, packed_colors, voxel_cloud

Corner = tuple[int, int, int]

# Rows of one message at most, unless a single part has more: 10 MB.
MOST_ROWS = 250_000

_PLACES = ('part_x', 'part_y', 'part_z')
_COUNTS = ('map', 'generation')
UPDATE_FIELDS = [
    *CLOUD_FIELDS,
    *(
        PointField(name=name, offset=20 + 4 * i, datatype=PointField.INT32, count=1)
        for i, name in enumerate(_PLACES)
    ),
    *(
        PointField(name=name, offset=32 + 4 * i, datatype=PointField.UINT32, count=1)
        for i, name in enumerate(_COUNTS)
    ),
]
UPDATE_POINT = np.dtype(
    [
        *((field.name, np.float32) for field in CLOUD_FIELDS),
        *((name, np.int32) for name in _PLACES),
        *((name, np.uint32) for name in _COUNTS),
    ]
)


@dataclass(frozen=True, eq=False)
class MapUpdate:
    """
    Parts of a map that have changed.

    map_number: rises when a map begins; what is known of another one is void. generation: counts
    the messages of a map from 1; where one is missing, only a new subscription has the whole map.
    parts: points by the least corner of their cube, in voxels, maybe none.
    """

    map_number: int
    generation: int
    parts: Mapping[Corner, VoxelCloud]


def in_messages(parts: Mapping[Corner, VoxelCloud]) -> Iterator[dict[Corner, VoxelCloud]]:
    """
    Divide parts among messages of bounded size.

    :param parts: points by their corners.
    """
    chosen: dict[Corner, VoxelCloud] = {}
    rows = 0
    for corner, cloud in parts.items():
        if chosen and rows + len(cloud.points) > MOST_ROWS:
            yield chosen
            chosen, rows = {}, 0
        chosen[corner] = cloud
        rows += max(1, len(cloud.points))
    if chosen:
        yield chosen


def map_update(update: MapUpdate, header: Header) -> PointCloud2:
    """
    Return a message with parts of the map.

    :param update: at least one part.
    """
    rows = [max(1, len(cloud.points)) for cloud in update.parts.values()]
    records = np.zeros(sum(rows), UPDATE_POINT)
    for name, column in zip(_PLACES, np.array([*update.parts]).T):
        records[name] = np.repeat(column, rows)
    records['map'], records['generation'] = update.map_number, update.generation
    for begin, cloud in zip(np.cumsum(rows) - rows, update.parts.values()):
        part = records[begin : begin + max(1, len(cloud.points))]
        if not len(cloud.points):
            part['x'] = part['y'] = part['z'] = np.nan
            continue
        for name, column in zip('xyz', cloud.points.T):
            part[name] = column
        part['rgb'] = packed_colors(cloud.colors)
        part['confidence'] = cloud.confidence
    message = point_cloud2.create_cloud(header, UPDATE_FIELDS, records)
    message.is_dense = all(len(cloud.points) for cloud in update.parts.values())
    return message


def read_map_update(message: PointCloud2) -> MapUpdate:
    """
    Read a message that `map_update` made.

    :raises AssertionError: when it lacks a field.
    """
    records = point_cloud2.read_points(message, [field.name for field in UPDATE_FIELDS])
    corners = np.stack([records[name] for name in _PLACES], axis=1)
    begins = np.flatnonzero(np.append(True, (np.diff(corners, axis=0) != 0).any(axis=1)))
    cloud, parts = voxel_cloud(message), {}
    for begin, end in zip(begins, np.append(begins[1:], len(corners))):
        x, y, z = corners[begin].tolist()
        rows = slice(begin, end if np.isfinite(records['x'][begin]) else begin)
        parts[x, y, z] = VoxelCloud(cloud.points[rows], cloud.colors[rows], cloud.confidence[rows])
    return MapUpdate(int(records['map'][0]), int(records['generation'][0]), parts)
