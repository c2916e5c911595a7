# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map itself: voxels and an occupancy grid."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.graph.back_end import LocatedFrame
from ttt3r_ros.mapping.occupancy import Occupancy, OccupancyGrid
from ttt3r_ros.mapping.voxels import VoxelCloud, VoxelMap
from ttt3r_ros.settings import MappingSettings


class WorldMap:
    """
    Merge the points of all images, in bounded memory.

    voxels: coloured points. grid: what is free, occupied and unknown on the floor.
    """

    def __init__(self, settings: MappingSettings) -> None:
        """Begin with an empty map."""
        self._settings = settings
        self.voxels = VoxelMap(settings.map.voxel_size, settings.map.max_voxels)
        self.grid = OccupancyGrid(settings.occupancy, settings.camera.height)

    def change(self, settings: MappingSettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them; size and number of voxels and cells stay as they are.
        """
        self._settings = settings

    def add(self, located: LocatedFrame) -> None:
        """
        Add the points of one image.

        :param located: result for the image, in metres of the map.
        """
        pointmap, bounds = located.pointmap, self._settings.map
        good = pointmap.reliable(bounds.confidence_threshold, bounds.max_range)
        confidence = np.where(good, pointmap.confidence, np.float32(0))  # none: left out
        self.voxels.add(located.points_map(), pointmap.colors, confidence)
        self.grid.add(pointmap, good, located.map_T_camera, located.base_T_camera)

    def resume(self, cloud: VoxelCloud, occupancy: Occupancy | None) -> None:
        """
        Continue with a saved map; this one must be empty.

        :param occupancy: None: the saved map has no grid.
        :raises OccupancyError: when the cells of the grid have another size.
        """
        if occupancy is not None and self._settings.occupancy.enabled:
            self.grid.resume(occupancy)
        self.voxels.add(cloud.points, cloud.colors, cloud.confidence)
