# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Views, key frames, and poses relative to them: the values that the tracker works with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.geometry import invert, scaled
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.relative_pose import RelativePose

CONTINUOUS = 5  # so many images in a row are a film; of single photographs there are none
MOST_PAST = 15  # images since the key frame


@dataclass(frozen=True, eq=False)
class View:
    """
    One image with its camera, its depth, and its poses by network and wheels.

    stamp_ns: as given. image: (h, w, 3) uint8, fitted and undistorted. camera: (3, 3) of it.
    focal_known: calibrated, or only estimated from the points. depth: (h, w) metres along z,
    confidence: (h, w), network_T_camera: (4, 4) of the network's chained segments; all None for
    an image that the network has not seen. odom_T_camera: (4, 4) by the wheels, or None.
    base_T_camera: (4, 4), or None where there is no base. camera_index: which camera of the robot
    took it.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    camera: Array
    focal_known: bool = True
    depth: NDArray[np.floating] | None = None
    confidence: NDArray[np.floating] | None = None
    network_T_camera: Array | None = None
    odom_T_camera: Array | None = None
    base_T_camera: Array | None = None
    camera_index: int = 0


@dataclass(frozen=True, eq=False)
class KeyView:
    """
    A key frame as the tracker has it.

    number: of the key frame, rising. view: its image. gray: (h, w). tracks: its features, of
    which px is where it has them. log_depth: (N,) of those, NaN is unknown. motion: from the key
    frame before, in the unit of that one's depth, None for the first. by: what measured it.
    track_T_camera: (4, 4). log_scale: of its depth in track. track: number of the first key frame
    of the same track. slipped: whether wheels and images contradicted each other on the way from
    the key frame before.
    """

    number: int
    view: View
    tracks: Tracks
    log_depth: Array
    motion: RelativePose | None
    by: str
    track_T_camera: Array
    log_scale: float
    track: int = 0
    slipped: bool = False


@dataclass(frozen=True, eq=False)
class TrackedPose:
    """
    The pose of an image relative to a key frame, and what it was computed by.

    key: the key frame it is relative to; where this image became one itself, that. key_T_camera:
    (4, 4) in the unit of the key frame's depth, covariance: (6, 6) see RelativePose. by: features,
    matches, the way back, network, wheels, nothing. still: the camera has not moved, nothing need
    be kept. new_key: whether this image became a key frame. inliers: features that agree.
    log_ratio: to be added to the log depth of this image, so that it has the unit of the key
    frame's.
    odom_T_camera: (4, 4) by the wheels, or None. slips: wheels and images contradict each other
    since the image before; slipped: since the key frame. cut: the image has nothing to do with the
    one before and begins a track.
    """

    stamp_ns: int
    key: KeyView
    key_T_camera: Array
    covariance: Array
    by: str
    still: bool
    new_key: bool
    inliers: int
    log_ratio: float = 0.0
    odom_T_camera: Array | None = None
    slips: bool = False
    slipped: bool = False
    cut: bool = False

    @cached_property
    def track_T_camera(self) -> Array:
        """Return the pose in track, (4, 4), metres."""
        pose: Array = self.key.track_T_camera @ scaled(
            self.key_T_camera, float(np.exp(self.key.log_scale))
        )
        return pose

    @property
    def depth_scale(self) -> float:
        """Return by what the depth of this image is multiplied in track."""
        return float(np.exp(self.key.log_scale + self.log_ratio))

    @property
    def lost(self) -> bool:
        """Return whether the features of the key frame do not show where the image was taken."""
        return not self.still and self.by != 'features'

    def then(self, last: TrackedPose, log_ratio: float | None, slips: bool) -> TrackedPose:
        """
        Return the same after another image, with what is known since.

        :param last: the image before.
        :param log_ratio: of this image; None: that of the image before holds.
        :param slips: whether wheels and images contradict each other since then.
        """
        return replace(
            self,
            log_ratio=last.log_ratio if log_ratio is None else log_ratio,
            slips=slips,
            slipped=slips or last.slipped,
        )

    def past_image(self, gray: Pixels) -> PastImage:
        """
        Return what is kept of the image until the next key frame.

        :param gray: (h, w) uint8, the image.
        """
        return PastImage(gray, self.key_T_camera, self.covariance, self.inliers)


@dataclass(frozen=True, eq=False)
class PastImage:
    """
    An image since the key frame.

    gray: (h, w). key_T_camera, covariance: of RelativePose; inliers: features that agree, 0 where
    they do not show where it was taken.
    """

    gray: Pixels
    key_T_camera: Array
    covariance: Array
    inliers: int


@dataclass(frozen=True, eq=False)
class FollowState:
    """
    All that is remembered from image to image; a value. Before the first image there is None.

    key: newest key frame. tracks: its features in the newest image that was not still. last: what
    was found for that image. continuous: how many images up to it were located by pixels without
    a gap, at most CONTINUOUS. network_T_camera: of that image; where the network has not
    seen it, of the last one that it has seen, carried on by the features. odom_T_camera: of that
    image, or of the last one before it that had one. past: the images since the key frame and
    itself, oldest first.
    """

    key: KeyView
    tracks: Tracks
    last: TrackedPose
    network_T_camera: Array | None
    odom_T_camera: Array | None
    continuous: int = 0
    past: tuple[PastImage, ...] = ()

    def after(
        self, view: View, gray: Pixels, tracks: Tracks, tracked_pose: TrackedPose
    ) -> FollowState:
        """
        Return the state after an image, relative to the same key frame.

        Where the camera stood still, it stays as it is, unless wheels have moved meanwhile: that
        they have is wrong.

        :param view: the image.
        :param gray: (h, w) uint8, the same.
        :param tracks: features to go on with.
        :param tracked_pose: where it was taken.
        """
        if tracked_pose.still:
            if not tracked_pose.slips:
                return self
            last = replace(self.last, slipped=True)
            return replace(self, last=last, odom_T_camera=view.odom_T_camera)
        return FollowState(
            self.key,
            tracks,
            tracked_pose,
            self._network_pose(view, tracked_pose),
            self.odom_T_camera if view.odom_T_camera is None else view.odom_T_camera,
            min(self.continuous + 1, CONTINUOUS) if tracked_pose.inliers else 0,
            (*self.past, tracked_pose.past_image(gray))[-MOST_PAST:],
        )

    def _network_pose(self, view: View, tracked_pose: TrackedPose) -> Array | None:
        """Return the network's pose; where it has not seen the image, as the features moved."""
        before = self.network_T_camera
        if view.network_T_camera is not None or before is None:
            return view.network_T_camera
        moved: Array = before @ invert(self.last.key_T_camera) @ tracked_pose.key_T_camera
        return moved


@dataclass(frozen=True, eq=False)
class TrackedFeatures:
    """
    The features of an image, tracked before the network has seen it.

    tracks: the features that are found again; of a first image those that it begins with. still:
    they are where they were, so the camera has not moved. wheels: (4, 4) motion of the camera
    since the image before as they measured it, or None.
    """

    tracks: Tracks
    still: bool
    wheels: Array | None


@dataclass(frozen=True, eq=False)
class Features:
    """
    The features that the tracker goes on with after an image.

    tracks: where they are. log_depth: (N,) of those, NaN is unknown; None for an image that the
    network has not seen. of_key: whether the image becomes a key frame with them. fresh: whether
    all of them begin with it.
    """

    tracks: Tracks
    log_depth: Array | None
    of_key: bool
    fresh: bool
