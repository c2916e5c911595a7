# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The points of a map for users of Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ttt3r_ros.mapping.files import write_cloud
from ttt3r_ros.mapping.voxels import VoxelCloud


@dataclass(frozen=True, eq=False)
class Cloud(VoxelCloud):
    """
    The points of a map, one a voxel.

    points: (V, 3) float32, metres, map frame (x forward, y left, z up). colors: (V, 3) uint8.
    confidence: (V,) float32, summed over all images.
    """

    @classmethod
    def of(cls, cloud: VoxelCloud) -> Cloud:
        """Return the points of a map."""
        return cls(cloud.points, cloud.colors, cloud.confidence)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.points)

    def save(self, path: str | Path) -> None:
        """
        Write the points, in the format of the suffix.

        :param path: its folder is made.
        :raises UserError: when the format is unknown, the cloud empty, or the disk full.
        """
        write_cloud(Path(path), self)
