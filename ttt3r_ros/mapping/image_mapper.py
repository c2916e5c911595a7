# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A mapper with its network and its calibration: images in, as a camera or a file gives them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
import torch

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.image_fit import BadImage
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, intrinsics_for
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.elsewhere import NetworkLost
from ttt3r_ros.model.predictor import chosen_gain_scale
from ttt3r_ros.serving.choice import chosen_predictor, memory_here
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.tracking.observation import Observation

# So long an image waits for a network on a server that is away; it is not live.
NETWORK_AWAY_S = 60.0


class ImageMapper:
    """
    Load a network, do what its checkpoint advises, and map images of one camera.

    mapper, predictor: which are used. notes: sentences for the user about network and memory.
    model_settings: with the values of the checkpoint. used: intrinsics of the newest image as
    it is mapped, None where it has none.
    """

    def __init__(
        self,
        model: ModelSettings,
        mapping: MappingSettings,
        calibration: CameraIntrinsics | None = None,
        executor: Executor | None = None,
    ) -> None:
        """
        Load the network.

        :param calibration: of all images; one for another size of them is fitted.
        :param executor: adds key frames to the graph, one after the other; None: the image does.
        :raises UserError: when the device or the checkpoint cannot be used.
        """
        need = memory_here(model)
        self.predictor = chosen_predictor(model)
        self.predictor.wait_for_network(NETWORK_AWAY_S)
        self.notes = [] if need is None or need.fits else [f'warning: {need}']
        if self.predictor.checkpoint_note:
            self.notes.append(f'note: {self.predictor.checkpoint_note}')
        scale = chosen_gain_scale(model, self.predictor.checkpoint)
        self.model_settings = replace(model, gain_scale=scale)
        self.mapper = Mapper(self.predictor, mapping, executor=executor)
        self.calibration = calibration
        self._image_rotation = ImageRotation(mapping.camera.rotation)
        self.used: CameraIntrinsics | None = None

    def map(
        self,
        rgb: Pixels,
        stamp_ns: int,
        orientation: int = 1,
        base_T_camera: Array | None = None,
        odom_T_base: Array | None = None,
        calibration: CameraIntrinsics | None = None,
    ) -> LocatedFrame:
        """
        Locate one image and add it to the map; one that is refused changes nothing.

        The setting camera.rotation turns the image, its calibration and where it is mounted; what
        is returned is of the turned one.

        :param rgb: (H, W, 3) uint8, in any memory order.
        :param stamp_ns: nanoseconds, must increase.
        :param orientation: of the image as it was stored, as EXIF counts them.
        :param base_T_camera: (4, 4), metres, see Observation.
        :param odom_T_base: (4, 4), metres, see Observation.
        :param calibration: of this image, in place of that of all images.
        :raises UserError: why the image is refused, or that the device is out of memory.
        """
        if not (isinstance(rgb, np.ndarray) and rgb.ndim == 3):
            raise BadImage('an image must be a numpy array of (height, width, 3) uint8')
        height, width = rgb.shape[:2]
        intrinsics = intrinsics_for(calibration or self.calibration, width, height, orientation)
        # A view such as bgr[..., ::-1] has strides that torch does not read.
        rgb = np.ascontiguousarray(rgb)
        observation = Observation(rgb, stamp_ns, intrinsics, base_T_camera, odom_T_base)
        observation = self._image_rotation.observation(observation)
        try:
            located = self.mapper.observe(observation)
            self.used = observation.intrinsics
            self.mapper.integrate()
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(
                f'{self.predictor.device} has not enough memory for this network: use a smaller '
                '--checkpoint, --precision int8 or --device cpu'
            ) from error
        return located

    def is_fatal(self, error: UserError) -> bool:
        """
        Return whether all images will be refused for the same reason.

        :param error: raised by `map`.
        """
        if isinstance(error, (OutOfMemory, NetworkLost)):
            return True
        return isinstance(error, CalibrationError) and not self.mapper.frames


class OutOfMemory(UserError):
    """The device is out of memory."""
