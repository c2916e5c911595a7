# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The way of one image through the worker thread: decode, look up TF, map, publish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time

import torch

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY
from ttt3r_ros.graph.back_end import LocatedFrame
from ttt3r_ros.image_formats import UnsupportedImage
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.mapping import files
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.node.diagnostics import Health, Reporter
from ttt3r_ros.node.inputs import ReceivedImage
from ttt3r_ros.node.outputs import Outputs
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.transforms import FrameTree, TransformMissing
from ttt3r_ros.tracking.guard import RefusedImage, RefusedPrediction
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracker import BadPrediction

# What to call a drop in the diagnostics.
CAUSES: dict[type[UserError], str] = {
    UnsupportedImage: 'image cannot be decoded',
    CalibrationError: 'calibration',
    TransformMissing: 'transform missing',
    BadPrediction: 'network gave no finite numbers',
    RefusedImage: 'image refused',
    RefusedPrediction: 'prediction refused',
}


class Pipeline:
    """Own the mapper; other threads than the worker's use `map_T_odom` and `begin_epoch` only."""

    def __init__(
        self,
        build_mapper: Callable[[Settings], Mapper],
        settings: Callable[[], Settings],
        frames: FrameTree,
        outputs: Outputs,
        health: Health,
        reporter: Reporter,
    ) -> None:
        """
        Prepare; nothing is loaded yet.

        :param build_mapper: makes the mapper, which may take long.
        :param settings: returns the present ones.
        :param frames: TF.
        :param outputs: publishes.
        :param health: counts.
        :param reporter: is told about images that are dropped.
        """
        self._build_mapper, self._settings = build_mapper, settings
        self._frames, self._outputs = frames, outputs
        self._health, self._reporter = health, reporter
        self._mapper: Mapper | None = None
        self._newest_ns = 0

    @property
    def ready(self) -> bool:
        """Return whether the network is loaded."""
        return self._mapper is not None

    @property
    def mapper(self) -> Mapper:
        """
        Return the mapper.

        :raises UserError: when the network is not loaded.
        """
        if self._mapper is None:
            raise UserError('the network is not loaded yet, or could not be: see the log')
        return self._mapper

    @property
    def map_T_odom(self) -> Array:
        """Return where the odometry lies in the map, (4, 4)."""
        return IDENTITY if self._mapper is None else self._mapper.map_T_odom

    def load(self) -> None:
        """Load the network."""
        self._mapper = self._build_mapper(self._settings())

    def begin_epoch(self) -> None:
        """Outdate all images that are under way: a reset is about to follow."""
        if self._mapper is not None:
            self._mapper.begin_epoch()

    def change(self) -> None:
        """Take over settings that have changed."""
        if self._mapper is not None:
            self._mapper.change(self._settings().mapping)

    def reset(self) -> str:
        """Forget the map; return a sentence for the user."""
        self.mapper.reset()
        self._outputs.restart()
        self._health.restart()
        return 'the map is empty'

    def load_map(self, path: Path) -> str:
        """
        Go on with a saved map; return what was read, for the user.

        :param path: of the file.
        :raises UserError: why nothing was changed.
        """
        read = files.load(self.mapper, path)
        self._outputs.restart()
        return read

    def place_base(self, map_T_base: Array) -> None:
        """
        Take over an initial pose.

        :param map_T_base: (4, 4).
        """
        self.mapper.place_base(map_T_base)

    def process(self, image: ReceivedImage) -> None:
        """
        Map one image and publish what it gave.

        :param image: the newest one.
        """
        try:
            self._map_and_publish(image)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            self._reporter.drop(
                'out of memory',
                'the device has not enough memory for this network: use a smaller checkpoint, '
                'or set model.precision to int8 or model.device to cpu',
            )

    def publish_maps(self) -> None:
        """Publish the maps for which somebody waits."""
        if self._mapper is not None and self._newest_ns:
            self._outputs.publish_map_cloud(self._mapper.map.voxels, self._newest_ns)
            self._outputs.publish_occupancy(self._mapper.map.grid, self._newest_ns)

    def _map_and_publish(self, image: ReceivedImage) -> None:
        mapper = self._mapper
        if mapper is None:
            self._health.dropped('network not loaded')
            return
        try:
            located = mapper.observe(self._observation(image, mapper))
        except UserError as error:
            self._reporter.drop(CAUSES.get(type(error), 'refused by the mapper'), str(error))
            return
        if not mapper.is_current(located):
            return
        self._newest_ns = image.stamp_ns
        self._broadcast(located, image)
        self._outputs.publish(located, self._base(image), self._camera(image))
        self._report(located, image)
        mapper.integrate()
        self.publish_maps()

    def _report(self, located: LocatedFrame, image: ReceivedImage) -> None:
        self._health.mapped(
            time.monotonic() - image.arrived,
            located.tracked.gain_mean,
            located.tracked.intrinsics is not None,
        )
        scale = located.map_T_track.scale * located.tracked.scale
        self._health.measured_scale(scale, located.odometry_scale)
        if located.rescaled != 1.0:
            self._reporter.note(
                'scale',
                f'by the odometry lengths of the map are {1 / located.rescaled:.2f} times too '
                f'long: from now on they are multiplied by {located.rescaled:.3f}; ~/reset '
                'begins a map that is all of the new scale',
            )

    def _observation(self, image: ReceivedImage, mapper: Mapper) -> Observation:
        node = self._settings().node
        rgb = image.decode()
        intrinsics = self._intrinsics(image, rgb.shape[1], rgb.shape[0])
        base, camera = self._base(image), self._camera(image)
        base_T_camera = None
        if base != camera:
            base_T_camera = self._frames.look_up(base, camera, image.stamp_ns, node.tf.timeout)
        odom_T_base = None
        if node.odom_frame and not node.publish_odom_to_base_tf:
            odom_T_base = self._odometry(image, base, mapper)
        return Observation(rgb, image.stamp_ns, intrinsics, base_T_camera, odom_T_base)

    def _odometry(self, image: ReceivedImage, base: str, mapper: Mapper) -> Array | None:
        """Look up the odometry; without it the last map_T_odom holds, after the start."""
        node = self._settings().node
        try:
            return self._frames.look_up(node.odom_frame, base, image.stamp_ns, node.tf.timeout)
        except TransformMissing as error:
            if not mapper.frames:
                raise
            self._reporter.warn(
                'odometry missing',
                f'{error}; {node.map_frame} to {node.odom_frame} stays as it was',
            )
            return None

    def _intrinsics(
        self, image: ReceivedImage, width: int, height: int
    ) -> CameraIntrinsics | None:
        try:
            return image.intrinsics(width, height)
        except CalibrationError as error:
            if self._settings().node.inputs.require_camera_info:
                raise
            self._reporter.note(
                'no calibration', f'{error}: the focal length is estimated from the images'
            )
            return None

    def _broadcast(self, located: LocatedFrame, image: ReceivedImage) -> None:
        """Send what moves with the robot; map to odom is the timer's."""
        node = self._settings().node
        base, stamp_ns = self._base(image), image.stamp_ns
        if node.publish_odom_to_base_tf:
            self._frames.send(node.odom_frame, base, located.odom_T_base, stamp_ns)
        elif not node.odom_frame and node.publish_map_to_odom_tf:
            self._frames.send(node.map_frame, base, located.map_T_base, stamp_ns)

    def _camera(self, image: ReceivedImage) -> str:
        return self._settings().node.camera_optical_frame or image.frame_id

    def _base(self, image: ReceivedImage) -> str:
        return self._settings().node.base_frame or self._camera(image)
