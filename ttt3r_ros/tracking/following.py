# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where the camera is from image to image: a function of the image and a state that is a value.

Poses are relative to the newest key frame and, chained, in the frame `track`: continuous,
drifting, never corrected. What is refused leaves no trace, because the old state is still there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import motion_between
from ttt3r_ros.tracking.backwards import by_the_way_back, found_again
from ttt3r_ros.tracking.cut import is_cut
from ttt3r_ros.tracking.feature_depth import scale_ratio
from ttt3r_ros.tracking.features import begin, follow, gray_of
from ttt3r_ros.tracking.followed import Followed, FollowState, Seen, Trace
from ttt3r_ros.tracking.locating import locate
from ttt3r_ros.tracking.new_key import begun, choose, first_key, next_key
from ttt3r_ros.tracking.standstill import image_still, slips


def trace(
    image: NDArray[np.uint8], odom_T_camera: Array | None, state: FollowState | None
) -> Trace:
    """
    Follow the features into an image.

    :param image: (h, w, 3) uint8, fitted and undistorted; one of another size than the image
        before shows none of its features.
    :param odom_T_camera: (4, 4) by the wheels at this image, or None.
    :param state: after the image before, None at the beginning.
    """
    gray = gray_of(image)
    if state is None:
        return Trace(begin(gray), False, None)
    old = state.tracks
    tracks = follow(old, gray) if gray.shape == old.gray.shape else old.without_all(gray)
    wheels = motion_between(state.odom_T_camera, odom_T_camera)
    return Trace(tracks, image_still(old, tracks, wheels), wheels)


def look(
    seen: Seen, state: FollowState | None, next_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Find where an image was taken.

    The network need not have seen the image; but only one that it has seen begins the track or
    becomes a key frame.

    :param state: after the image before, None at the beginning.
    :param next_number: least number that the image may have as a key frame; where others go on
        with the same map, or it was saved, above all that it has.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    found = trace(seen.image, seen.odom_T_camera, state)
    return conclude(seen, found, state, next_number)


def conclude(
    seen: Seen, found: Trace, state: FollowState | None, next_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Find where an image was taken whose features are followed.

    :param found: of the same image and state.
    :param state: after the image before, None at the beginning.
    :param next_number: least number that the image may have as a key frame.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    if state is None:
        return first_key(seen, begun(seen, found.tracks), next_number)
    number = max(state.key.number + 1, next_number)
    followed = locate(seen, found, state)
    features = choose(seen, found, followed, state)
    if features.fresh:
        if not followed.inliers and is_cut(found.wheels, features.tracks, state):
            followed = found_again(followed, seen, state.passed)
            if not followed.inliers:
                first, state = first_key(seen, features, number)
                return replace(first, cut=True), state
        followed = by_the_way_back(followed, features, seen.camera, state.passed)
    ratio = None
    if features.log_depth is not None:
        ratio = scale_ratio(state.key, features.tracks, features.log_depth, followed.key_T_camera)
    followed = followed.then(state.last, ratio, slips(followed, found.wheels, state.last))
    state = state.after(seen, found.tracks.gray, features.tracks, followed)
    if features.of_key:
        return next_key(seen, features, state, ratio or 0.0, number)
    return followed, state
