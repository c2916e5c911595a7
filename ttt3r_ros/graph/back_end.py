# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where `track` lies in the map: the one correction, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.geometry import BODY_T_OPTICAL, IDENTITY, invert, Similarity
from ttt3r_ros.graph.odometry import OdometryScale
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.scale import ScaleEstimate


@dataclass(frozen=True, eq=False)
class LocatedFrame:
    """
    One image in the map, in metres; it never changes.

    tracked: as the front end saw it. epoch: of the map that it belongs to. map_T_track: the
    correction that was applied. base_T_camera: (4, 4), where the camera is mounted, or None for a
    camera alone, which is its own base. odom_T_base: (4, 4) at the stamp. odometry_scale: from
    lengths of the map to those of the odometry. rescaled: by which lengths are multiplied from
    the next image on, mostly 1.
    """

    tracked: TrackedFrame
    epoch: int
    map_T_track: Similarity
    base_T_camera: Array | None
    odom_T_base: Array
    odometry_scale: ScaleEstimate
    rescaled: float

    @cached_property
    def map_T_camera(self) -> Array:
        """Return the pose of the camera, (4, 4)."""
        return self.map_T_track.pose(self.tracked.track_T_camera)

    @cached_property
    def map_T_base(self) -> Array:
        """Return the pose of the robot, (4, 4); without a robot, of the camera."""
        return _base(self.map_T_camera, self.base_T_camera)

    @cached_property
    def pointmap(self) -> Pointmap:
        """Return the points, metres, camera frame."""
        return self.tracked.pointmap.scaled(self.map_T_track.scale)

    def points_map(self) -> Array32:
        """Return the points, (h, w, 3) float32, metres, map frame."""
        return self.pointmap.points_in(self.map_T_camera)


@dataclass(frozen=True, eq=False)
class Anchor:
    """
    Where the odometry lies in the map.

    epoch: of the map for which it holds. map_T_odom: (4, 4).
    """

    epoch: int
    map_T_odom: Array


class BackEnd:
    """
    Own the correction from `track` to the map.

    It begins where the odometry, an initial pose or a loaded map has the first image, and takes
    over initial poses and the metre of the odometry. That unit of length outlives a reset: it is
    the network's, with this camera.

    One thread maps; `map_T_odom`, `begin_epoch` and `is_current` may be used by another one.
    """

    def __init__(self, settings: OdometrySettings) -> None:
        """Begin with nothing located."""
        self._settings = settings
        self._correction = Similarity(IDENTITY)
        self._epoch = 0
        self.reset()

    @property
    def correction(self) -> Similarity:
        """Return map_T_track, in metres per unit of `track`."""
        return self._correction

    @property
    def map_T_odom(self) -> Array:
        """Return where the odometry lies in the present map, (4, 4)."""
        anchor = self._anchor
        return anchor.map_T_odom if anchor.epoch == self._epoch else IDENTITY

    def begin_epoch(self) -> None:
        """Outdate all images that are under way: a reset is about to follow."""
        self._epoch += 1

    def is_current(self, located: LocatedFrame) -> bool:
        """Return whether an image belongs to the present map."""
        return located.epoch == self._epoch

    def change(self, settings: OdometrySettings) -> None:
        """
        Take over the settings that may change while mapping.

        :param settings: all of them.
        """
        self._settings = settings

    def reset(self) -> None:
        """Forget everything but the unit of length."""
        self._begin(Similarity(IDENTITY, self._correction.scale))
        self._begun = False

    def resume(self, map_T_track: Similarity) -> None:
        """
        Go on in a map that was saved.

        :param map_T_track: where the tracker's next images lie in it.
        """
        self._begin(map_T_track)
        self._begun = True

    def _begin(self, correction: Similarity) -> None:
        self._correction = correction
        self._anchor = Anchor(self._epoch, IDENTITY)
        self._odometry_scale = OdometryScale()
        self._newest: LocatedFrame | None = None
        self._start_map_T_base: Array | None = None

    def place_base(self, map_T_base: Array) -> None:
        """
        Take over that the robot stood there at the newest image, or will at the first one.

        :param map_T_base: (4, 4).
        """
        newest = self._newest
        if newest is None:
            self._start_map_T_base = map_T_base
            return
        self._odometry_scale.interrupt()
        self._pass_through(map_T_base, newest.tracked, newest.base_T_camera)
        self._anchor = Anchor(newest.epoch, map_T_base @ invert(newest.odom_T_base))

    def locate(self, tracked: TrackedFrame, seen: Observation) -> LocatedFrame:
        """
        Apply the correction to an image.

        :param tracked: what the front end made of it.
        :param seen: the same image as it came.
        """
        start = self._start(seen)
        if start is not None:
            # Exactly there, whatever small motion the network sees in a first image.
            self._pass_through(start, tracked, seen.base_T_camera)
        self._begun, self._start_map_T_base = True, None
        correction, anchor = self._correction, self._anchor
        map_T_base = _base(correction.pose(tracked.track_T_camera), seen.base_T_camera)
        odom_T_base, rescaled = seen.odom_T_base, 1.0
        if odom_T_base is None:
            odom_T_base = invert(anchor.map_T_odom) @ map_T_base
        else:
            self._anchor = Anchor(anchor.epoch, map_T_base @ invert(odom_T_base))
            self._odometry_scale.add(map_T_base, odom_T_base)
            rescaled = self._take_over_scale(map_T_base, tracked, seen.base_T_camera)
        self._newest = LocatedFrame(
            tracked,
            anchor.epoch,
            correction,
            seen.base_T_camera,
            odom_T_base,
            self._odometry_scale.estimate(),
            rescaled,
        )
        return self._newest

    def _start(self, seen: Observation) -> Array | None:
        """Return map_T_base of an image that begins a piece of the map; else None."""
        if self._newest is not None:
            return None
        if self._start_map_T_base is not None or self._begun:
            return self._start_map_T_base
        if seen.odom_T_base is not None:
            return seen.odom_T_base
        # A camera alone looks ahead along x, z up.
        return BODY_T_OPTICAL if seen.base_T_camera is None else IDENTITY

    def _take_over_scale(
        self, map_T_base: Array, tracked: TrackedFrame, base_T_camera: Array | None
    ) -> float:
        """Multiply lengths by what the odometry gives; return the factor."""
        if self._settings.scale != 'auto':
            return 1.0
        factor = self._odometry_scale.estimate().chosen('auto')
        if factor != 1.0:
            self._odometry_scale.rescale(factor)
            self._correction = Similarity(self._correction.a_T_b, factor * self._correction.scale)
            self._pass_through(map_T_base, tracked, base_T_camera)
        return factor

    def _pass_through(
        self, map_T_base: Array, tracked: TrackedFrame, base_T_camera: Array | None
    ) -> None:
        """Move the correction, its scale as it is, so that the robot stands there."""
        map_T_camera = map_T_base if base_T_camera is None else map_T_base @ base_T_camera
        self._correction = Similarity.through(
            map_T_camera, tracked.track_T_camera, self._correction.scale
        )


def _base(map_T_camera: Array, base_T_camera: Array | None) -> Array:
    return map_T_camera if base_T_camera is None else map_T_camera @ invert(base_T_camera)
