# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the worker thread owns: the mapper, the map, and how the map lies to the odometry."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.geometry import Array, BODY_T_OPTICAL, invert
from ttt3r_ros.graph.odometry import OdometryScale
from ttt3r_ros.image_formats import Pixels
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.occupancy import OccupancyGrid
from ttt3r_ros.mapping.storage import MapFileError, resumed, StoredMap
from ttt3r_ros.mapping.voxels import VoxelMap
from ttt3r_ros.model.image_input import ImageFit
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tracking.frame import MappedFrame
from ttt3r_ros.tracking.scale import ScaleEstimate
from ttt3r_ros.tracking.tracker import OnlineMapper

IDENTITY = np.eye(4)
IDENTITY.setflags(write=False)


@dataclass(frozen=True, eq=False)
class LocatedFrame:
    """
    What one image gave, and where the robot stood.

    frame: in the map. fit: from the original image to the one that the network saw.
    intrinsics: of the original image, where they are known. map_T_base, map_T_odom,
    odom_T_base: (4, 4). odometry_scale: from lengths of the map to those of somebody's odometry.
    rescaled: by which lengths are multiplied from the next image on, mostly 1.
    """

    frame: MappedFrame
    fit: ImageFit
    intrinsics: CameraIntrinsics | None
    map_T_base: Array
    map_T_odom: Array
    odom_T_base: Array
    odometry_scale: ScaleEstimate
    rescaled: float

    def camera(self) -> CameraIntrinsics:
        """
        Give the intrinsics of the image that the network saw.

        :raises CalibrationError: when the estimated focal length is nonsense.
        """
        camera = self.intrinsics
        if camera is None:
            width, height = self.fit.original
            focal, centre = self.frame.focal_px, (0.5 * (width - 1), 0.5 * (height - 1))
            camera = CameraIntrinsics(width, height, focal, focal, *centre)
        return self.fit.intrinsics(camera.without_distortion())


class Session:
    """
    Map images of a robot's camera, from the first one on or from a map that was loaded.

    At the first image map and odometry agree, so `map_T_odom` begins as the identity. A unit of
    length that was taken over from the odometry outlives a reset: it is the network's, with this
    camera.

    follows_odometry_scale: whether it is taken over, when it differs clearly.
    """

    def __init__(self, mapper: OnlineMapper, settings: MappingSettings) -> None:
        """
        Begin with an empty map.

        :param mapper: with nothing in its memory.
        :param settings: say what is kept.
        """
        self.mapper = mapper
        self.settings = settings
        self.localization_only = False
        self.follows_odometry_scale = True
        self._unit = 1.0
        self._voxels: VoxelMap
        self._grid: OccupancyGrid
        self._newest: LocatedFrame | None
        self._start_map_T_base: Array | None
        self._map_T_odom: Array
        self.reset()

    @property
    def frames(self) -> int:
        """Give the number of images mapped since the reset."""
        return self.mapper.snapshot().frames

    @property
    def voxels(self) -> VoxelMap:
        """Give the map."""
        return self._voxels

    @property
    def grid(self) -> OccupancyGrid:
        """Give the plan of the floor."""
        return self._grid

    @property
    def map_T_odom(self) -> Array:
        """Give (4, 4) where the odometry lies in the map."""
        return self._map_T_odom

    def reset(self) -> None:
        """Forget everything but the unit of length."""
        self.mapper.reset()
        self.mapper.rescale(self._unit)
        self._odometry_scale = OdometryScale()
        self.localization_only = False
        self._voxels = VoxelMap(self.settings.voxel_size, self.settings.max_voxels)
        self._grid = OccupancyGrid(self.settings)
        self._newest = None
        self._unmerged: tuple[MappedFrame, Array | None] | None = None
        self._start_map_T_base = None
        self._map_T_odom = IDENTITY

    def place_base(self, map_T_base: Array) -> None:
        """
        Believe that the robot stood there at the newest image, or will at the first one.

        :param map_T_base: (4, 4).
        """
        newest = self._newest
        if newest is None:
            self._start_map_T_base = map_T_base
            return
        self._odometry_scale.interrupt()
        base_T_camera = invert(newest.map_T_base) @ newest.frame.map_T_camera
        self.mapper.place_camera(map_T_base @ base_T_camera)
        self._map_T_odom = map_T_base @ invert(newest.odom_T_base)
        self._newest = replace(
            newest,
            frame=replace(newest.frame, map_T_camera=map_T_base @ base_T_camera),
            map_T_base=map_T_base,
            map_T_odom=self._map_T_odom,
        )

    def map_image(
        self,
        rgb: Pixels,
        stamp_ns: int,
        intrinsics: CameraIntrinsics | None,
        base_T_camera: Array | None,
        odom_T_base: Array | None,
    ) -> LocatedFrame:
        """
        Map one image; `merge` then puts its points into the map.

        :param rgb: (H, W, 3) uint8.
        :param stamp_ns: nanoseconds.
        :param intrinsics: of the image, where they are known.
        :param base_T_camera: (4, 4), where the camera sits on the robot; None: it is alone, and
            the base is the camera.
        :param odom_T_base: (4, 4), somebody's odometry at the stamp; None: the map is the
            odometry.
        :raises UserError: of the mapper; the image leaves no trace then.
        """
        floor_T_camera = base_T_camera
        start_map_T_base = IDENTITY
        if base_T_camera is None:
            base_T_camera, start_map_T_base = IDENTITY, BODY_T_OPTICAL
        place = self._place_to_begin(odom_T_base, start_map_T_base)
        write = not (self.localization_only and self.frames)
        frame = self.mapper.add_frame(rgb, stamp_ns, intrinsics, write=write)
        if place is not None:
            # Exactly there, whatever small motion the network sees in a first image.
            self.mapper.place_camera(place @ base_T_camera)
            frame = replace(frame, map_T_camera=place @ base_T_camera)
        map_T_base = frame.map_T_camera @ invert(base_T_camera)
        rescaled = 1.0
        if odom_T_base is None:
            odom_T_base = invert(self._map_T_odom) @ map_T_base
        else:
            self._map_T_odom = map_T_base @ invert(odom_T_base)
            self._odometry_scale.add(map_T_base, odom_T_base)
            rescaled = self._take_over_scale()
        self._unmerged = (frame, floor_T_camera) if write else None
        self._newest = LocatedFrame(
            frame,
            self.mapper.fit(rgb.shape[1], rgb.shape[0]),
            intrinsics,
            map_T_base,
            self._map_T_odom,
            odom_T_base,
            self._odometry_scale.estimate(),
            rescaled,
        )
        return self._newest

    def _take_over_scale(self) -> float:
        """Multiply lengths by what the odometry says; gives the factor."""
        if not self.follows_odometry_scale:
            return 1.0
        factor = self._odometry_scale.estimate().chosen('auto')
        if factor != 1.0:
            self._unit *= factor
            self.mapper.rescale(factor)
            self._odometry_scale.rescale(factor)
        return factor

    def merge(self) -> None:
        """Put the points of the newest image into the map; apart, for nobody waits for it."""
        unmerged, self._unmerged = self._unmerged, None
        if unmerged is not None:
            frame, floor_T_camera = unmerged
            kept = frame.kept(self.settings.confidence_threshold, self.settings.max_range)
            confidence = np.where(kept, frame.confidence, np.float32(0))  # none: left out
            self._voxels.add(frame.points_map(), frame.colors, confidence)
            self._grid.add(frame, kept, floor_T_camera)

    def look_ahead(self) -> None:
        """Do what the next image will need and nobody waits for yet."""
        if not self.localization_only:
            self.mapper.begin_due_segment()

    def _place_to_begin(self, odom_T_base: Array | None, start_map_T_base: Array) -> Array | None:
        """
        Say where the robot has to be at this image; None: where the network sees it.

        :param start_map_T_base: where at the first one, when neither the odometry nor an
            initial pose says so.
        """
        if self._newest is not None:
            return None
        if self._start_map_T_base is not None:
            return self._start_map_T_base
        if self.frames:  # of a map that was loaded
            return None
        return start_map_T_base if odom_T_base is None else odom_T_base

    def stored(self) -> StoredMap:
        """Give all that a map file holds."""
        mapper = self.mapper
        return StoredMap(
            self._voxels.points(),
            mapper.network_name,
            mapper.snapshot(),
            self._grid.occupancy() if len(self._grid) else None,
        )

    def resume(self, stored: StoredMap) -> None:
        """
        Go on with a map that was saved; a map that does not fit changes nothing.

        :param stored: as read.
        :raises MapFileError: when other weights made it.
        :raises OccupancyError: when the cells of its grid have another size.
        """
        network = self.mapper.network_name
        if stored.network != network:
            raise MapFileError(
                f'the map was made with the weights {stored.network}, in use are {network}: '
                'start the node with the same checkpoint'
            )
        grid = OccupancyGrid(self.settings)
        if stored.occupancy is not None and self.settings.occupancy:
            grid.resume(stored.occupancy)
        before = self.mapper.snapshot()
        self.mapper.reset()
        fresh = self.mapper.snapshot()
        try:
            snapshot = fresh if stored.snapshot is None else resumed(stored.snapshot, fresh)
        except MapFileError:
            self.mapper.restore(before)
            raise
        self.reset()
        self.mapper.restore(snapshot)
        self._voxels.add(stored.cloud.points, stored.cloud.colors, stored.cloud.confidence)
        self._grid = grid
