# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is known of an image, of a key frame and of the last image: the values of the tracker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import scaled
from ttt3r_ros.tracking.backwards import Passed
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.relative_pose import RelativePose


@dataclass(frozen=True, eq=False)
class Seen:
    """
    One image with all that is known about it.

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

    number: of the key frame, rising. seen: its image. gray: (h, w). tracks: its features, of
    which px is where it has them. log_depth: (N,) of those, NaN is unknown. motion: from the key
    frame before, in the unit of that one's depth, None for the first. by: what measured it.
    track_T_camera: (4, 4). log_scale: of its depth in track. track: number of the first key frame
    of the same track. slipped: whether wheels and images contradicted each other on the way from
    the key frame before.
    """

    number: int
    seen: Seen
    tracks: Tracks
    log_depth: Array
    motion: RelativePose | None
    by: str
    track_T_camera: Array
    log_scale: float
    track: int = 0
    slipped: bool = False


@dataclass(frozen=True, eq=False)
class Followed:
    """
    Where an image was taken.

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

    @property
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


@dataclass(frozen=True, eq=False)
class FollowState:
    """
    All that is remembered from image to image; a value. Before the first image there is None.

    key: newest key frame. tracks: its features in the newest image that was not still. last: what
    was found for that image. continuous: how many images up to it were located by pixels without
    a gap, at most CONTINUOUS of cut.py. network_T_camera: of that image; where the network has not
    seen it, of the last one that it has seen, carried on by the features. odom_T_camera: of that
    image, or of the last one before it that had one. passed: the images since the key frame and
    itself, oldest first.
    """

    key: KeyView
    tracks: Tracks
    last: Followed
    network_T_camera: Array | None
    odom_T_camera: Array | None
    continuous: int = 0
    passed: tuple[Passed, ...] = ()


@dataclass(frozen=True, eq=False)
class Trace:
    """
    What an image shows before the network has seen it.

    tracks: the features that are found again; of a first image those that it begins with. still:
    they are where they were, so the camera has not moved.
    """

    tracks: Tracks
    still: bool
