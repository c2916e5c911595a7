# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The steps of one image: followed and published in one thread, mapped in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
import time

import torch

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY
from ttt3r_ros.graph.located import LocatedCamera
from ttt3r_ros.image_formats import UnsupportedImage
from ttt3r_ros.intrinsics import CalibrationError
from ttt3r_ros.mapping import files
from ttt3r_ros.mapping.mapper import FollowedImage, Mapper
from ttt3r_ros.model.elsewhere import NetworkLost
from ttt3r_ros.node.diagnostics import Health, Reporter
from ttt3r_ros.node.inputs import ReceivedImage
from ttt3r_ros.node.interface import Cause
from ttt3r_ros.node.latched_topic import MapAge
from ttt3r_ros.node.observer import NoGravity, Observer
from ttt3r_ros.node.outputs import Outputs
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.transforms import TransformMissing
from ttt3r_ros.tracking.guard import RefusedImage, RefusedPrediction
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.tracking.segmented_network import BadPrediction

# Longest time that no image is mapped for the sake of what moves with a correction.
CATCH_UP_S = 0.1

# Subscribers shall have the last change within a second; a timer of half a second looks.
SETTLED_S = 0.4

CAUSES: dict[type[UserError], Cause] = {
    UnsupportedImage: Cause.UNDECODABLE,
    CalibrationError: Cause.BAD_CALIBRATION,
    TransformMissing: Cause.NO_TRANSFORM,
    NoGravity: Cause.NO_GRAVITY,
    BadPrediction: Cause.NOT_FINITE,
    RefusedImage: Cause.REFUSED_IMAGE,
    RefusedPrediction: Cause.REFUSED_PREDICTION,
    NetworkLost: Cause.NO_NETWORK,
}


def cause_of(error: UserError) -> Cause:
    """Return why an image is not mapped."""
    kinds = (cause for kind, cause in CAUSES.items() if isinstance(error, kind))
    return next(kinds, Cause.REFUSED)


@dataclass(frozen=True, eq=False)
class Arrival:
    """
    An image on its way.

    image: as received. epoch: of the map when it came. followed: what its features show, None
    before they were looked for.
    """

    image: ReceivedImage
    epoch: int
    followed: FollowedImage | None = None


class Pipeline:
    """
    Own the mapper, and take images through it.

    One thread follows all images, the worker's maps the newest; others use `map_T_odom`, `epoch`
    and `begin_epoch` only.
    """

    def __init__(
        self,
        build_mapper: Callable[[Settings], Mapper],
        settings: Callable[[], Settings],
        observer: Observer,
        outputs: Outputs,
        health: Health,
        reporter: Reporter,
        offer: Callable[[Arrival], None],
    ) -> None:
        """
        Keep the steps; `load` builds the mapper.

        :param build_mapper: makes the mapper, which may take long.
        :param settings: returns the present ones.
        :param observer: makes observations of images.
        :param outputs: publishes.
        :param health: counts.
        :param reporter: receives faults.
        :param offer: called with each image that was followed, for `process`.
        """
        self._offer = offer
        self._build_mapper, self._settings = build_mapper, settings
        self._observer, self._outputs = observer, outputs
        self._health, self._reporter = health, reporter
        self._mapper: Mapper | None = None
        self._newest_ns = 0
        self._changes, self._changed = 0, 0.0

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
    def map_T_odom(self) -> Array | None:
        """Return the pose of the odometry's frame in the map, (4, 4); None: unknown."""
        return IDENTITY if self._mapper is None else self._mapper.map_T_odom

    @property
    def started(self) -> bool:
        """Return whether the map has an image."""
        return self._mapper is not None and self._mapper.frames > 0

    @property
    def epoch(self) -> int:
        """Return the number of the present map."""
        return 0 if self._mapper is None else self._mapper.epoch

    def load(self) -> None:
        """Load the network."""
        self._mapper = self._build_mapper(self._settings())
        self._limit_path(self._mapper)

    def close(self) -> None:
        """End the threads of the mapper."""
        if self._mapper is not None:
            self._mapper.close()

    def begin_epoch(self) -> None:
        """Invalidate all images in process: a reset follows."""
        if self._mapper is not None:
            self._mapper.begin_epoch()

    def change(self) -> None:
        """Apply settings that have changed."""
        if self._mapper is not None:
            self._mapper.change(self._settings().mapping)
            self._limit_path(self._mapper)

    def _limit_path(self, mapper: Mapper) -> None:
        outputs = self._settings().node.outputs
        mapper.trail.limit(outputs.path_max_poses, outputs.path_step)

    def reset(self) -> str:
        """Delete the map; return a sentence for the user."""
        self.mapper.reset()
        self._begin_map()
        self._health.restart()
        return 'the map is empty'

    def load_map(self, path: Path) -> str:
        """
        Continue with a saved map; return what was read, for the user.

        :raises UserError: why nothing was changed.
        """
        read = files.load(self.mapper, path)
        self._begin_map()
        return read

    def _begin_map(self) -> None:
        self._newest_ns = 0
        self._outputs.restart()
        self._note_change()

    def _note_change(self) -> None:
        self._changes, self._changed = self._changes + 1, time.monotonic()

    @property
    def changes(self) -> int:
        """Return how often the map has changed."""
        return self._changes

    def place_base(self, map_T_base: Array) -> None:
        """
        Apply an initial pose.

        :param map_T_base: (4, 4), metres.
        """
        settings = self._settings()
        if not settings.node.base_frame:  # the camera is the robot
            image_rotation = ImageRotation(settings.mapping.camera.rotation)
            map_T_base = map_T_base @ image_rotation.stored_T_upright
        self.mapper.place_base(map_T_base)

    def follow(self, arrival: Arrival) -> None:
        """Publish where an image was taken, as far as its features show it; in one thread."""
        with self._reporting_lack_of_memory():  # the device resizes images
            self._follow_and_publish(arrival)

    def _follow_and_publish(self, arrival: Arrival) -> None:
        mapper, image = self._mapper, arrival.image
        if mapper is None:
            self._health.dropped(Cause.NOT_LOADED)
            return
        try:
            observation = self._observer.observe(image, first=not mapper.frames)
            followed = mapper.follow(observation)
        except UserError as error:
            self._reporter.drop(cause_of(error), str(error))
            return
        camera = followed.camera
        if arrival.epoch == mapper.epoch:
            if camera is not None:
                self._publish_pose(mapper, camera, image)
            self._offer(replace(arrival, followed=followed))

    def _publish_pose(self, mapper: Mapper, camera: LocatedCamera, image: ReceivedImage) -> None:
        if mapper.is_current(camera) and self._outputs.publish_pose(camera, image.base_frame):
            self._health.located(time.monotonic() - image.arrived, image.camera_index)

    def process(self, arrival: Arrival) -> None:
        """Map the newest image that was followed, and publish the results."""
        with self._reporting_lack_of_memory():
            self._map_and_publish(arrival)

    @contextmanager
    def _reporting_lack_of_memory(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            self._reporter.drop(
                Cause.OUT_OF_MEMORY,
                'the device has not enough memory for this network: use a smaller checkpoint, '
                'or set model.precision to int8 or model.device to cpu',
            )

    def _map_and_publish(self, arrival: Arrival) -> None:
        mapper, image, followed = self.mapper, arrival.image, arrival.followed
        if followed is None or arrival.epoch != mapper.epoch:
            return
        try:
            located = mapper.complete(followed)
        except UserError as error:
            self._reporter.drop(cause_of(error), str(error))
            return
        if not mapper.is_current(located):
            return
        self._newest_ns = image.stamp_ns
        self._publish_pose(mapper, located, image)  # unless it or a later one was already
        self._outputs.publish_points(located, image.camera_frame)
        self._reporter.mapped(located, image.arrived, lost=mapper.map_T_odom is None)
        mapper.integrate()
        self._note_change()
        self.publish_maps()

    def catch_up(self) -> None:
        """Move the map to where it belongs, and publish it."""
        if self._mapper is None:
            return
        moves = self._mapper.correct() or not self._mapper.map.follows
        self._mapper.catch_up(CATCH_UP_S)
        if moves:
            self._note_change()
        self.publish_maps()

    def publish_maps(self) -> None:
        """Publish what moves with corrections, as far as it is due and has subscribers."""
        if self._mapper is None or not self._changes:
            return
        # A snapshot may lack what changed last: the next one is of another generation, then.
        changes = self._changes + self._mapper.map.generation
        age = MapAge(changes, time.monotonic() - self._changed >= SETTLED_S)
        self._outputs.publish_maps(self._mapper, self._newest_ns, age)
