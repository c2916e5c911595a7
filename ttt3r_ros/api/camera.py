# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loop over the images of one's own camera."""

from __future__ import annotations

from concurrent.futures import Executor
import logging
from pathlib import Path
import time

from ttt3r_ros.api.chosen import chosen_intrinsics, chosen_settings, Setting
from ttt3r_ros.api.cloud import Cloud
from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.image_fit import BadImage
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping import files
from ttt3r_ros.mapping.image_mapper import ImageMapper
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

LOGGER = logging.getLogger('ttt3r_ros')


class CameraMapper:
    """
    Map the images of one camera as they come.

    The checkpoint is loaded and its advice followed, the calibration fitted to the images, and an
    image that would harm the map is refused.

    refusal: why the newest image was refused, empty where it was mapped. refused: how many were.
    """

    def __init__(
        self,
        intrinsics: CameraIntrinsics | str | Path | None = None,
        executor: Executor | None = None,
        **settings: Setting,
    ) -> None:
        """
        Load the network.

        :param intrinsics: of all images, or the file with them; None: the focal length is
            estimated.
        :param executor: computes loops and corrections beside the images, one after the other;
            None: `add` does, and a run can be repeated to the bit.
        :param settings: by the name of their option, such as checkpoint='512', voxel_size=0.02.
        :raises UserError: when a setting, the calibration or the checkpoint cannot be used.
        """
        model, mapping = chosen_settings(settings)
        self._images = ImageMapper(model, mapping, chosen_intrinsics(intrinsics), executor)
        for note in self._images.notes:
            LOGGER.warning('%s', note)
        self.refusal = ''
        self.refused = 0

    def add(
        self,
        rgb: Pixels,
        seconds: float | None = None,
        base_T_camera: Array | None = None,
        odom_T_base: Array | None = None,
    ) -> LocatedFrame | None:
        """
        Map one image.

        :param rgb: (H, W, 3) uint8, red first; OpenCV has blue first: bgr[..., ::-1].
        :param seconds: time of the image, of any clock that does not go back; None: now.
        :param base_T_camera: (4, 4), metres, where the camera is mounted on a robot, or None.
        :param odom_T_base: (4, 4), metres, odometry of the robot at that time, or None.
        :returns: pose and points; None where the image is refused, see `refusal`.
        :raises UserError: when all images would be refused: the first one has another shape than
            an image or than the calibration, or memory is short.
        """
        stamp_ns = time.monotonic_ns() if seconds is None else round(seconds * NANOSECONDS)
        try:
            located = self._images.map(
                rgb, stamp_ns, base_T_camera=base_T_camera, odom_T_base=odom_T_base
            )
        except UserError as error:
            first = not self.mapper.frames
            if self._images.is_fatal(error) or (first and isinstance(error, BadImage)):
                raise
            if not self.refusal:  # of several in a row, the first one has the reason
                LOGGER.warning('image refused: %s', error)
            self.refusal = str(error)
            self.refused += 1
            return None
        self.refusal = ''
        return located

    @property
    def mapper(self) -> Mapper:
        """Return the mapper behind it, with all that the node uses."""
        return self._images.mapper

    @property
    def cloud(self) -> Cloud:
        """Return the points of the map so far."""
        return Cloud.of(self.mapper.map.voxels.points())

    @property
    def trajectory(self) -> Trajectory:
        """Return the path of the camera by the newest estimate, map_T_camera."""
        return self.mapper.trail.trajectory()

    def save_map(self, path: str | Path) -> None:
        """
        Save the map for `load_map`, `ttt3r map --load-map` and the node.

        :raises UserError: when it is empty or cannot be written.
        """
        files.save(self.mapper, Path(path))

    def load_map(self, path: str | Path) -> None:
        """
        Continue with a saved map; the camera is found in it by what it sees.

        :raises UserError: when it cannot be used; nothing has changed then.
        """
        files.load(self.mapper, Path(path))

    def reset(self) -> None:
        """Begin with an empty map."""
        self.mapper.reset()
        self.refusal, self.refused = '', 0
